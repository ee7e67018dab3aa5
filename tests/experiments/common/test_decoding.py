"""One decoder: every mode and depth, turned upright, with its transparency, the same for training and for drawing."""

import io
import struct

import numpy
import pytest
from odd_pictures import packed, png, tiff
from photo_trees import encode, photograph
from PIL import Image

from binorm.experiments.common.decoding import in_rgb
from binorm.experiments.common.images import UnreadImageError, open_image
from binorm.experiments.data.batches.transforms import CentreCrop
from binorm.experiments.data.readers.examination import examine_bytes
from binorm.experiments.data.readers.image_folder import WrongSizeError, decode
from binorm.experiments.style.picture_files import decode_picture
from binorm.experiments.training.tasks.stylization import read_style_image

SIDE = 12
SIZE = (SIDE, SIDE)
RAMP = numpy.arange(SIDE * SIDE).reshape(SIZE)  # 144 samples, all different


def _samples(bits):
    return (RAMP * 457 if bits == 16 else RAMP) & 2**bits - 1


def _grey(values, white):
    """Samples as 8-bit RGB, rounded."""
    return numpy.repeat(((values.astype(int) * 255 + white // 2) // white)[..., None], 3, 2).astype(numpy.uint8)


def _trained(data, size=SIZE):
    """As each way of training has it; they agree."""
    pixels = decode(data, size)
    if size[0] == size[1]:
        assert numpy.array_equal(CentreCrop(*size)(data), pixels)
    return pixels


def _on_white(pixels, alpha):
    share = alpha[..., None] / 255
    return numpy.rint(pixels * share + 255 * (1 - share))


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_grey_of_every_depth_has_its_black_and_white(bits):
    samples = _samples(bits)
    rows = b"".join(packed(row, bits, "<") for row in samples)
    ascending = tiff(rows, *SIZE, bits=bits, photometric=1)
    descending = tiff(rows, *SIZE, bits=bits, photometric=0)
    white = 2**bits - 1
    for data, expected in (
        (png(samples, bits, 0), samples),
        (ascending, samples),
        (descending, white - samples),
    ):
        assert numpy.array_equal(_trained(data), _grey(expected, white))
        assert numpy.array_equal(decode_picture(data, "a").pixels, _grey(expected, white))


def test_samples_of_twelve_bits_have_their_white():
    samples = (RAMP * 28).astype(numpy.uint32)
    bits = (samples.reshape(-1, 1) >> numpy.arange(12)[::-1] & 1).astype(numpy.uint8)
    data = tiff(numpy.packbits(bits).tobytes(), *SIZE, bits=12, photometric=1)
    assert numpy.abs(_trained(data).astype(int) - _grey(samples, 4095)).max() <= 1


@pytest.mark.parametrize("white", [255, 1023, 65_535])
@pytest.mark.parametrize("kind", [b"P2", b"P5"])
def test_a_netpbm_of_any_depth_has_its_white(kind, white):
    samples = RAMP * white // 143
    plain = " ".join(str(value) for value in samples.reshape(-1)).encode()
    binary = samples.astype(">u2" if white > 255 else "u1").tobytes()
    data = kind + b" 12 12 %d\n" % white + (plain if kind == b"P2" else binary)
    assert numpy.abs(_trained(data).astype(int) - _grey(samples, white)).max() <= 1
    assert numpy.array_equal(decode_picture(data, "a.pgm").pixels, _trained(data))


WRITTEN = {
    "PNG": ["1", "L", "P", "RGB", "I;16", "LA", "RGBA"],
    "TIFF": ["1", "L", "P", "RGB", "I;16", "LA", "RGBA", "CMYK"],
    "JPEG": ["1", "L", "RGB", "CMYK", "YCbCr"],
    "WEBP": ["L", "P", "RGB", "LA", "RGBA"],
    "GIF": ["1", "L", "P", "RGB", "RGBA"],
    "BMP": ["1", "L", "P", "RGB", "RGBA"],
    "PPM": ["1", "L", "RGB", "I;16", "RGBA"],
}


@pytest.mark.parametrize(("file_format", "mode"), [(name, mode) for name, modes in WRITTEN.items() for mode in modes])
def test_training_sees_what_drawing_sees_before_white(mode, file_format):
    picture = photograph(1, SIZE)
    image = Image.fromarray((RAMP * 457).astype(numpy.uint16)) if mode == "I;16" else picture.convert(mode)
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.fromarray(RAMP.astype(numpy.uint8)))
    data = encode(image, file_format)
    drawn = decode_picture(data, "a")
    alpha = numpy.full(SIZE, 255) if drawn.alpha is None else drawn.alpha
    assert numpy.abs(_trained(data) - _on_white(drawn.pixels, alpha)).max() <= 1
    assert examine_bytes("train", "a", 0, data).size == SIZE


# What is stored, from what is seen.
STORED = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: p.swapaxes(0, 1)[::-1],
    7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
    8: lambda p: p.swapaxes(0, 1)[:, ::-1],
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF", "JPEG"])
def test_every_orientation_is_followed_in_training_and_in_drawing(orientation, file_format, tmp_path):
    seen = numpy.asarray(photograph(3, (32, 24)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"WEBP": {"lossless": True}, "JPEG": {"subsampling": 0}}.get(file_format, {})
    stored = Image.fromarray(numpy.ascontiguousarray(STORED[orientation](seen)))
    data = encode(stored, file_format, exif=exif, **options)
    (tmp_path / "style").write_bytes(data)
    trained = decode(data, (32, 24))
    assert numpy.abs(trained.astype(int) - seen).mean() <= (0 if file_format != "JPEG" else 5)
    assert numpy.array_equal(trained, decode_picture(data, "a").pixels)
    assert numpy.array_equal(CentreCrop(24, 24)(data), trained[:, 4:28])
    assert examine_bytes("train", "a", 0, data).size == (32, 24)
    assert read_style_image(tmp_path / "style", 24).shape == (1, 3, 24, 32)


@pytest.mark.parametrize("orientation", STORED)
def test_transparency_is_turned_with_the_colours(orientation):
    seen = numpy.dstack([numpy.asarray(photograph(3, (9, 6))), numpy.arange(54, dtype=numpy.uint8).reshape(6, 9)])
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(numpy.ascontiguousarray(STORED[orientation](seen)))
    picture = decode_picture(encode(stored, "PNG", exif=exif), "a")
    assert numpy.array_equal(numpy.dstack([picture.pixels, picture.alpha]), seen)


def test_a_size_is_checked_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(photograph(1, (20, 10)), exif=exif)
    assert decode(data, (10, 20)).shape == (20, 10, 3)
    with pytest.raises(WrongSizeError, match="10x20"):
        decode(data, (20, 10))


@pytest.mark.parametrize("value", [0, 9, 77])
def test_an_orientation_that_means_nothing_turns_nothing(value):
    exif = Image.Exif()
    exif[0x0112] = value
    picture = photograph(1, (20, 10))
    assert numpy.array_equal(decode(encode(picture, "PNG", exif=exif), (20, 10)), numpy.asarray(picture))


def test_damaged_exif_costs_no_picture_in_training():
    picture = photograph(1, (20, 10))
    data = encode(picture, "WEBP", exif=b"Exif\0\0II*\0 and then nothing that makes sense", lossless=True)
    assert numpy.array_equal(decode(data, (20, 10)), numpy.asarray(picture))


def test_what_is_upright_is_not_turned_again():
    exif = Image.Exif()
    exif[0x0112] = 6
    with open_image(encode(photograph(1, (20, 10)), exif=exif)) as image:
        once = in_rgb(image)
        assert in_rgb(once).size == once.size == (10, 20)


def _keyed(bits, colour_type, beside=0):
    """A PNG with one transparent colour, and where that is; ``beside`` changes its lowest bits."""
    samples = _samples(bits)
    if colour_type == 2:
        samples = numpy.dstack([samples, samples[::-1], samples.T])
    value = samples[5, 7] ^ beside
    names = struct.pack(f">{numpy.size(value)}H", *numpy.atleast_1d(value))
    transparent = (samples == value).reshape(*SIZE, -1).all(-1)
    return png(samples, bits, colour_type, [(b"tRNS", names)]), transparent


@pytest.mark.parametrize(("bits", "colour_type"), [(1, 0), (2, 0), (4, 0), (8, 0), (16, 0), (8, 2), (16, 2)])
def test_one_transparent_colour_is_compared_in_samples_of_the_file(bits, colour_type):
    data, transparent = _keyed(bits, colour_type)
    assert 0 < transparent.sum() < transparent.size
    drawn = decode_picture(data, "a.png")
    assert numpy.array_equal(drawn.alpha == 0, transparent)
    assert numpy.array_equal(drawn.alpha == 255, ~transparent)
    trained = _trained(data)
    assert (trained[transparent] == 255).all()
    assert numpy.array_equal(trained[~transparent], drawn.pixels[~transparent])


@pytest.mark.parametrize("colour_type", [0, 2])
def test_neighbours_of_a_transparent_colour_in_sixteen_bits_stay(colour_type):
    """They differ in the lower half alone, of which 8 bits know nothing."""
    data, transparent = _keyed(16, colour_type, beside=3)
    assert not transparent.any()
    assert (decode_picture(data, "a.png").alpha == 255).all()


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_transparent_entries_of_a_palette_are_white_in_training(bits):
    samples = _samples(bits)
    palette = numpy.random.default_rng(0).integers(0, 200, (2**bits, 3), dtype=numpy.uint8)
    data = png(samples, bits, 3, [(b"PLTE", palette.tobytes()), (b"tRNS", bytes([0, 128]))])
    drawn = decode_picture(data, "a.png")
    assert numpy.array_equal(drawn.alpha, numpy.select([samples == 0, samples == 1], [0, 128], 255))
    assert numpy.array_equal(drawn.pixels[drawn.alpha > 0], palette[samples][drawn.alpha > 0])
    assert (_trained(data)[samples == 0] == 255).all()


@pytest.mark.parametrize("mode", ["RGBA", "RGBa", "LA", "La", "PA"])
def test_hidden_colours_are_not_used(mode):
    image = Image.new("RGBA", SIZE, (200, 10, 60, 255))
    image.paste((9, 9, 9, 0), (0, 0, 6, 12))
    if mode == "PA":
        alpha, image = image.getchannel("A"), image.convert("RGB").quantize(4).convert("PA")
        image.putalpha(alpha)
    elif mode in ("LA", "La"):
        image = image.convert("LA").convert(mode)
    else:
        image = image.convert(mode)
    pixels = numpy.asarray(in_rgb(image))
    assert (pixels[:, :6] == 255).all()
    assert (pixels[:, 6:] < 255).any(-1).all()


def test_inverted_cmyk_of_a_jpeg_is_what_it_was():
    colours = photograph(2, (16, 16))
    data = encode(colours.convert("CMYK"), subsampling=0)
    assert b"Adobe" in data
    assert numpy.abs(_trained(data, (16, 16)).astype(int) - numpy.asarray(colours)).mean() < 4


def test_colours_in_lab_are_refused():
    data = encode(Image.new("LAB", SIZE), "TIFF")
    with pytest.raises(UnreadImageError, match="colours of the kind LAB, which are not read: save it in RGB first"):
        decode(data, SIZE)


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_several_frames_the_first_is_read_and_the_number_is_known(file_format):
    frames = [photograph(k, (20, 10)) for k in (1, 2, 3)]
    if file_format == "GIF":
        frames = [frame.quantize(16) for frame in frames]
    options = {"lossless": True} if file_format == "WEBP" else {}
    data = encode(frames[0], file_format, save_all=True, append_images=frames[1:], **options)
    expected = numpy.asarray(frames[0].convert("RGB"))
    assert numpy.array_equal(decode(data, (20, 10)), expected)
    picture = decode_picture(data, "a")
    assert numpy.array_equal(picture.pixels, expected)
    assert picture.frames == 3


def test_a_photograph_with_its_depth_beside_it_is_one_picture():
    buffer = io.BytesIO()
    photo = photograph(1, (64, 48))
    photo.save(buffer, "MPO", save_all=True, append_images=[photograph(2, (64, 48))])
    picture = decode_picture(buffer.getvalue(), "portrait.jpg")
    assert picture.frames == 1
    assert numpy.abs(picture.pixels.astype(int) - numpy.asarray(photo)).mean() < 5
    assert numpy.array_equal(decode(buffer.getvalue(), (64, 48)), picture.pixels)
