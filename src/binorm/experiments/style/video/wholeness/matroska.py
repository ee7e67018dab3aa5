"""Matroska and WebM: elements of a stated size (RFC 8794, RFC 9559); live recordings leave the sizes open."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from binorm.experiments.style.video.wholeness.extent import Extent, Source, missing

SEGMENT, CLUSTER, CUES, TRACKS, INFO = 0x18538067, 0x1F43B675, 0x1C53BB6B, 0x1654AE6B, 0x1549A966
TIME_SCALE, DURATION = 0x2AD7B1, 0x4489
ENCRYPTION = (0xAE, 0x6D80, 0x6240, 0x5035)  # in the tracks: entry, encodings, encoding, encryption
MEDIA = {CLUSTER, TRACKS, INFO}
TOP = MEDIA | {CUES, 0x114D9B74, 0x1254C367, 0x1941A469, 0x1043A770, 0xEC}  # seek head, tags, attachments, chapters
MOST_ELEMENTS = 5_000_000
LARGEST_HEAD = 1 << 24  # bytes of an element that is looked into


class Element(NamedTuple):
    """An element's place; the end is None where it is left open."""

    kind: int
    body: int
    end: int | None


def matroska_extent(source: Source) -> Extent:
    """Whether the segment and its clusters lie within the file."""
    head = _element(source.read(0, 12), 0)
    segment = _element(source.read(head.end, 12), head.end) if head and head.end else None
    if segment is None or segment.kind != SEGMENT:
        return Extent(False, "its segment is missing")
    encrypted, seconds, indexed, seen = False, None, False, 0
    start, limit = segment.body, min(segment.end or source.size, source.size)
    while start < limit and (seen := seen + 1) < MOST_ELEMENTS:
        element = _element(source.read(start, 12), start)
        if element is None or element.kind not in TOP:
            if segment.end is None and start + 12 > source.size:
                return Extent(False, "its last element is incomplete", seconds, encrypted=encrypted)
            break
        end = element.end
        if end is None:
            end = _open_end(source, element.body)
        if end > source.size:
            reason = missing(f"its last {'cluster' if element.kind == CLUSTER else 'element'}", end, source.size)
            return Extent(False if element.kind in MEDIA else None, reason, seconds, encrypted=encrypted)
        content = source.read(element.body, min(end - element.body, LARGEST_HEAD)) if element.kind in MEDIA else b""
        encrypted |= element.kind == TRACKS and any(True for _ in _inside(content, *ENCRYPTION))
        seconds = _seconds(content) if element.kind == INFO else seconds
        indexed |= element.kind == CUES and start > segment.body
        start = end
    if segment.end is not None and segment.end > source.size:
        return Extent(False, missing("its segment", segment.end, source.size), seconds, encrypted=encrypted)
    if segment.end is not None or indexed:
        return Extent(True, encrypted=encrypted)
    return Extent(None, "it has no length, like a live recording", seconds, encrypted=encrypted)


def _open_end(source: Source, start: int) -> int:
    """The end of a cluster that does not say it: where the next element is none of its own."""
    for _ in range(MOST_ELEMENTS):
        element = _element(source.read(start, 12), start)
        if element is None:
            return source.size + (start < source.size)  # within the head of an element
        if element.kind in TOP - {0xEC} or element.end is None:
            return start
        if element.end >= source.size:
            return element.end
        start = element.end
    return start


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
