"""GIF: blocks, and a byte that ends them."""

from binorm.experiments.style.video.wholeness.extent import Extent, Source

TRAILER = b";"


def gif_extent(source: Source) -> Extent:
    """Whether the file ends with the trailer; zeros behind it are nothing."""
    end = source.read(max(0, source.size - 4096), 4096).rstrip(b"\0")
    return Extent(True) if end.endswith(TRAILER) else Extent(False, "its end mark is missing")
