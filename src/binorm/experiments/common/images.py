"""Encoded images from outside, opened within limits; and the numbers that images of ImageNet's kind are normalized by.

One guard for all: what comes may be anything, and decoders raise nearly anything for it.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy
from PIL import Image, UnidentifiedImageError

from binorm.experiments.common.errors import UserError

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
    """A file in none of the formats that are taken."""


class TooDeepImageError(BrokenImageError):
    """An image with more bits a channel than are taken."""


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
        TooLargeImageError: for more pixels.
        BrokenImageError: if what happens to it inside the context cannot be done.
    """
    other_faults: tuple[type[Exception], ...] = (UserError, BrokenImageError, *reraise)
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as image:
            # Pillow itself refuses only twice as much, and its warning cannot be made an error in one thread alone.
            if image.width * image.height > max_pixels:
                size = f"{image.width}x{image.height}"
                raise TooLargeImageError(f"{size} pixels are more than a photograph has", size)
            yield image
    except other_faults:
        raise
    except UnidentifiedImageError as error:
        raise NotAnImageError("not a picture") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TooLargeImageError(str(error)) from error
    except Exception as error:  # Pillow's decoders raise nearly anything for damaged data
        raise BrokenImageError(str(error) or type(error).__name__) from error


def eight_bits(image: Image.Image) -> Image.Image:
    """An image of 16 bits a channel brought to 8, whose white is white; any other of 8 bits or fewer as it is.

    Raises:
        TooDeepImageError: for 32 bits a channel, whose white nobody knows.
    """
    if image.mode in ("I", "F"):
        raise TooDeepImageError("has 32 bits a channel (expected 8 or 16): save it with 16 bits first")
    if not image.mode.startswith("I;16"):
        return image
    values = numpy.asarray(image).astype(numpy.uint32)
    return Image.fromarray(((values + 128) // 257).astype(numpy.uint8))


def in_rgb(image: Image.Image) -> Image.Image:
    """An image in red, green and blue of 8 bits; see `eight_bits`."""
    return image if image.mode == "RGB" else eight_bits(image).convert("RGB")
