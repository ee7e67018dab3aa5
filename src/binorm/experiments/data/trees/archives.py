"""Zip and tar files: the names in them, each once, and the bytes behind a name."""

import bz2
import gzip
import lzma
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.picture_names import is_hidden, is_picture
from binorm.experiments.data.trees.folder_walk import HIDDEN, MAX_FILE_BYTES, REPEATED, PassedOver

# What the contents of a damaged archive raise while they are read, whatever packed them.
DAMAGE = (EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError)
COMPRESSIONS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
}
OTHERS = {  # archives of kinds that are not read, by their first bytes
    b"7z\xbc\xaf'\x1c": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"\x28\xb5\x2f\xfd": "packed by Zstandard",
    b"PK\x07\x08": "a part of a zip file in several parts",
}
# Of zip files: what Python cannot unpack.
METHODS = {1: "Shrink", 6: "Implode", 9: "Deflate64", 10: "PKWARE's Implode", 97: "WavPack", 98: "PPMd"}
AES = 99
LINKS = "links in an archive"
SPARE_BYTES = 2**30  # of a temporary folder, left alone when an archive is unpacked there


@dataclass
class Archive:
    """What is in an archive.

    Attributes:
        read: the bytes of a file by its name.
        sizes: in bytes, of every file by its name, with slashes; a tuple of one.
        folders: names of all folders, as far as the archive has them.
        passed_over: hidden pictures, links, and entries that were written again.
    """

    read: Callable[[str], bytes]
    sizes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    passed_over: PassedOver = field(default_factory=dict)

    def add(self, name: str, size: int) -> None:
        """Take in a file, or pass it over; a later entry of one name stands for the earlier ones."""
        if is_hidden(name):
            if is_picture(name.rpartition("/")[2].lstrip(".")):
                self.pass_over(HIDDEN, name)
            return
        if name in self.sizes and is_picture(name):
            self.pass_over(REPEATED, name)
        self.sizes[name] = (size,)
        self.add_folder(name.rpartition("/")[0])

    def add_folder(self, name: str) -> None:
        """Take in a folder and those that it lies in."""
        while name and name not in self.folders and not is_hidden(name):
            self.folders.add(name)
            name = name.rpartition("/")[0]

    def pass_over(self, reason: str, name: str) -> None:
        """Note that an entry is not taken."""
        self.passed_over.setdefault(reason, []).append(name)


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open a ``.zip``, ``.tar`` or ``.tar.gz``.

    Raises:
        UserError: if there is no such file, or it is no archive that can be read; it says what it is.
    """
    if not path.exists():
        raise UserError(f"there is no data at {path}: check --data")
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield zip_archive(path, archive)
    elif tarfile.is_tarfile(path):
        with _uncompressed(path) as file, tarfile.open(fileobj=file, mode="r:") as tar:
            yield _tar(tar)
    else:
        with path.open("rb") as file:
            start = file.read(8)
        kind = next((kind for magic, kind in OTHERS.items() if start.startswith(magic)), "")
        if kind:
            raise UserError(f"{path} is {kind}, which is not read: unpack it and give the folder to --data")
        raise UserError(f"{path} is neither a folder nor a zip or tar file (or it is damaged): check --data")


def zip_archive(path: Path, archive: zipfile.ZipFile) -> Archive:
    """What is in an open zip file; raises a `UserError` for one that Python cannot unpack."""
    entries: dict[str, zipfile.ZipInfo] = {}

    def read(name: str) -> bytes:
        check_size(entries[name].file_size)
        return archive.read(entries[name])

    found = Archive(read)
    for entry in archive.infolist():
        name = entry.filename.replace("\\", "/").removeprefix("./")  # some packers of Windows leave backslashes
        if name.endswith("/"):
            found.add_folder(name.rstrip("/"))
            continue
        found.add(name, entry.file_size)
        entries[name] = entry
    for name in found.sizes:
        if is_picture(name):
            _check_method(path, entries[name])
    return found


def _check_method(path: Path, entry: zipfile.ZipInfo) -> None:
    """Raise a `UserError` for a picture that Python cannot unpack."""
    if entry.flag_bits & 1 or entry.compress_type == AES:
        raise UserError(f"{path} is encrypted: unpack it with its password and give the folder to --data")
    if entry.compress_type in METHODS:
        method = METHODS[entry.compress_type]
        raise UserError(
            f"{entry.filename} in {path} is packed by the method {method}, which Python cannot unpack: unpack it with "
            "7-Zip (7z x) and give the folder to --data"
        )


def _tar(tar: tarfile.TarFile) -> Archive:
    members: dict[str, tarfile.TarInfo] = {}

    def read(name: str) -> bytes:
        check_size(members[name].size)
        file = tar.extractfile(members[name])
        if file is None:
            raise tarfile.TarError("not a regular file")
        return file.read()

    found = Archive(read)
    for member in tar.getmembers():
        name = member.name.removeprefix("./")
        if member.isdir() and name != ".":
            found.add_folder(name)
        elif member.isfile():
            found.add(name, member.size)
            members[name] = member
        elif (member.islnk() or member.issym()) and is_picture(name):
            found.pass_over(REPEATED if member.islnk() else LINKS, name)
    _check_end(tar)
    return found


@contextmanager
def _uncompressed(path: Path) -> Iterator[BinaryIO]:
    """A tar file to read anywhere in; a compressed one is unpacked into a temporary file, for jumps' sake."""
    with path.open("rb") as file:
        start = file.read(6)
        opens = next((opener for magic, opener in COMPRESSIONS.items() if start.startswith(magic)), None)
        if opens is None:
            file.seek(0)
            yield file
            return
    with opens(path) as packed, tempfile.TemporaryFile() as unpacked:
        room = shutil.disk_usage(tempfile.gettempdir()).free - SPARE_BYTES
        while piece := packed.read(2**20):
            room -= len(piece)
            if room < 0:
                raise OSError(f"no room to unpack it in {tempfile.gettempdir()}: unpack it yourself, or set TMPDIR")
            unpacked.write(piece)
        unpacked.seek(0)
        yield cast(BinaryIO, unpacked)


def _check_end(tar: tarfile.TarFile) -> None:
    """A tar file ends with empty blocks; one that is cut off or has a damaged header just seems to have fewer files."""
    file = cast(BinaryIO, tar.fileobj)
    file.seek(max((member.offset_data + -(-member.size // 512) * 512 for member in tar.getmembers()), default=0))
    if file.read(512) != bytes(512):
        raise tarfile.ReadError("it is cut off or damaged: download it again")


def check_size(size: int) -> None:
    """Raise an `OSError` for more bytes than a file of a data set may have."""
    if size > MAX_FILE_BYTES:
        raise OSError(f"{size:,} bytes are more than the {MAX_FILE_BYTES:,} that a data file may have")
