"""Pictures that are taken by name can be decoded, and training sees what drawing sees."""

import io
import warnings

import numpy
import pytest
from odd_pictures import png, tiff
from photo_trees import encode, photograph
from PIL import Image

from binorm.experiments.common.images import BrokenImageError, TooLargeImageError, UnreadImageError
from binorm.experiments.common.picture_names import PICTURE_SUFFIXES
from binorm.experiments.data.batches.transforms import CentreCrop
from binorm.experiments.data.readers.examination import examine_bytes
from binorm.experiments.data.readers.image_folder import decode
from binorm.experiments.style.picture_files import decode_picture

SIZE = (12, 12)
RAMP = numpy.linspace(0, 65_535, 144).round().reshape(12, 12)  # black to white in 16 bits


def _encoded(image, file_format):
    buffer = io.BytesIO()
    image.save(buffer, file_format)
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", sorted(PICTURE_SUFFIXES))
def test_what_is_taken_by_name_is_decoded_for_training_and_for_drawing(suffix):
    file_format = {".jfif": "JPEG", ".jpe": "JPEG"}.get(suffix) or Image.registered_extensions()[suffix]
    data = _encoded(Image.new("L", SIZE, 77), file_format)
    trained, drawn = decode(data, SIZE), decode_picture(data, f"a{suffix}").pixels
    assert numpy.array_equal(trained, drawn)
    assert abs(int(trained.mean()) - 77) <= 1


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_in_every_way_to_pixels(file_format):
    data = _encoded(Image.fromarray(RAMP.astype(numpy.uint16)), file_format)
    expected = numpy.repeat((RAMP / 257).round().astype(numpy.uint8)[..., None], 3, 2)
    for pixels in (decode(data, SIZE), CentreCrop(*SIZE)(data), decode_picture(data, "a").pixels):
        assert numpy.array_equal(pixels, expected)


def test_thirty_two_bits_are_refused_rather_than_cut_off():
    data = _encoded(Image.fromarray(RAMP.astype(numpy.float32)), "TIFF")
    with pytest.raises(UnreadImageError, match="has floating-point numbers"):
        decode(data, SIZE)
    assert examine_bytes("train", "a.tif", 0, data).fault.startswith("it has floating-point numbers")


def test_plain_pixels_stay_what_they_are():
    pixels = numpy.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=numpy.uint8)
    for file_format in ("PNG", "BMP", "PPM", "TIFF"):
        assert numpy.array_equal(decode(_encoded(Image.fromarray(pixels), file_format), SIZE), pixels)


def _corrupt_exif():
    return encode(photograph(1, SIZE), exif=b"Exif\0\0II*\0\x08\0\0\0\x03\0\x12\x01")


def _animation_that_miscounts():
    return png(numpy.zeros(SIZE, int), 8, 0, [(b"acTL", bytes(8))])


def _palette_with_opacities():
    return png(numpy.zeros(SIZE, int), 8, 3, [(b"PLTE", bytes(range(9))), (b"tRNS", b"\1\2\3")])


@pytest.mark.parametrize("make", [_corrupt_exif, _animation_that_miscounts, _palette_with_opacities])
@pytest.mark.parametrize("before", ["always", "error"])
def test_pillows_warnings_name_no_file_and_are_not_shown(make, before):
    data = make()
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter(before)
        decode(data, SIZE)
        CentreCrop(*SIZE)(data)
        decode_picture(data, "a")
    assert shown == []


def test_pillow_warns_of_these_by_itself():
    with pytest.warns(UserWarning, match="Corrupt EXIF data"):
        Image.open(io.BytesIO(_corrupt_exif())).getexif()
    with pytest.warns(UserWarning, match="Invalid APNG"):
        Image.open(io.BytesIO(_animation_that_miscounts()))


@pytest.mark.parametrize("size", [(8193, 8193), (12_000, 9_000), (20_000, 20_000)])
def test_too_many_pixels_are_refused_before_any_is_decoded(size):
    data = tiff(b"", *size, bits=8, photometric=1)
    with pytest.raises(TooLargeImageError, match="more than the 67 megapixels that are decoded: make it smaller"):
        decode(data, SIZE, resize=True)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF"])
@pytest.mark.parametrize("share", [0.95, 0.5, 0.1])
def test_truncated_pictures_are_broken_in_training(file_format, share):
    noise = Image.fromarray(numpy.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=numpy.uint8))
    data = encode(noise, file_format)
    with pytest.raises(BrokenImageError):
        decode(data[: int(share * len(data))], (90, 90))
