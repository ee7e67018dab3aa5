"""The one folder that the page writes to: uploads and results, none of which stay."""

import hashlib
import os
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path

from binorm.demo.limits import MEBIBYTE, Limits

RESULTS = "results"
KEPT_RESULTS = 2  # of a visitor: the newest, and the one that a browser may still be fetching


class Shelf:
    """Files that live as long as somebody needs them.

    Args:
        folder: exists, and holds nothing else.
        limits: how much is kept, and for how long.
    """

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder = folder.resolve()
        self._limits = limits

    def put(self, visitor: str, name: str, data: bytes) -> Path:
        """Write a visitor's newest result, in the place of older ones, under a path that nobody can guess."""
        own = self._folder_of(visitor)
        place = own / f"{time.monotonic_ns():020}-{secrets.token_hex(8)}"
        place.mkdir(parents=True)
        path = place / name
        path.write_bytes(data)
        for old in sorted(own.iterdir())[:-KEPT_RESULTS]:
            shutil.rmtree(old, ignore_errors=True)
        return path

    def forget(self, visitor: str) -> None:
        """Delete a visitor's results."""
        shutil.rmtree(self._folder_of(visitor), ignore_errors=True)

    def holds(self, path: str) -> bool:
        """Whether a path, which a client may have made up, is that of a file in here; links do not lead out."""
        try:
            resolved = Path(path).resolve(strict=True)
        except (OSError, ValueError, RuntimeError):
            return False
        return resolved.is_file() and resolved.is_relative_to(self.folder)

    def use(self, path: str) -> bool:
        """As `holds`; and a file that is in here stays for longer."""
        if not self.holds(path):
            return False
        with suppress(FileNotFoundError):
            os.utime(path)
        return True

    def sweep(self) -> None:
        """Delete what nobody used for long, and the oldest files while there are too many bytes."""
        found = []
        for path in self.folder.rglob("*"):
            with suppress(OSError):
                facts = path.lstat()
                found.append((facts.st_mtime, facts.st_size, path))
        now, folders = time.time(), []
        kept = sum(size for _, size, path in found if not path.is_dir())
        for used, size, path in sorted(found):
            with suppress(OSError):
                old = now - used > self._limits.kept_seconds
                if path.is_dir():
                    folders += [path] * old
                elif old or kept > self._limits.kept_megabytes * MEBIBYTE:
                    path.unlink()
                    kept -= size
        for folder in sorted(folders, reverse=True):
            with suppress(OSError):
                folder.rmdir()  # fails, as it should, where something is left inside

    def _folder_of(self, visitor: str) -> Path:
        return self.folder / RESULTS / hashlib.sha256(visitor.encode()).hexdigest()[:32]
