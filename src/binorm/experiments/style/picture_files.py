"""Pictures as files of the common formats: upright 8-bit RGB with what belongs to it, and back."""

import io
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy
from PIL import Image

from binorm.experiments.common.decoding import ORIENTATION, decoded
from binorm.experiments.common.errors import UserError
from binorm.experiments.common.images import (
    BrokenImageError,
    NotAnImageError,
    TooLargeImageError,
    UnreadImageError,
    open_image,
)

MAX_PIXELS = 50_000_000
WRITE_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
SMALLER_FIRST = "make it smaller first, with `magick in.jpg -resize 7000x7000 out.jpg` (--size comes after decoding)"
LONGEST_SIDE = {"JPEG": 65_535, "WEBP": 16_383}
# The tags of a TIFF file that say something of the picture; the others say where in the file its pixels are.
TIFF_TAGS = {
    0x010E, 0x010F, 0x0110, ORIENTATION, 0x011A, 0x011B, 0x0128, 0x0131, 0x0132, 0x013B, 0x8298, 0x8769, 0x8825,
}  # fmt: skip
LONGEST_JPEG_EXIF = 65_533  # bytes


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture."""

    pixels: numpy.ndarray  # upright RGB, uint8 (H, W, 3)
    alpha: numpy.ndarray | None = None  # opacity, uint8 (H, W), if it has any transparency
    icc_profile: bytes | None = None  # of RGB, if there is one; sRGB is meant otherwise
    exif: bytes | None = None  # with the orientation 1, if there is any
    frames: int = 1  # or pages of the file, of which this is the first


def decode_picture(
    source: bytes | BinaryIO, name: str, max_pixels: int = MAX_PIXELS, way_out: str = "make it smaller"
) -> Picture:
    """Decode a PNG, JPEG, WebP, BMP, TIFF, GIF or PPM, of which the first frame is taken.

    Args:
        source: the file's content, or the file.
        name: for messages.
        max_pixels: width times height, known before anything is decoded.
        way_out: what to do with a larger picture.

    Raises:
        UserError: for anything else, for damaged or truncated pictures, for larger ones, for 32 bits a channel, and
            for kinds that would come out wrong.
    """
    try:
        # A picture that memory does not hold may be a whole one.
        with open_image(source, max_pixels=max_pixels, reraise=(MemoryError,)) as image:
            rgb, alpha, profile = decoded(image)
            opacity = None if alpha is None else numpy.array(alpha)
            return Picture(numpy.array(rgb), opacity, profile, _exif(image), _frames(image))
    except NotAnImageError as error:
        raise UserError(f"{name} is {error} (expected PNG, JPEG, WebP, BMP, TIFF, GIF or PPM)") from error
    except TooLargeImageError as error:
        size = f"{error.size} pixels, " * bool(error.size)
        limit = f"more than the {max_pixels / 1e6:g} megapixels that are taken: {way_out}"
        raise UserError(f"{name} has {size}{limit}") from error
    except UnreadImageError as error:
        raise UserError(f"{name} {error.predicate}") from error
    except BrokenImageError as error:
        raise UserError(f"{name} is damaged: {error}") from error


def read_picture(path: Path) -> Picture:
    """`decode_picture` of a file; raises a `UserError` as well if there is none or it may not be read."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    with file:
        return decode_picture(file, str(path), way_out=SMALLER_FIRST)


def encode_picture(picture: Picture, file_format: str) -> bytes:
    """Encode as "PNG", "JPEG" or "WEBP" (which lose next to nothing); JPEG has no alpha, so white lies behind it.

    Raises:
        UserError: for a picture with a side longer than the format allows.
    """
    height, width = picture.pixels.shape[:2]
    longest = LONGEST_SIDE.get(file_format, max(height, width))
    if max(height, width) > longest:
        raise UserError(
            f"a {file_format} has at most {longest:,} pixels a side (got {width}x{height}): write a PNG, or a smaller "
            "picture"
        )
    options: dict[str, Any] = {
        "PNG": {"compress_level": 4},
        "JPEG": {"quality": 95, "subsampling": 0},
        "WEBP": {"quality": 92},
    }[file_format]
    if picture.icc_profile:
        options["icc_profile"] = picture.icc_profile
    if picture.exif and not (file_format == "JPEG" and len(picture.exif) > LONGEST_JPEG_EXIF):
        options["exif"] = picture.exif
    image = Image.fromarray(picture.pixels)
    if picture.alpha is not None:
        alpha = Image.fromarray(picture.alpha)
        if file_format == "JPEG":
            image = Image.composite(image, Image.new("RGB", image.size, "white"), alpha)
        else:
            image.putalpha(alpha)
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def resize_picture(picture: Picture, long_side: int) -> Picture:
    """The same picture with its longer side brought to so many pixels.

    Raises:
        UserError: if it would have more than `MAX_PIXELS`.
    """
    height, width = picture.pixels.shape[:2]
    size = tuple(max(1, round(side * long_side / max(height, width))) for side in (width, height))
    if math.prod(size) > MAX_PIXELS:
        raise UserError(
            f"{size[0]}x{size[1]} pixels are more than the {MAX_PIXELS / 1e6:g} megapixels that are taken: give a "
            f"smaller size (got {long_side})"
        )

    def resized(array: numpy.ndarray) -> numpy.ndarray:
        return numpy.array(Image.fromarray(array).resize(size, Image.Resampling.LANCZOS))

    alpha = None if picture.alpha is None else resized(picture.alpha)
    return replace(picture, pixels=resized(picture.pixels), alpha=alpha)


def _exif(image: Image.Image) -> bytes | None:
    """Of a loaded picture, for its upright pixels. Damaged EXIF is dropped: the picture is more than that."""
    try:
        exif = image.getexif()
        if image.format == "TIFF":
            for tag in set(exif) - TIFF_TAGS:
                del exif[tag]
        if not exif:
            return None
        exif[ORIENTATION] = 1
        return exif.tobytes()
    except Exception:  # nearly anything, as above
        return None


def _frames(image: Image.Image) -> int:
    """How many frames or pages a decoded picture's file has; the further pictures of an MPO are parts of its first."""
    try:
        return 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))
    except Exception:  # later frames may be damaged
        return 1
