"""One view of a folder, a zip and a tar file: names of files and their bytes."""

import hashlib
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from binorm.experiments.errors import UserError

MAX_FILE_BYTES = 256 * 2**20  # no picture and no published batch is near this; a bomb is beyond it


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
            UserError: if it cannot be read or is larger than `MAX_FILE_BYTES`.
        """
        try:
            return self._read(name)
        except (OSError, zipfile.BadZipFile, tarfile.TarError, RuntimeError, EOFError, NotImplementedError) as error:
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
            with tarfile.open(path) as tar:
                yield _tar(path, tar)
        else:
            raise UserError(f"{path} is neither a folder nor a zip or tar file (or it is damaged): check --data")
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise UserError(f"cannot read {path}: {error}") from error


def _folder(path: Path) -> FileTree:
    sizes = {}
    for file in path.rglob("*"):
        if file.is_file():
            stat = file.stat()
            sizes[file.relative_to(path).as_posix()] = (stat.st_size, stat.st_mtime_ns)

    def read(name: str) -> bytes:
        _check_size(sizes[name][0])
        return (path / name).read_bytes()

    names = tuple(sorted(sizes))
    return FileTree(path, names, _fingerprint(path, [(name, *sizes[name]) for name in names]), read)


def _zip(path: Path, archive: zipfile.ZipFile) -> FileTree:
    def read(name: str) -> bytes:
        _check_size(archive.getinfo(name).file_size)
        return archive.read(name)

    names = tuple(sorted(info.filename for info in archive.infolist() if not info.is_dir()))
    return FileTree(path, names, _archive_fingerprint(path), read)


def _tar(path: Path, tar: tarfile.TarFile) -> FileTree:
    members = {member.name: member for member in tar.getmembers() if member.isfile()}

    def read(name: str) -> bytes:
        _check_size(members[name].size)
        file = tar.extractfile(members[name])
        if file is None:
            raise tarfile.TarError("not a regular file")
        return file.read()

    return FileTree(path, tuple(sorted(members)), _archive_fingerprint(path), read)


def _check_size(size: int) -> None:
    if size > MAX_FILE_BYTES:
        raise OSError(f"{size:,} bytes are more than the {MAX_FILE_BYTES:,} that a data file may have")


def _archive_fingerprint(path: Path) -> str:
    stat = path.stat()
    return _fingerprint(path, [stat.st_size, stat.st_mtime_ns])


def _fingerprint(path: Path, facts: object) -> str:
    return hashlib.sha256(repr((str(path.resolve()), facts)).encode()).hexdigest()[:32]
