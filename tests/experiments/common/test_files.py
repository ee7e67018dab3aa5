import errno
import os
import re
import resource
import signal
import subprocess
import sys

import pytest

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.files import (
    UnwritableError,
    replacing,
    require_writable,
    write_bytes_atomically,
    write_text_atomically,
)


def test_replaces_the_whole_file(tmp_path):
    path = tmp_path / "new folder" / "file"
    write_text_atomically(path, "a long first content")
    write_bytes_atomically(path, b"short")
    assert path.read_bytes() == b"short"
    assert os.listdir(path.parent) == ["file"]


def test_an_error_on_the_way_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fail():
        with replacing(path) as file:
            file.write(b"half")
            raise RuntimeError("on the way")

    with pytest.raises(RuntimeError, match="on the way"):
        fail()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_full_disk_at_the_sync_leaves_the_old_file(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "file"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left on device; free some space"):
        write_text_atomically(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_real_refusal_of_the_kernel_to_write_more(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    code = (
        "import sys, pathlib; from binorm.experiments.common.files import write_bytes_atomically\n"
        "write_bytes_atomically(pathlib.Path(sys.argv[1]), bytes(100_000))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], preexec_fn=limit, capture_output=True, text=True, check=False
    )
    assert "UserError: cannot write" in done.stderr
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("name", ["m" * 255, "漢" * 85, "\udcff" * 255])
def test_a_name_as_long_as_the_file_system_takes_is_written(tmp_path, name):
    write_text_atomically(tmp_path / name, "text")
    assert os.listdir(tmp_path) == [name]


def test_what_is_not_finished_is_hidden_and_ours_by_its_name(tmp_path):
    with replacing(tmp_path / "file"):
        (temporary,) = os.listdir(tmp_path)
    assert re.fullmatch(r"\.binorm-\w{8}\.tmp", temporary)


@pytest.mark.parametrize(
    ("number", "of_the_disk"),
    [(errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EROFS, True), (errno.EACCES, False), (errno.EFBIG, False)],
)
def test_faults_of_the_disk_are_told_from_those_of_one_file(tmp_path, monkeypatch, number, of_the_disk):
    def failing(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(UserError) as caught:
        write_text_atomically(tmp_path / "file", "text")
    assert isinstance(caught.value, UnwritableError) is of_the_disk


def test_a_name_that_is_too_long_is_the_fault_of_one_file(tmp_path):
    with pytest.raises(UserError, match="the file system takes no name as long") as caught:
        write_text_atomically(tmp_path / ("m" * 256), "text")
    assert not isinstance(caught.value, UnwritableError)
    assert os.listdir(tmp_path) == []


def test_a_file_system_without_modes_is_written_to(tmp_path, monkeypatch):
    def refusing(*_, **__):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr("pathlib.Path.chmod", refusing)
    write_text_atomically(tmp_path / "file", "text")
    assert (tmp_path / "file").read_text() == "text"


def test_a_folder_is_tried_and_left_as_it_was(tmp_path):
    require_writable(tmp_path)
    require_writable(tmp_path / "new" / "folder")
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match="a file is where a folder should be"):
            require_writable(place)

    def refusing(*_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("tempfile.TemporaryFile", refusing)
    with pytest.raises(UserError, match="choose a folder that you may write to"):
        require_writable(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write .*below"):
        write_text_atomically(tmp_path / "file" / "below", "text")
