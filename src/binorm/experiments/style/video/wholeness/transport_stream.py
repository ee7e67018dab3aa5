"""MPEG transport streams: packets of one length, for broadcasts that are tuned in and out of at any moment."""

from binorm.experiments.style.video.wholeness.extent import Extent, Source

LENGTHS = (188, 192, 204)  # alone, with a time before each, with a check behind each
HEAD = 1 << 20  # bytes that are looked at
SYNC = 0x47
NO_PAYLOAD = 0x1FFF  # the packets that fill up


def is_transport_stream(source: Source) -> bool:
    """Whether packets follow each other from near the beginning on."""
    return _grid(source.read(0, HEAD)) is not None


def transport_stream_extent(source: Source) -> Extent:
    """A transport stream may end after any packet; within one it is cut for certain."""
    head = source.read(0, HEAD)
    first, length = _grid(head) or (0, LENGTHS[0])
    before = 4 if length == 192 else 0
    packets = [head[at : at + 4] for at in range(first, len(head) - 4, length) if head[at] == SYNC]
    filled = [each for each in packets if int.from_bytes(each[1:3]) & 0x1FFF != NO_PAYLOAD and each[3] & 0x10]
    encrypted = 2 * sum(each[3] >> 6 > 1 for each in filled) > len(filled)
    rest = (source.size - first + before) % length
    at_end = source.read(source.size - rest + before, 1)
    cut = rest > before and at_end == bytes([SYNC])
    reason = f"its last packet has {rest} of {length} bytes" if cut else ""
    return Extent(None if cut else True, reason, endless=True, encrypted=encrypted)


def _grid(head: bytes) -> tuple[int, int] | None:
    """Where the first packet's mark is, and the length of packets, if five in a row have it."""
    for first in range(min(len(head), 4 * LENGTHS[-1])):
        for length in LENGTHS if head[first] == SYNC else ():
            marks = head[first : first + 5 * length : length]
            if len(marks) >= min(5, max(2, (len(head) - first) // length)) and set(marks) == {SYNC}:
                return first, length
    return None
