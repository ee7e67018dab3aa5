"""Files that are whole or absent: written beside their place, synced to the disk, then renamed onto it."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from binorm.experiments.common.errors import UserError


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside ``path`` for writing; put it in ``path``'s place when the block ends well.

    Raises:
        UserError: where the disk is full or the folder cannot be written; what stood at ``path`` is untouched.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise UserError(_explain(path, error)) from error


def write_bytes_atomically(path: Path, data: bytes) -> None:
    """Replace the content of ``path`` by ``data``, wholly or not at all."""
    with replacing(path) as file:
        file.write(data)


def write_text_atomically(path: Path, text: str) -> None:
    """Replace the content of ``path`` by ``text`` in UTF-8, wholly or not at all."""
    write_bytes_atomically(path, text.encode())


def _sync_folder(folder: Path) -> None:
    """Make the rename itself last; some file systems cannot sync a folder, and lose nothing else by it."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _explain(path: Path, error: OSError) -> str:
    ways_out = {
        errno.ENOSPC: "free some space, then run the same command again",
        errno.EDQUOT: "free some of your quota, then run the same command again",
        errno.EFBIG: "the file size limit is too low (ulimit -f)",
        errno.EACCES: "choose a folder that you may write to",
        errno.EROFS: "choose a folder that you may write to",
    }
    way_out = ways_out.get(error.errno or 0, "check the folder, then run the same command again")
    return f"cannot write {path}: {error.strerror}; {way_out}"
