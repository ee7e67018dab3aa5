"""Encoded images from outside, opened within limits; and the numbers that images of ImageNet's kind are normalized by.

One guard for all: what comes may be anything, and decoders raise nearly anything for it.
"""

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from PIL import BmpImagePlugin, GifImagePlugin, Image, TiffImagePlugin, UnidentifiedImageError

from binorm.experiments.common.bmp_runs import why_misread
from binorm.experiments.common.errors import UserError
from binorm.experiments.common.picture_content import HEAD, RAW, kind_of_content, other_content, taken_format, unread
from binorm.experiments.common.silence import silence_pillow
from binorm.experiments.common.tiff_kinds import check_tags, why_unread

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of red, green, blue in [0, 1]
FORMATS = (
    "PNG",
    "JPEG",
    "BMP",
    "PPM",
    "WEBP",
    "TIFF",
    "GIF",
)  # whatever a file's name: others may start programs to be decoded
MAX_PIXELS = 2**26  # more than any photograph of a data set has; a bomb is beyond it


class BrokenImageError(Exception):
    """A file that should be an image and cannot be decoded; the message says why."""


class NotAnImageError(BrokenImageError):
    """A file in none of the formats that are taken; the message is what it is instead."""


class UnreadImageError(BrokenImageError):
    """A whole file of a kind that is not read, or whose pixels would come out wrong: a picture of any kind, or a video.

    Attributes:
        predicate: what goes on behind the file's name, with what makes a picture of it that is read.
    """

    def __init__(self, predicate: str) -> None:
        super().__init__(f"it {predicate}")
        self.predicate = predicate


class TooLargeImageError(BrokenImageError):
    """An image with more pixels than are taken."""

    def __init__(self, message: str, size: str = "") -> None:
        super().__init__(message)
        self.size = size


@contextmanager
def open_image(
    source: bytes | BinaryIO,
    max_pixels: int = MAX_PIXELS,
    reraise: tuple[type[Exception], ...] = (),
) -> Iterator[Image.Image]:
    """An encoded image after its header, not yet decoded; what goes wrong inside the context is the image's fault.

    Args:
        source: the bytes, or a file of them.
        max_pixels: width times height, known from the header before anything is decoded.
        reraise: errors, beside `UserError`, that are not the image's fault.

    Raises:
        NotAnImageError: for a format that is not among `FORMATS`.
        UnreadImageError: for known kinds of those, and for a TIFF that Pillow reads wrongly, or not at all.
        TooLargeImageError: for more pixels.
        BrokenImageError: if what happens to it inside the context cannot be done.
    """
    silence_pillow()
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    too_many = f"more than the {max_pixels / 1e6:.0f} megapixels that are decoded: make it smaller first"
    other_faults: tuple[type[Exception], ...] = (UserError, BrokenImageError, *reraise)
    try:
        with Image.open(file, formats=FORMATS) as image:
            # Pillow itself refuses only twice as much, and its warning cannot be made an error in one thread alone.
            if image.width * image.height > max_pixels:
                size = f"{image.width}x{image.height}"
                raise TooLargeImageError(f"{size} pixels are {too_many}", size)
            if reason := _misread(image, file):
                raise UnreadImageError(reason)
            yield image
    except other_faults:
        raise
    except UnidentifiedImageError as error:
        raise _unopened(file) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TooLargeImageError(f"its pixels are {too_many}") from error
    except Exception as error:  # Pillow's decoders raise nearly anything for damaged data
        raise BrokenImageError(str(error) or type(error).__name__) from error


def _misread(image: Image.Image, file: BinaryIO) -> str:
    """Why the pixels of an opened picture would come out wrong, to go on behind its name; empty if they would not."""
    place = file.tell()
    length = file.seek(0, io.SEEK_END)
    file.seek(0)
    try:
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            kind = kind_of_content(file.read(HEAD))
            raw = kind is not None and kind.name == RAW.name  # some cameras' files begin as TIFF
            return f"is {unread(RAW)}" if raw else check_tags(image.tag_v2, length)
        if isinstance(image, GifImagePlugin.GifImageFile):
            return _misread_gif(image, file.read(10))
        if isinstance(image, BmpImagePlugin.BmpImageFile):
            return _misread_bmp(image, file)
    finally:
        file.seek(place)
    return ""


def _misread_gif(image: GifImagePlugin.GifImageFile, header: bytes) -> str:
    if image.size != struct.unpack("<6xHH", header):
        return "is a GIF whose first frame is larger than the GIF itself: save it as a PNG first"
    covered = image.tile[0].extents if image.tile else None
    if covered != (0, 0, *image.size) and "transparency" not in image.info:
        return "is a GIF whose first frame covers a part of it, and the rest is left open: save it as a PNG first"
    return ""


def _misread_bmp(image: BmpImagePlugin.BmpImageFile, file: BinaryIO) -> str:
    tile, header = image.tile[0], file.read(14)
    if int.from_bytes(header[10:], "little") != tile.offset:
        return "is a BMP whose pixels begin within its palette, as it says: save it as a PNG first"
    if tile.codec_name != "bmp_rle":
        return ""
    file.seek(tile.offset)
    four_bits = isinstance(tile.args, tuple) and bool(tile.args[1])
    return why_misread(file.read(), *image.size, tile.offset, four_bits)


def _unopened(file: BinaryIO) -> BrokenImageError:
    """Why Pillow knows nothing of a file."""
    file.seek(0)
    head = file.read(HEAD)
    taken = taken_format(head)
    if kind := kind_of_content(head):
        return UnreadImageError(f"is {unread(kind)}")
    if taken == "TIFF" and (reason := why_unread(file)):
        return UnreadImageError(reason)
    if taken:
        return BrokenImageError(f"it begins as a {taken} and does not go on as one")
    return NotAnImageError(other_content(head))
