import io
import tarfile
import zipfile
import zlib

import pytest
from cifar_trees import write_pictures

from binorm.experiments.common.errors import UserError
from binorm.experiments.data.readers.cifar import CIFAR10
from binorm.experiments.data.trees.file_tree import DamagedFileError, open_tree


def _tar(path, names, mode="w"):
    with tarfile.open(path, mode) as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 700
            tar.addfile(member, io.BytesIO(name.encode().ljust(700)))


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar_files_are_read_in_any_order(tmp_path, mode):
    path = tmp_path / "t.tar"
    _tar(path, ["./b/2", "./a/1"], mode)
    with open_tree(path) as tree:
        assert tree.names == ("a/1", "b/2")  # as if made without the dot
        assert [tree.read(name).strip() for name in tree.names] == [b"./a/1", b"./b/2"]


@pytest.mark.parametrize("damage", ["cut at a member", "header", "cut anywhere"])
def test_a_damaged_tar_does_not_just_seem_shorter(tmp_path, damage):
    path = tmp_path / "t.tar"
    _tar(path, [f"{k:03}" for k in range(20)])
    data = bytearray(path.read_bytes())
    member = 512 + 1024
    if damage == "header":
        data[10 * member + 3] ^= 1
    else:
        del data[10 * member + (0 if damage == "cut at a member" else 700) :]
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"cannot read .*t\.tar"), open_tree(path):
        pass


@pytest.mark.parametrize("mode", ["w:gz", "w:xz"])
def test_a_damaged_compressed_tar_is_an_error(tmp_path, mode):
    path = tmp_path / "t.tar"
    _tar(path, [f"{k:03}" for k in range(200)], mode)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"t\.tar"), open_tree(path):
        pass


def _damaged_zip(folder, name):
    """A zip of a folder in which one file's compressed bytes are damaged."""
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*.png")):
            archive.writestr(file.relative_to(folder).as_posix(), file.read_bytes())
        offset = archive.getinfo(name).header_offset
    data = bytearray(path.read_bytes())
    start = offset + 30 + len(name)
    data[start : start + 40] = bytes(255 - each for each in data[start : start + 40])
    path.write_bytes(data)
    return path


def test_a_damaged_file_in_a_zip_is_named(tmp_path):
    write_pictures(tmp_path / "c")
    path = _damaged_zip(tmp_path / "c", "train/dog/0001.png")
    with open_tree(path) as tree, pytest.raises(DamagedFileError, match=r"cannot read train/dog/0001\.png") as error:
        tree.read("train/dog/0001.png")
    assert isinstance(error.value.__cause__, (zlib.error, zipfile.BadZipFile))


def test_damaged_training_files_are_left_out_and_evaluation_files_are_errors(tmp_path):
    write_pictures(tmp_path / "c")
    assert CIFAR10.load(_damaged_zip(tmp_path / "c", "train/dog/0001.png")).skipped == ("train/dog/0001.png",)
    with pytest.raises(UserError, match=r"test/dog/0001\.png .* evaluation needs every picture"):
        CIFAR10.load(_damaged_zip(tmp_path / "c", "test/dog/0001.png"))


def test_folders_behind_links_are_seen(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_bytes(b"x")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train").symlink_to(tmp_path / "elsewhere")
    with open_tree(tmp_path / "data") as tree:
        assert tree.names == ("train/file",)
