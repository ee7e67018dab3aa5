"""MP4, QuickTime, 3GP: boxes of a stated size, and tables of where each sample lies (ISO/IEC 14496-12)."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from binorm.experiments.style.video.wholeness.extent import Extent, Source, missing

TOP_BOXES = {b"ftyp", b"styp", b"moov", b"mdat", b"moof", b"sidx", b"wide", b"free", b"skip", b"pnot", b"uuid"}
MEDIA = {b"moov", b"mdat", b"moof", b"sidx", b"styp"}  # without all of which frames are missing
MOST_BOXES = 2_000_000
LARGEST_INDEX = 1 << 27  # bytes of a moov that is looked into
MOST_SAMPLES = 1 << 24  # in a chunk
ENCRYPTED = {b"encv", b"enca", b"drmi", b"drms"}  # Common Encryption, and that of a shop

Numbers = NDArray[np.int64]


class Box(NamedTuple):
    """A box's place in the file, or in the box around it."""

    kind: bytes
    start: int
    body: int
    end: int


class Track(NamedTuple):
    """What the index says of a track."""

    end: int  # of the last byte of its samples in this file
    encrypted: bool


def mp4_extent(source: Source) -> Extent:
    """Whether the boxes, and the samples that the tables name, lie within the file."""
    found = list(_boxes(source))
    kinds = [box.kind for box in found]
    if b"moov" not in kinds:
        return Extent(False, "its index, the box 'moov', is missing")
    cut = next((box for box in found if box.end > source.size), None)
    moov = found[kinds.index(b"moov")]
    if cut is moov:
        return Extent(False, missing("its box 'moov'", cut.end, source.size))
    index = source.read(moov.body, min(moov.end - moov.body, LARGEST_INDEX))
    tracks = [_track(index, box) for box in _inside(index, b"trak")]
    encrypted = any(track.encrypted for track in tracks)
    end = max((track.end for track in tracks), default=0)
    if end > source.size:
        reason = missing("the last sample of its index", end, source.size)
        return Extent(False, reason, _seconds(index, b"mvhd"), encrypted=encrypted)
    if any(_inside(index, b"mvex")) or b"moof" in kinds:
        return _fragmented(source, found, cut, index, encrypted)
    if cut and cut.kind in MEDIA and (not end or moov.end - moov.body > LARGEST_INDEX):  # the index cannot be read
        return Extent(False, missing(f"its box {_name(cut)}", cut.end, source.size), encrypted=encrypted)
    return Extent(True, encrypted=encrypted)


def _fragmented(source: Source, found: list[Box], cut: Box | None, index: bytes, encrypted: bool) -> Extent:
    """A file of fragments, each a box moof with its samples behind it; an index mfra may be at the end."""
    if cut is not None:
        reason = missing(f"its box {_name(cut)}", cut.end, source.size)
        return Extent(False if cut.kind in MEDIA else None, reason, encrypted=encrypted)
    kinds = [box.kind for box in found]
    if b"moof" in kinds and b"mdat" not in kinds[-1 - kinds[::-1].index(b"moof") :]:
        return Extent(False, "its last fragment has no samples", encrypted=encrypted)
    segments = [_segments_end(source, box) for box in found if box.kind == b"sidx"]
    if segments and max(segments) > source.size:
        return Extent(False, missing("its segment index", max(segments), source.size), encrypted=encrypted)
    if b"mfra" in kinds or (segments and max(segments) >= found[-1].start):
        return Extent(True, encrypted=encrypted)
    if not {b"moof", b"mdat"} & set(kinds):
        return Extent(False, "its fragments are missing", encrypted=encrypted)
    reason = "its fragments have no index that says how many there should be"
    return Extent(None, reason, _seconds(index, b"mvex", b"mehd"), encrypted=encrypted)


def _boxes(source: Source) -> Iterator[Box]:
    """Those of the file itself; the last may end behind the file. What is no box behind them is passed over."""
    start = 0
    for _ in range(MOST_BOXES):
        header = source.read(start, 16)
        if len(header) < 8 or not header[4:8].isascii() or not header[4:8].decode().isprintable():
            return
        box = _box(header, start, 0, source.size)
        if box is None:
            return
        yield box
        start = box.end


def _inside(data: bytes, *path: bytes) -> Iterator[bytes]:
    """The contents of all boxes at a path of kinds."""
    start = 0
    while (box := _box(data[start : start + 16], start, 0, len(data))) is not None:
        if box.kind == path[0]:
            body = data[box.body : box.end]
            yield from _inside(body, *path[1:]) if len(path) > 1 else (body,)
        start = box.end


def _box(header: bytes, start: int, offset: int, end: int) -> Box | None:
    if len(header) < 8:
        return None
    size, kind, body = int.from_bytes(header[:4]), header[4:8], 8
    if size == 1:
        size, body = int.from_bytes(header[8:16]), 16
    elif size == 0:  # to the end
        size = end - start
    return Box(kind, start, start + body, start + size) if size >= body else None


def _track(moov: bytes, trak: bytes) -> Track:
    """Where a track's samples end; 0 for those of another file."""
    table = b"".join(_inside(trak, b"mdia", b"minf", b"stbl"))
    entries = next(_inside(table, b"stsd"), b"")
    references = next(_inside(trak, b"mdia", b"minf", b"dinf", b"dref"), b"")
    elsewhere = len(references) >= 20 and not references[19] & 1
    return Track(0 if elsewhere else _samples_end(table), entries[12:16] in ENCRYPTED)


def _samples_end(table: bytes) -> int:
    """The end of the sample that lies last in the file, from the tables of chunks and of sizes."""
    chunks = _numbers(next(_inside(table, b"stco"), b""), 8, ">u4")
    if not len(chunks):
        chunks = _numbers(next(_inside(table, b"co64"), b""), 8, ">u8")
    runs = _numbers(next(_inside(table, b"stsc"), b""), 8, ">u4")
    sizes = next(_inside(table, b"stsz"), b"")
    if not len(chunks):
        return 0
    runs = runs[: len(runs) // 3 * 3].reshape(-1, 3)
    starts = np.clip(runs[:, 0] - 1, 0, len(chunks))
    lengths = np.clip(np.diff(np.append(starts, len(chunks))), 0, None)
    counts = np.zeros(len(chunks), np.int64)
    filled = np.repeat(np.minimum(runs[:, 1], MOST_SAMPLES), lengths)[: len(chunks)]
    counts[len(chunks) - len(filled) :] = filled
    if same := int.from_bytes(sizes[4:8]):
        return int((chunks + counts * same).max())
    ends = np.append(0, np.cumsum(_numbers(sizes, 12, ">u4")))
    last = np.clip(np.cumsum(counts), 0, len(ends) - 1)
    first = np.clip(np.cumsum(counts) - counts, 0, len(ends) - 1)
    used = counts > 0
    return int((chunks + ends[last] - ends[first])[used].max(initial=0))


def _numbers(body: bytes, start: int, kind: str) -> Numbers:
    """The numbers behind a table's head; none above 2^62, so that sums stay what they are."""
    values = np.frombuffer(body[start : len(body) - (len(body) - start) % np.dtype(kind).itemsize], kind)
    return np.minimum(values.astype(np.uint64), np.uint64(1 << 62)).astype(np.int64)


def _segments_end(source: Source, box: Box) -> int:
    """Where the last segment of a box sidx ends."""
    body = source.read(box.body, min(box.end - box.body, LARGEST_INDEX))
    wide = 8 if body[:1] == b"\x01" else 4
    offset = int.from_bytes(body[12 + wide : 12 + 2 * wide])
    references = _numbers(body, 16 + 2 * wide, ">u4")[::3] & 0x7FFFFFFF
    return box.end + offset + int(references.sum())


def _seconds(moov: bytes, *path: bytes) -> float | None:
    """The duration that a box states: mvhd, or, with all fragments, mehd."""
    head, box = next(_inside(moov, b"mvhd"), b""), next(_inside(moov, *path), b"")
    scale = int.from_bytes(head[20:24] if head[:1] == b"\x01" else head[12:16])
    at = 4 if path[-1] == b"mehd" else 24 if box[:1] == b"\x01" else 16
    duration = int.from_bytes(box[at : at + (8 if box[:1] == b"\x01" else 4)])
    return duration / scale if scale and duration else None


def _name(box: Box) -> str:
    return f"'{box.kind.decode('ascii', 'replace')}'"
