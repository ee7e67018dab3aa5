"""An opened picture's pixels: upright, in red, green and blue of 8 bits, with its opacity; one way for all that read.

Training and drawing see the same: EXIF's orientation is followed, the white of 16 bits is white, grey and CMYK go by
their colour profile, and what is transparent has no colour of its own.
"""

import io
from typing import NamedTuple

import numpy
from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin

from binorm.experiments.common.images import UnreadImageError

ORIENTATION = 0x0112  # among the EXIF tags
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
DRAFTED = ("JPEG", "MPO")  # formats that can be decoded at a fraction of their size
ON_ITS_SIDE = {5, 6, 7, 8}  # orientations that swap width and height
CONVERTED = {"1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV"}  # what Pillow itself turns into RGB


class Decoded(NamedTuple):
    """A picture's pixels.

    Attributes:
        rgb: upright, of mode RGB.
        alpha: its opacity, of mode L, if it has any transparency.
        profile: the colour profile of ``rgb``, if there is one; sRGB is meant otherwise.
    """

    rgb: Image.Image
    alpha: Image.Image | None
    profile: bytes | None


def decoded(image: Image.Image) -> Decoded:
    """What an opened picture shows that is not loaded yet; it may be a drafted one.

    Raises:
        UnreadImageError: for 32 bits a channel, whose white nobody knows, and colours that cannot be brought to RGB.
    """
    key = _key_colour(image)
    profile = image.info.get("icc_profile")
    image.load()
    turn = TURNS.get(orientation(image))
    if key is None:
        shown, alpha = _split_alpha(eight_bits(image))
    else:
        shown, alpha = eight_bits(image), key.opacity(numpy.asarray(image))
        shown.info.pop("transparency", None)
    rgb, profile = _to_rgb(shown, profile)
    if turn is not None:
        rgb, alpha = rgb.transpose(turn), None if alpha is None else alpha.transpose(turn)
        rgb.info.clear()  # or EXIF would have it turned once more
    return Decoded(rgb, alpha, profile)


def in_rgb(image: Image.Image) -> Image.Image:
    """What an opened picture shows before white; see `decoded`."""
    rgb, alpha, _ = decoded(image)
    if alpha is None or alpha.getextrema()[0] == 255:
        return rgb
    return Image.composite(rgb, Image.new("RGB", rgb.size, "white"), alpha)


def orientation(image: Image.Image) -> int:
    """How a picture is still to be turned, as EXIF counts it; 1, upright, if nothing sensible is said."""
    try:
        value = image.getexif().get(ORIENTATION)
    except Exception:  # damaged EXIF raises nearly anything, and the picture is more than that
        return 1
    return value if isinstance(value, int) and value in TURNS else 1


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height of an opened JPEG once it is upright; nothing is decoded for them."""
    width, height = image.size
    return (height, width) if orientation(image) in ON_ITS_SIDE else (width, height)


def draft(image: Image.Image, size: tuple[int, int]) -> float:
    """Have a JPEG decoded at a fraction of its size, but at no less than ``size``, the upright width and height.

    Returns:
        The fraction: 1 where the whole is decoded.
    """
    before = image.width
    drafted = image.draft(None, size[::-1] if orientation(image) in ON_ITS_SIDE else size)
    return drafted[1][2] / before if drafted else 1.0


def eight_bits(image: Image.Image) -> Image.Image:
    """A loaded picture of 16 bits a channel brought to 8, whose white is white; any other of 8 bits or fewer as it is.

    Raises:
        UnreadImageError: for 32 bits a channel.
    """
    sixteen = image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM"))
    if image.mode in ("I", "F") and not sixteen:
        raise UnreadImageError("has 32 bits a channel (expected 8 or 16): save it with 16 bits first")
    if not sixteen:
        return image
    values, white = numpy.asarray(image).astype(numpy.uint32), 65_535
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        white = 2 ** image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (16,))[0] - 1
        if image.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0:  # zero is white, which Pillow overlooks
            values = white - values
    return Image.fromarray(((values * 255 + white // 2) // white).astype(numpy.uint8))


class _KeyColour(NamedTuple):
    """The colour of a PNG that is transparent, in samples of the file, which need not be those of 8 bits.

    Attributes:
        value: of grey, or of red, green and blue.
        packing: how samples lie in the file, such as ``L;4``.
        low: the lower halves of red, green and blue of 16 bits, of which Pillow gives the upper ones: (H, W, 3).
    """

    value: int | tuple[int, int, int]
    packing: str
    low: numpy.ndarray | None

    def opacity(self, pixels: numpy.ndarray) -> Image.Image:
        """0 where the decoded ``pixels`` have the colour, else 255."""
        value = numpy.asarray(self.value)
        if self.low is not None:
            found = (pixels.astype(numpy.uint16) << 8 | self.low) == value
        elif pixels.dtype == numpy.uint8:
            step = {"L;2": 85, "L;4": 17}.get(self.packing, 1)  # by which Pillow multiplies samples of 2 and 4 bits
            found = pixels == (value & 255 // step) * step
        else:
            found = pixels == (value != 0 if pixels.dtype == numpy.bool_ else value)
        transparent = found if found.ndim == 2 else found.all(-1)
        return Image.fromarray(numpy.where(transparent, 0, 255).astype(numpy.uint8))


def _key_colour(image: Image.Image) -> _KeyColour | None:
    """Of a PNG that is not loaded yet, if it has one."""
    value = image.info.get("transparency")
    if not isinstance(image, PngImagePlugin.PngImageFile) or value is None or image.mode == "P":
        return None
    packing = str(image.tile[0].args) if image.tile else ""
    return _KeyColour(value, packing, _low_bytes(image) if packing == "RGB;16B" else None)


def _low_bytes(image: PngImagePlugin.PngImageFile) -> numpy.ndarray:
    file = image.fp
    assert file is not None  # noqa: S101 (it is not loaded yet)
    place = file.tell()
    file.seek(0)
    with PngImagePlugin.PngImageFile(file) as again:
        again.tile = [tile._replace(args="RGB;16L") for tile in again.tile]
        low = numpy.array(again)
    file.seek(place)
    return low


def _split_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Without its opacity, and that."""
    if image.mode in ("La", "RGBa"):  # colours that were multiplied by it
        image = image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode])
    if not image.has_transparency_data:
        return image, None
    rgba = image.convert("RGBA")
    # A profile of grey belongs to one channel.
    return (image.convert("L") if image.mode in ("L", "LA") else rgba.convert("RGB")), rgba.getchannel("A")


def _to_rgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, bytes | None]:
    """Pixels in RGB, and the profile if it is one of RGB; one of CMYK or grey is used up."""
    space = profile[16:20] if profile else b""
    if profile and (space, image.mode) in ((b"CMYK", "CMYK"), (b"GRAY", "L")):
        try:
            standard = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, io.BytesIO(profile), standard, outputMode="RGB")
            if converted is not None:
                return converted, None
        except ImageCms.PyCMSError:  # a damaged profile: without it, colours are about right
            pass
    if image.mode not in CONVERTED:
        raise UnreadImageError(f"has colours of the kind {image.mode}, which are not read: save it in RGB first")
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    return rgb, profile if space == b"RGB " and image.mode != "CMYK" else None
