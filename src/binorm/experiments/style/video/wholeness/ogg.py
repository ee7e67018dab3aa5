"""Ogg: pages, of which the last of a stream is marked (RFC 3533)."""

from binorm.experiments.style.video.wholeness.extent import Extent, Source, missing

LONGEST_PAGE = 65_307
LAST = 4  # among a page's flags


def ogg_extent(source: Source) -> Extent:
    """Whether the last page is complete and marked as the last."""
    start = max(0, source.size - 2 * LONGEST_PAGE)
    tail = source.read(start, 2 * LONGEST_PAGE)
    at = tail.rfind(b"OggS\0")
    if at < 0:
        return Extent(None, "its last pages cannot be found")
    lengths = tail[at + 27 :][: tail[at + 26]] if at + 26 < len(tail) else b""
    end = start + at + 27 + len(lengths) + sum(lengths)
    if at + 27 + (tail[at + 26] if at + 26 < len(tail) else 0) > len(tail) or end > source.size:
        return Extent(False, missing("its last page", max(end, source.size + 1), source.size))
    return Extent(True) if tail[at + 5] & LAST else Extent(None, "its last page is not marked as the last")
