"""AVI: chunks of a stated size in one RIFF, or, beyond a gigabyte, in several."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from binorm.experiments.style.video.wholeness.extent import Extent, Source, missing

MOST_CHUNKS = 5_000_000
_FRAME = re.compile(rb"\d\d[a-zA-Z]{2}|ix\d\d|LIST|JUNK|idx1")  # with others that lie between frames


class Chunk(NamedTuple):
    """A chunk's place; of lists, ``form`` says what they hold."""

    kind: bytes
    form: bytes
    start: int
    end: int


def riff_extent(source: Source) -> Extent:
    """Whether each RIFF, and the frames in it, lie within the file."""
    for riff in _chunks(source, 0, source.size):
        if riff.kind != b"RIFF":
            break
        inner = list(_chunks(source, riff.start + 12, min(riff.end, source.size)))
        frames = [chunk for chunk in inner if chunk.form == b"movi"]
        if riff.end == riff.start + 8 or any(each.end <= each.start + 12 for each in frames):
            return Extent(None, "its recording was not finished: it has no length")
        if riff.end > source.size:
            complete = bool(frames) and frames[-1].end <= source.size
            return Extent(
                None if complete else False, missing("its RIFF", riff.end, source.size), _seconds(source, inner)
            )
        for movi in frames:
            if (at := _broken_at(source, movi)) is not None:
                return Extent(False, f"its frames are damaged at byte {at:,}", _seconds(source, inner), damaged=True)
    return Extent(True)


def _broken_at(source: Source, movi: Chunk) -> int | None:
    """The first byte at which a list of frames is not made of chunks."""
    for chunk in _chunks(source, movi.start + 12, movi.end):
        if not _FRAME.fullmatch(chunk.kind) or chunk.end > movi.end:
            return chunk.start
    return None


def _seconds(source: Source, inner: list[Chunk]) -> float | None:
    """The duration by the main header, which is the first chunk of the first list."""
    head = source.read(inner[0].start + 12, 28) if inner and inner[0].form == b"hdrl" else b""
    microseconds, frames = int.from_bytes(head[8:12], "little"), int.from_bytes(head[24:28], "little")
    return microseconds * frames / 1e6 or None


def _chunks(source: Source, start: int, end: int) -> Iterator[Chunk]:
    for _ in range(MOST_CHUNKS):
        head = source.read(start, 12) if start < end else b""
        if len(head) < 8:
            return
        kind, size = head[:4], int.from_bytes(head[4:8], "little")
        yield Chunk(kind, head[8:12] if kind in (b"RIFF", b"LIST") else b"", start, start + 8 + size)
        start += 8 + size + size % 2
