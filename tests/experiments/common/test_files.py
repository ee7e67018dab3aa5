import errno
import os
import resource
import signal
import subprocess
import sys

import pytest

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.files import replacing, write_bytes_atomically, write_text_atomically


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


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write .*below"):
        write_text_atomically(tmp_path / "file" / "below", "text")
