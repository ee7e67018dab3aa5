"""What a container says of its own end."""

import os
from dataclasses import dataclass
from typing import BinaryIO


@dataclass(frozen=True)
class Extent:
    """Whether all of a video is there, by the evidence of its container alone."""

    whole: bool | None  # None: nothing tells
    reason: str = ""  # the evidence, or what is missing of it, of the form "its last cluster is incomplete"
    seconds: float | None = None  # how long the container says that it lasts, where its bytes do not tell its end
    endless: bool = False  # the recording of a broadcast, which begins and ends anywhere
    encrypted: bool = False
    damaged: bool = False  # within, and not whole for that reason


class Source:
    """A file that is read here and there; what lies behind its end is empty."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, os.SEEK_END)

    def read(self, start: int, length: int) -> bytes:
        """Bytes from ``start`` on, fewer at the end."""
        if start >= self.size:
            return b""
        self._file.seek(start)
        return self._file.read(length)


def missing(what: str, end: int, size: int) -> str:
    """The reason that a part of a file lies behind its end."""
    return f"{what} lacks {end - size:,} byte{'s' * (end - size != 1)}"
