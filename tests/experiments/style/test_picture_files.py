import io
import struct
import zlib

import numpy
import pytest
from photo_trees import encode, photograph
from PIL import Image, ImageCms, features

from binorm.experiments.common.errors import UserError
from binorm.experiments.style.picture_files import (
    Picture,
    decode_picture,
    encode_picture,
    read_picture,
    resize_picture,
)

PHOTO = photograph(3, (37, 23))
PIXELS = numpy.asarray(PHOTO)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _exif(**tags):
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    for name, value in tags.items():
        exif[{"orientation": 0x0112}[name]] = value
    return exif


@pytest.mark.parametrize(
    ("file_format", "options"),
    [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("WEBP", {"lossless": True})],
)
def test_lossless_formats_give_their_pixels(file_format, options):
    picture = decode_picture(encode(PHOTO, file_format, **options), "photo")
    assert numpy.array_equal(picture.pixels, PIXELS)
    assert picture.pixels.dtype == numpy.uint8
    assert picture.pixels.flags.writeable
    assert (picture.alpha, picture.icc_profile, picture.exif) == (None, None, None)


def test_jpeg_is_about_the_same():
    assert numpy.abs(decode_picture(encode(PHOTO), "photo").pixels.astype(int) - PIXELS).mean() < 5


def test_the_first_frame_of_a_gif_is_taken():
    frames = [photograph(k, (20, 10)).quantize(16) for k in (1, 2)]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert numpy.array_equal(decode_picture(data, "a.gif").pixels, numpy.asarray(frames[0].convert("RGB")))


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled(file_format):
    values = numpy.array([[0, 128, 129, 257, 1000], [30000, 32896, 65278, 65406, 65535]], numpy.uint16)
    pixels = decode_picture(encode(Image.fromarray(values), file_format), "grey").pixels
    expected = numpy.rint(values / 65535 * 255)
    assert numpy.array_equal(pixels, numpy.repeat(expected[..., None], 3, axis=2))


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_grey_and_palettes_become_rgb(mode):
    image = PHOTO.quantize(9) if mode == "P" else PHOTO.convert(mode)
    picture = decode_picture(encode(image, "PNG"), "photo")
    assert numpy.array_equal(picture.pixels, numpy.asarray(image.convert("RGB")))
    assert picture.alpha is None


def test_cmyk_becomes_rgb_without_its_profile():
    cmyk = PHOTO.convert("CMYK")
    expected = numpy.asarray(cmyk.convert("RGB"))
    not_of_cmyk = SRGB[:16] + b"CMYK" + SRGB[20:]
    for profile in ({}, {"icc_profile": not_of_cmyk}, {"icc_profile": SRGB}):
        picture = decode_picture(encode(cmyk, "TIFF", **profile), "print.tif")
        assert numpy.array_equal(picture.pixels, expected)
        assert picture.icc_profile is None


def test_the_profile_of_grey_is_applied_and_not_kept():
    """A grey profile made by hand: its tone curve is gamma 1, so grey 64 is 137 in sRGB."""
    data = encode(Image.new("L", (8, 8), 64), "PNG", icc_profile=_linear_grey_profile())
    picture = decode_picture(data, "grey.png")
    assert picture.icc_profile is None
    assert numpy.abs(picture.pixels.astype(int) - 137).max() <= 1


def _linear_grey_profile():
    d50 = struct.pack(">3i", round(0.9642 * 65536), 65536, round(0.8249 * 65536))
    tags = {b"wtpt": b"XYZ \0\0\0\0" + d50, b"kTRC": b"curv\0\0\0\0\0\0\0\0"}
    table, body = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        table += name + struct.pack(">II", 128 + 4 + 12 * len(tags) + len(body), len(content))
        body += content
    header = struct.pack(">I4xI", 132 + 12 * len(tags) + len(body), 0x02400000) + b"mntrGRAYXYZ " + bytes(12) + b"acsp"
    return (header + bytes(28) + d50).ljust(128, b"\0") + table + body


def _palette_with_transparency():
    image = PHOTO.quantize(4)
    return image, {"transparency": bytes([0, 100, 255, 255])}


def _key_colour():
    image = PHOTO.copy()
    image.paste((1, 2, 3), (0, 0, 5, 5))
    return image, {"transparency": (1, 2, 3)}


@pytest.mark.parametrize(
    "make",
    [
        lambda: (Image.fromarray(numpy.dstack([PIXELS, PIXELS[..., 0]])), {}),
        lambda: (Image.fromarray(PIXELS[..., :2].copy(), "LA"), {}),
        _palette_with_transparency,
        _key_colour,
    ],
    ids=["RGBA", "LA", "palette", "key colour"],
)
@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated:DeprecationWarning")
def test_transparency_is_kept(make):
    image, options = make()
    data = encode(image, "PNG", **options)
    rgba = numpy.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))
    picture = decode_picture(data, "a.png")
    assert len(numpy.unique(picture.alpha)) > 1
    assert numpy.array_equal(numpy.dstack([picture.pixels, picture.alpha]), rgba)
    again = decode_picture(encode_picture(picture, "PNG"), "b.png")
    assert numpy.array_equal(again.alpha, picture.alpha)
    assert numpy.array_equal(again.pixels, picture.pixels)
    assert numpy.array_equal(decode_picture(encode_picture(picture, "WEBP"), "b.webp").alpha, picture.alpha)


def test_behind_a_transparent_jpeg_lies_white():
    alpha = numpy.zeros((16, 16), numpy.uint8)
    alpha[:, 8:] = 255
    picture = Picture(numpy.full((16, 16, 3), (200, 10, 10), numpy.uint8), alpha)
    again = decode_picture(encode_picture(picture, "JPEG"), "a.jpg")
    assert again.alpha is None
    assert numpy.abs(again.pixels[:, :7].astype(int) - 255).max() < 6
    assert numpy.abs(again.pixels[:, 9:].astype(int) - (200, 10, 10)).max() < 6


UPRIGHT = {  # what was stored, from what is seen
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: p.transpose(1, 0, 2)[::-1],
    7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
    8: lambda p: p.transpose(1, 0, 2)[:, ::-1],
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF"])
def test_pictures_are_turned_upright(orientation, file_format):
    stored = Image.fromarray(numpy.ascontiguousarray(UPRIGHT[orientation](PIXELS)))
    options = {"lossless": True} if file_format == "WEBP" else {}
    data = encode(stored, file_format, exif=_exif(orientation=orientation), **options)
    picture = decode_picture(data, "photo")
    assert numpy.array_equal(picture.pixels, PIXELS)
    exif = Image.Exif()
    exif.load(picture.exif)
    assert dict(exif) == {0x0112: 1, 0x010F: "Maker"}


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
def test_profile_and_exif_are_written_again(file_format):
    given = decode_picture(encode(PHOTO, "JPEG", exif=_exif(orientation=6), icc_profile=SRGB), "photo.jpg")
    again = decode_picture(encode_picture(given, file_format), "again")
    assert given.pixels.shape == again.pixels.shape == (37, 23, 3)  # not turned twice
    assert again.icc_profile == given.icc_profile == SRGB
    exif = Image.Exif()
    exif.load(again.exif)
    assert dict(exif) == {0x0112: 1, 0x010F: "Maker"}


def test_damaged_exif_costs_no_picture():
    data = encode(PHOTO, "WEBP", exif=b"Exif\0\0II*\0 and then nothing that makes sense", lossless=True)
    assert numpy.array_equal(decode_picture(data, "photo.webp").pixels, PIXELS)


def test_exif_too_long_for_a_jpeg_is_left_out():
    picture = Picture(PIXELS, exif=b"Exif\0\0" + bytes(70_000))
    assert decode_picture(encode_picture(picture, "JPEG"), "a.jpg").exif is None


def _huge_png(width, height):
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    header = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return b"\x89PNG\r\n\x1a\n" + header + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


@pytest.mark.parametrize("size", [(10_000, 5_001), (12_000, 9_000), (100_000, 100_000)])
def test_too_many_pixels_are_refused_before_decoding(size):
    with pytest.raises(UserError, match=r"^bomb\.png has .*more than the 50 megapixels"):
        decode_picture(_huge_png(*size), "bomb.png")


def test_the_limit_is_the_callers():
    data = encode(PHOTO, "PNG")
    assert decode_picture(data, "a.png", 37 * 23).pixels.shape == (23, 37, 3)
    with pytest.raises(UserError, match=r"a\.png has 37x23 pixels, more than the 0\.00085 megapixels"):
        decode_picture(data, "a.png", 37 * 23 - 1)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.95, 0.5, 0.1])
def test_truncated_pictures_are_refused(file_format, share):
    noise = Image.fromarray(numpy.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=numpy.uint8))
    data = encode(noise, file_format)
    with pytest.raises(UserError, match=r"^half\.pic is (damaged: |not a picture)"):
        decode_picture(data[: int(share * len(data))], "half.pic")


@pytest.mark.parametrize("data", [b"hello", b"Good morning", b"\0" * 2000])
def test_other_files_are_refused(data):
    with pytest.raises(UserError, match=r"^notes\.txt is not a picture \(expected PNG, .*, GIF or PPM\)"):
        decode_picture(data, "notes.txt")


def test_formats_that_are_not_named_are_refused():
    with pytest.raises(UserError, match="not a picture"):
        decode_picture(encode(PHOTO, "TGA"), "photo.tga")


def test_thirty_two_bits_are_refused():
    data = encode(Image.fromarray(numpy.ones((9, 9), numpy.int32)), "TIFF")
    with pytest.raises(UserError, match=r"^depth\.tif has signed numbers for pixels, .*: save it as a PNG"):
        decode_picture(data, "depth.tif")


def test_files_that_cannot_be_read_are_named(tmp_path):
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(UserError, match=f"cannot read {path}"):
            read_picture(path)


def test_sides_that_a_format_cannot_hold_are_refused():
    assert features.check("webp")
    for file_format, side in (("WEBP", 16_384), ("JPEG", 65_536)):
        with pytest.raises(UserError, match=f"a {file_format} has at most .* pixels a side .*: write a PNG"):
            encode_picture(Picture(numpy.zeros((1, side, 3), numpy.uint8)), file_format)


def test_resizing_goes_by_the_long_side():
    picture = Picture(PIXELS, alpha=PIXELS[..., 0], icc_profile=b"profile", exif=b"exif")
    small, large = resize_picture(picture, 10), resize_picture(picture, 74)
    assert small.pixels.shape == (6, 10, 3)
    assert large.pixels.shape == (46, 74, 3)
    assert large.alpha.shape == (46, 74)
    assert (small.icc_profile, small.exif) == (b"profile", b"exif")
    assert numpy.abs(large.pixels.astype(int)[::2, ::2] - PIXELS).mean() < 6
    with pytest.raises(UserError, match=r"10000x6216 pixels are more than the 50 megapixels.*\(got 10000\)"):
        resize_picture(picture, 10_000)
