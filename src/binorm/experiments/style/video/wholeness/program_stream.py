"""MPEG program streams, as on DVDs: packs of packets with stated lengths; they may end after any."""

from binorm.experiments.style.video.wholeness.extent import Extent, Source, missing

PACK, END = b"\0\0\x01\xba", b"\0\0\x01\xb9"
PART = 1 << 20  # bytes that are looked at, at both ends
VIDEO = range(0xE0, 0xF0)


def program_stream_extent(source: Source) -> Extent:
    """A program stream with its end code is whole; within a packet it is cut for certain."""
    encrypted = _is_scrambled(source.read(0, PART))
    start = max(0, source.size - PART)
    tail = source.read(start, PART)
    if tail.rstrip(b"\0").endswith(END):
        return Extent(True, endless=True, encrypted=encrypted)
    end = start + _packets_end(tail)
    if end > source.size:
        return Extent(None, missing("its last packet", end, source.size), endless=True, encrypted=encrypted)
    return Extent(True, endless=True, encrypted=encrypted)


def _packets_end(tail: bytes) -> int:
    """Where the last packet ends that begins in ``tail``, from its last pack on."""
    at = tail.rfind(PACK)
    if at < 0:
        return len(tail)
    if len(tail) < at + 14:
        return at + 14
    at += 14 + (tail[at + 13] & 7) if tail[at + 4] >> 6 == 1 else 12  # of MPEG-2, or of MPEG-1
    while tail[at : at + 3] == PACK[:3] and at + 6 <= len(tail):
        at += 6 + int.from_bytes(tail[at + 4 : at + 6])
    return at


def _is_scrambled(head: bytes) -> bool:
    """Whether most packets of video are marked so."""
    marks, at = [], head.find(PACK[:3])
    while 0 <= at < len(head) - 7:
        if head[at + 3] in VIDEO and head[at + 6] >> 6 == 2:
            marks.append(bool(head[at + 6] & 0x30))
        at = head.find(PACK[:3], at + 3)
    return 2 * sum(marks) > len(marks)
