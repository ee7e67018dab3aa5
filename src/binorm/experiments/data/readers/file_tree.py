"""One view of a folder, a zip and a tar file: names of files and their bytes."""

import bz2
import gzip
import hashlib
import lzma
import os
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from binorm.experiments.common.errors import UserError

MAX_FILE_BYTES = 256 * 2**20  # no picture and no published batch is near this; a bomb is beyond it
# What the contents of a damaged archive raise while they are read, whatever packed them.
DAMAGE = (EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError)
COMPRESSIONS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
}
SPARE_BYTES = 2**30  # of a temporary folder, left alone when an archive is unpacked there


class DamagedFileError(UserError):
    """One file of an archive is damaged; others may be whole."""


@dataclass(frozen=True)
class FileTree:
    """The files below one place.

    Attributes:
        path: the folder or archive.
        names: of all files, relative to it, with slashes, sorted.
        fingerprint: changes whenever the files do, as far as names, sizes and times tell.
    """

    path: Path
    names: tuple[str, ...]
    fingerprint: str
    _read: Callable[[str], bytes]

    def read(self, name: str) -> bytes:
        """The bytes of one file.

        Raises:
            DamagedFileError: if the archive holds it damaged.
            UserError: if it cannot be read or is larger than `MAX_FILE_BYTES`.
        """
        try:
            return self._read(name)
        except DAMAGE as error:
            raise DamagedFileError(f"cannot read {name} in {self.path}: {error}") from error
        except OSError as error:
            raise UserError(f"cannot read {name} in {self.path}: {error}") from error


@contextmanager
def open_tree(path: Path) -> Iterator[FileTree]:
    """Open a folder, ``.zip``, ``.tar`` or ``.tar.gz`` for reading.

    Raises:
        UserError: if there is no such place, or it is neither a folder nor such an archive.
    """
    try:
        if path.is_dir():
            yield _folder(path)
        elif not path.exists():
            raise UserError(f"there is no data at {path}: check --data")
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                yield _zip(path, archive)
        elif tarfile.is_tarfile(path):
            with _uncompressed(path) as file, tarfile.open(fileobj=file, mode="r:") as tar:
                yield _tar(path, tar)
        else:
            raise UserError(f"{path} is neither a folder nor a zip or tar file (or it is damaged): check --data")
    except (OSError, *DAMAGE) as error:
        raise UserError(f"cannot read {path}: {error}") from error


def _folder(path: Path) -> FileTree:
    sizes = {}
    for folder, _, names in os.walk(path, followlinks=True, onerror=_stop):
        for file in (Path(folder) / name for name in names):
            if file.is_file():
                stat = file.stat()
                sizes[file.relative_to(path).as_posix()] = (stat.st_size, stat.st_mtime_ns)

    found = tuple(sorted(sizes))
    return FileTree(path, found, _fingerprint(path, [(name, *sizes[name]) for name in found]), folder_reader(path))


def _stop(error: OSError) -> None:
    """A folder that cannot be listed would otherwise be left out silently."""
    raise error


def _zip(path: Path, archive: zipfile.ZipFile) -> FileTree:
    names = tuple(sorted(info.filename for info in archive.infolist() if not info.is_dir()))
    return FileTree(path, names, _archive_fingerprint(path), zip_reader(archive))


def folder_reader(folder: Path) -> Callable[[str], bytes]:
    """A function that reads a file by its name below ``folder``."""

    def read(name: str) -> bytes:
        with (folder / name).open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
            _check_size(max(len(data), os.fstat(file.fileno()).st_size))
        return data

    return read


def zip_reader(archive: zipfile.ZipFile) -> Callable[[str], bytes]:
    """A function that reads a file by its name in ``archive``, from several threads at once."""

    def read(name: str) -> bytes:
        _check_size(archive.getinfo(name).file_size)
        return archive.read(name)

    return read


def _tar(path: Path, tar: tarfile.TarFile) -> FileTree:
    members = {member.name.removeprefix("./"): member for member in tar.getmembers() if member.isfile()}
    _check_end(tar)

    def read(name: str) -> bytes:
        _check_size(members[name].size)
        file = tar.extractfile(members[name])
        if file is None:
            raise tarfile.TarError("not a regular file")
        return file.read()

    return FileTree(path, tuple(sorted(members)), _archive_fingerprint(path), read)


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


def _check_size(size: int) -> None:
    if size > MAX_FILE_BYTES:
        raise OSError(f"{size:,} bytes are more than the {MAX_FILE_BYTES:,} that a data file may have")


def _archive_fingerprint(path: Path) -> str:
    stat = path.stat()
    return _fingerprint(path, [stat.st_size, stat.st_mtime_ns])


def _fingerprint(path: Path, facts: object) -> str:
    return hashlib.sha256(repr((str(path.resolve()), facts)).encode()).hexdigest()[:32]
