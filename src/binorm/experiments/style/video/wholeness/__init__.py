"""Whether a video file is whole: one file for each family of containers."""

from collections.abc import Callable
from typing import BinaryIO

from binorm.experiments.style.video.wholeness.extent import Extent, Source
from binorm.experiments.style.video.wholeness.flv import flv_extent
from binorm.experiments.style.video.wholeness.gif import gif_extent
from binorm.experiments.style.video.wholeness.matroska import matroska_extent
from binorm.experiments.style.video.wholeness.mp4 import TOP_BOXES, mp4_extent
from binorm.experiments.style.video.wholeness.ogg import ogg_extent
from binorm.experiments.style.video.wholeness.program_stream import program_stream_extent
from binorm.experiments.style.video.wholeness.riff import riff_extent
from binorm.experiments.style.video.wholeness.transport_stream import is_transport_stream, transport_stream_extent
from binorm.experiments.style.video.wholeness.windows_media import HEADER, windows_media_extent

__all__ = ["Extent", "extent_of"]

_STARTS: dict[bytes, Callable[[Source], Extent]] = {
    b"\x1a\x45\xdf\xa3": matroska_extent,
    b"RIFF": riff_extent,
    b"FLV": flv_extent,
    b"OggS": ogg_extent,
    b"\0\0\x01\xba": program_stream_extent,
    HEADER: windows_media_extent,
    b"GIF8": gif_extent,
}


def extent_of(file: BinaryIO) -> Extent:
    """What the container of an open file says of its end. Nothing is decoded; sizes and counts are never believed.

    The position in the file changes.
    """
    source = Source(file)
    start = source.read(0, 16)
    for beginning, extent in _STARTS.items():
        if start.startswith(beginning):
            return extent(source)
    if start[4:8] in TOP_BOXES:
        return mp4_extent(source)
    if is_transport_stream(source):
        return transport_stream_extent(source)
    return Extent(None, "its format does not say where it ends")
