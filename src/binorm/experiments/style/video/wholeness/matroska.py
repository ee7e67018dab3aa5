"""Matroska and WebM: elements of a stated size (RFC 8794, RFC 9559); live recordings leave the sizes open."""

import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from binorm.experiments.style.video.wholeness.extent import Extent, Source, missing

SEGMENT, CLUSTER, CUES, TRACKS, INFO = 0x18538067, 0x1F43B675, 0x1C53BB6B, 0x1654AE6B, 0x1549A966
TIME_SCALE, DURATION = 0x2AD7B1, 0x4489
ENCRYPTION = (0xAE, 0x6D80, 0x6240, 0x5035)  # in the tracks: entry, encodings, encoding, encryption
MEDIA = {CLUSTER, TRACKS, INFO}
TOP = MEDIA | {CUES, 0x114D9B74, 0x1254C367, 0x1941A469, 0x1043A770, 0xEC, 0xBF}  # contents, tags, attachments, ...
BLOCKS = {0xE7, 0xA3, 0xA0, 0xAB, 0xA7, 0x5854, 0xAF, 0xEC, 0xBF}  # time, blocks alone and in groups, sizes, checks
MOST_ELEMENTS = 5_000_000
LARGEST_HEAD = 1 << 24  # bytes of an element that is looked into


class Element(NamedTuple):
    """An element's place; the end is None where it is left open."""

    kind: int
    body: int
    end: int | None


def matroska_extent(source: Source) -> Extent:
    """Whether the segment and its clusters lie within the file, and the clusters are made of blocks."""
    head = _element(source.read(0, 12), 0)
    segment = _element(source.read(head.end, 12), head.end) if head and head.end else None
    if segment is None or segment.kind != SEGMENT:
        return Extent(False, "its segment is missing")
    walk = _Walk(source, segment)
    problem = walk.problem()
    extent = Extent(True, seconds=walk.seconds, encrypted=walk.encrypted)
    if problem is not None:
        return replace(extent, whole=problem.whole, reason=problem.reason, damaged=problem.damaged)
    if segment.end is not None and segment.end > source.size:
        return replace(extent, whole=False, reason=missing("its segment", segment.end, source.size))
    if segment.end is None and not walk.indexed:
        return replace(extent, whole=None, reason="it has no length, like a live recording")
    return extent


class _Walk:
    """Goes through the elements of a segment, once.

    Attributes:
        seconds: the duration that the segment states, if it does.
        encrypted: whether a track is.
        indexed: whether there is an index, which is written last.
    """

    def __init__(self, source: Source, segment: Element) -> None:
        self._source, self._segment = source, segment
        self._seen = 0
        self.seconds: float | None = None
        self.encrypted = self.indexed = False

    def problem(self) -> Extent | None:
        """What is wrong with the first element that is cut or damaged, if any is."""
        source, start = self._source, self._segment.body
        limit = min(self._segment.end or source.size, source.size)
        while start < limit and self._seen < MOST_ELEMENTS:
            self._seen += 1
            element = _element(source.read(start, 12), start)
            if element is None or (element.kind not in TOP and (element.end or source.size) >= source.size):
                return self._not_an_element(start)
            if element.end is not None and element.end > source.size:
                what = f"its last {'cluster' if element.kind == CLUSTER else 'element'}"
                return Extent(False if element.kind in MEDIA else None, missing(what, element.end, source.size))
            end = self._blocks_end(element) if element.kind == CLUSTER else element.end
            if end is None or (element.end is not None and end < element.end):
                return Extent(False, f"its cluster at byte {start:,} is damaged", damaged=True)
            if end > source.size:
                return Extent(False, missing("its last cluster", end, source.size))
            if element.kind in MEDIA - {CLUSTER}:
                self._look_into(element.kind, source.read(element.body, min(end - element.body, LARGEST_HEAD)))
            self.indexed |= element.kind == CUES
            start = end
        return None

    def _not_an_element(self, start: int) -> Extent | None:
        if start + 12 > self._source.size:  # within the head of one
            return None if self._segment.end else Extent(False, "its last element is incomplete")
        if self._segment.end is None and self.indexed:  # something behind the end
            return None
        return Extent(False, f"it is damaged at byte {start:,}", damaged=True)

    def _look_into(self, kind: int, content: bytes) -> None:
        self.encrypted |= kind == TRACKS and any(True for _ in _inside(content, *ENCRYPTION))
        if kind == INFO:
            self.seconds = _seconds(content)

    def _blocks_end(self, cluster: Element) -> int | None:
        """Where the blocks of a cluster end, as far as they are some: at its end, or before what is none of its own."""
        start, size = cluster.body, self._source.size
        while start < (cluster.end or size) and self._seen < MOST_ELEMENTS:
            self._seen += 1
            block = _element(self._source.read(start, 12), start)
            if block is None and start + 12 > size:  # within the head of one
                return size + 1
            if block is None or block.kind not in BLOCKS or block.end is None:
                return start
            if cluster.end is not None and block.end > cluster.end:
                return start
            start = block.end
        return cluster.end if self._seen >= MOST_ELEMENTS and cluster.end else start


def _element(data: bytes, start: int) -> Element | None:
    """The element that begins with ``data``, which lies at ``start``."""
    if not data or not data[0]:
        return None
    width = 9 - data[0].bit_length()
    kind, rest = int.from_bytes(data[:width]), data[width:]
    if width > 4 or not rest or not rest[0]:
        return None
    length = 9 - rest[0].bit_length()
    if len(rest) < length:
        return None
    mask = (1 << 7 * length) - 1
    size = int.from_bytes(rest[:length]) & mask
    body = start + width + length
    return Element(kind, body, None if size == mask else body + size)


def _inside(data: bytes, *path: int) -> Iterator[bytes]:
    """The contents of all elements at a path of kinds."""
    start = 0
    while (element := _element(data[start : start + 12], start)) and element.end is not None:
        if element.kind == path[0]:
            body = data[element.body : element.end]
            yield from _inside(body, *path[1:]) if len(path) > 1 else (body,)
        start = element.end


def _seconds(info: bytes) -> float | None:
    scale = int.from_bytes(next(_inside(info, TIME_SCALE), b"\x0f\x42\x40"))
    duration = next(_inside(info, DURATION), b"")
    if len(duration) not in (4, 8):
        return None
    (ticks,) = struct.unpack(">f" if len(duration) == 4 else ">d", duration)
    return float(ticks) * scale / 1e9 if 0 < ticks < 1e15 else None
