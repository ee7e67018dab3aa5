"""FLV: tags, each followed by its size."""

import struct

from binorm.experiments.style.video.wholeness.extent import Extent, Source, missing

SCRIPT = 18
KINDS = {8, 9, SCRIPT}  # sound, picture, metadata
MOST_TAGS = 5_000_000
LARGEST_SCRIPT = 1 << 20


def flv_extent(source: Source) -> Extent:
    """Whether the last tag is complete, and the file as long as its metadata say."""
    start = int.from_bytes(source.read(5, 4)) + 4
    length = seconds = None
    for _ in range(MOST_TAGS):
        head = source.read(start, 11)
        if not head:
            break
        if head[0] & 0x1F not in KINDS:
            return Extent(False, f"its tags are damaged at byte {start:,}", seconds, damaged=True)
        size = int.from_bytes(head[1:4])
        end = start + 11 + size
        if len(head) < 11 or end > source.size:
            return Extent(False, missing("its last tag", max(end, start + 11), source.size), seconds)
        if head[0] & 0x1F == SCRIPT and length is None:
            script = source.read(start + 11, min(size, LARGEST_SCRIPT))
            length, seconds = _number(script, b"filesize"), _number(script, b"duration")
        if end + 4 > source.size:
            return Extent(None, missing("the size behind its last tag", end + 4, source.size), seconds)
        start = end + 4
    if length and length > source.size:
        return Extent(False, missing("the size that it states", int(length), source.size), seconds)
    return Extent(True) if length else Extent(None, "it states no size, like a live recording", seconds)


def _number(script: bytes, name: bytes) -> float | None:
    """A positive number of the metadata (AMF 0)."""
    at = script.find(len(name).to_bytes(2) + name + b"\0")
    value = script[at + len(name) + 3 :][:8]
    if at < 0 or len(value) < 8:
        return None
    (number,) = struct.unpack(">d", value)
    return float(number) if 0 < number < 1e18 else None
