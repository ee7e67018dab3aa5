"""Files that are whole or absent: written beside their place, synced to the disk, then renamed onto it."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from binorm.experiments.common.errors import UserError

# Of files and folders on their way, whatever their names will be: hidden, short, and ours if a power cut leaves one.
TEMPORARY_PREFIX, TEMPORARY_SUFFIX = ".binorm-", ".tmp"

_WAYS_OUT = {
    errno.ENOSPC: "free some space, then run the same command again",
    errno.EDQUOT: "free some of your quota, then run the same command again",
    errno.EFBIG: "the file system, or a limit (ulimit -f), takes no file as large as this",
    errno.EACCES: "choose a folder that you may write to",
    errno.EROFS: "choose a folder that you may write to",
    errno.ENAMETOOLONG: "the file system takes no name as long as this",
    errno.EILSEQ: "the file system takes no such name",
    errno.EINVAL: "the file system takes no such name",
    errno.EISDIR: "a folder is where the file should be",
    errno.EEXIST: "a file is where a folder should be",
    errno.ENOTDIR: "a file is where a folder should be",
}
_FAULTS_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


class UnwritableError(UserError):
    """No other file could be written either: the disk is full, or nothing may be written to it."""


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside ``path`` for writing; put it in ``path``'s place when the block ends well.

    Raises:
        UnwritableError: where the disk is full, or nothing may be written to it.
        UserError: where this file alone cannot be written. In both cases what stood at ``path`` is untouched.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(TEMPORARY_SUFFIX, TEMPORARY_PREFIX, path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            with suppress(PermissionError):  # of file systems without modes
                temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise _explained(path, error) from error


def write_bytes_atomically(path: Path, data: bytes) -> None:
    """Replace the content of ``path`` by ``data``, wholly or not at all."""
    with replacing(path) as file:
        file.write(data)


def write_text_atomically(path: Path, text: str) -> None:
    """Replace the content of ``path`` by ``text`` in UTF-8, wholly or not at all."""
    write_bytes_atomically(path, text.encode())


def require_writable(folder: Path) -> None:
    """Find out, before any work, whether files can be written into a folder; nothing is left behind.

    Raises:
        UserError: if not, or if the folder is not there and cannot be made.
    """
    missing = [each for each in (folder, *folder.parents) if not os.path.lexists(each)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(prefix=TEMPORARY_PREFIX, suffix=TEMPORARY_SUFFIX, dir=folder):
            pass
    except OSError as error:
        raise _explained(folder, error) from error
    finally:
        for each in missing:
            with suppress(OSError):
                each.rmdir()


def _sync_folder(folder: Path) -> None:
    """Make the rename itself last; some file systems cannot sync a folder, and lose nothing else by it."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _explained(path: Path, error: OSError) -> UserError:
    way_out = _WAYS_OUT.get(error.errno or 0, "check the folder, then run the same command again")
    kind = UnwritableError if error.errno in _FAULTS_OF_THE_DISK else UserError
    return kind(f"cannot write {path}: {error.strerror or error}; {way_out}")
