"""TIFF, BMP and GIF that Pillow reads wrongly without a word are refused with a sentence; their neighbours are read."""

import io
import struct
import sys

import numpy
import pytest
from odd_pictures import bmp_of_runs, gif, tiff
from photo_trees import encode, photograph
from PIL import Image

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.images import BrokenImageError, UnreadImageError
from binorm.experiments.data.readers.image_folder import decode
from binorm.experiments.style.picture_files import decode_picture

GREY = numpy.arange(0, 240, 4, dtype=numpy.uint8).reshape(6, 10)
COLOURS = numpy.dstack([GREY, GREY[::-1], GREY[:, ::-1]])
SIZE = (10, 6)
WIDER = numpy.uint16(257)  # from white in 8 bits to white in 16


def _planes(array, dtype):
    return numpy.moveaxis(array, -1, 0).astype(dtype).tobytes()


def _grey(values):
    return numpy.repeat(numpy.asarray(values)[..., None], 3, 2)


READ = {
    "planes of 8 bits": (
        tiff(_planes(COLOURS, "u1"), *SIZE, bits=[8] * 3, photometric=2, samples=3, planar=2,
             offsets=[8, 68, 128], sizes=[60] * 3),
        COLOURS,
    ),
    "white is zero": (tiff(GREY.tobytes(), *SIZE, bits=8, photometric=0), _grey(255 - GREY)),
    "white is zero in 16 bits": (
        tiff((GREY * WIDER).astype("<u2").tobytes(), *SIZE, bits=16, photometric=0), _grey(255 - GREY)
    ),
    "the other byte order": (
        tiff((GREY * WIDER).astype(">u2").tobytes(), *SIZE, ">", bits=16, photometric=1), _grey(GREY)
    ),
    "colours of 16 bits": (
        tiff((COLOURS * WIDER).astype("<u2").tobytes(), *SIZE, bits=[16] * 3, photometric=2, samples=3), COLOURS
    ),
    "a palette": (
        tiff(GREY.tobytes(), *SIZE, bits=8, photometric=3, colours=[k * 257 for k in [*range(256)] * 3]), _grey(GREY)
    ),
    "unspecified channels beside colours": (
        tiff(numpy.dstack([COLOURS, GREY]).tobytes(), *SIZE, bits=[8] * 4, photometric=2, samples=4, extra=0), COLOURS
    ),
}  # fmt: skip
REFUSED = {
    "signed": (tiff(GREY.tobytes(), *SIZE, bits=8, photometric=1, format=2), "has signed numbers for pixels"),
    "signed 16": (tiff(bytes(120), *SIZE, bits=16, photometric=1, format=2), "has signed numbers for pixels"),
    "float": (tiff(bytes(240), *SIZE, bits=32, photometric=1, format=3), "has floating-point numbers for pixels"),
    "half": (tiff(bytes(120), *SIZE, bits=16, photometric=1, format=3), "has floating-point numbers for pixels"),
    "32 bits": (tiff(bytes(240), *SIZE, bits=32, photometric=1), "has 32 bits a channel"),
    "colours of 32 bits": (
        tiff(bytes(720), *SIZE, bits=[32] * 3, photometric=2, samples=3), "is a TIFF with 3 channels of 32 bits"
    ),
    "planes of 16 bits": (
        tiff(_planes(COLOURS * WIDER, "<u2"), *SIZE, bits=[16] * 3, photometric=2, samples=3, planar=2,
             offsets=[8, 128, 248], sizes=[120] * 3),
        "has 16 bits a channel in separate planes",
    ),
    "palette of 16 bits": (
        tiff(bytes(120), *SIZE, bits=16, photometric=3, colours=[0] * 3 * 2**16), "is a TIFF with 1 channel of 16 bits"
    ),
    "palette of small numbers": (
        tiff(GREY.tobytes(), *SIZE, bits=8, photometric=3, colours=[*range(256)] * 3), "has a palette of 8 bits"
    ),
    "YCbCr": (tiff(COLOURS.tobytes(), *SIZE, bits=[8] * 3, photometric=6, samples=3), "has YCbCr colours"),
    "other inks": (
        tiff(bytes(240), *SIZE, bits=[8] * 4, photometric=5, samples=4, inks=2), "has inks that are not cyan"
    ),
    "differences": (tiff(GREY.tobytes(), *SIZE, bits=8, photometric=1, predictor=2), "has differences for pixels"),
    "older JPEG": (tiff(bytes(60), *SIZE, bits=8, photometric=1, compression=6), "has pixels compressed in the way 6"),
    "packed 12 bits": (
        tiff(bytes(90), *SIZE, bits=12, photometric=1, compression=5), "has compressed samples of 12 bits"
    ),
    "10 bits": (tiff(bytes(78), *SIZE, bits=10, photometric=1), "is a TIFF with 1 channel of 10 bits"),
    "missing strips": (tiff(GREY.tobytes(), *SIZE, bits=8, photometric=1, rows=2), "has 1 of the 3 parts"),
    "a sparse strip": (
        tiff(GREY.tobytes(), *SIZE, bits=8, photometric=1, rows=3, offsets=[8, 0], sizes=[30, 0]),
        "has 1 of the 2 parts of its pixels",
    ),
    "cut short": (
        tiff(bytes(60), *SIZE, bits=8, photometric=1, compression=5, sizes=99_999), "ends after .* pixels at 100,007"
    ),
    "a DNG": (tiff(GREY.tobytes(), *SIZE, bits=8, photometric=1, dng=1), "is a raw photograph of a camera"),
    "a raw file's preview": (
        tiff(COLOURS.tobytes(), *SIZE, bits=[8] * 3, photometric=2, samples=3, subfile=1, sub_ifds=999),
        "is a raw photograph of a camera",
    ),
    "a colour filter array": (tiff(bytes(120), *SIZE, bits=16, photometric=32803), "is a raw photograph of a camera"),
    "a GIF beyond its screen": (gif((4, 4), (2, 2, 4, 4)), "is a GIF whose first frame is larger"),
    "a GIF that leaves pixels open": (gif((6, 6), (1, 1, 3, 3)), "is a GIF whose first frame covers a part"),
    "BMP runs of 4 bits": (bmp_of_runs(b"\0\x03\x12\x30\0\1", 3, 1, 4), "is a BMP of runs in an arrangement"),
    "BMP runs too long": (bmp_of_runs(b"\x09\x05\0\0\4\6\0\1", 4, 2), "is a BMP whose runs do not fit"),
    "BMP runs too few": (bmp_of_runs(b"\4\5\0\1", 4, 3), "is a BMP whose runs do not fit"),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_neighbours_of_what_is_refused_are_read(name):
    data, expected = READ[name]
    assert numpy.array_equal(decode(data, SIZE), expected)
    assert numpy.array_equal(decode_picture(data, "a").pixels, expected)


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_come_out_wrong_is_refused_in_training_and_in_drawing(name, capfd):
    data, reason = REFUSED[name]
    with pytest.raises(BrokenImageError, match=f"^it {reason}.*: (save|get|convert) it"):
        decode(data, (1, 1), resize=True)
    with pytest.raises(UserError, match=f"^scan {reason}"):
        decode_picture(data, "scan")
    assert capfd.readouterr() == ("", "")  # no library speaks to the terminal


def test_runs_of_a_bmp_that_fit_are_read():
    runs = b"\3\x09\1\x07\0\0\0\3\1\2\3\0\1\4\0\1"  # 9 9 9 7; 1 2 3 as they are, and a 4
    expected = _grey([[1, 2, 3, 4], [9, 9, 9, 7]])
    assert numpy.array_equal(decode(bmp_of_runs(runs, 4, 2), (4, 2)), expected)


def test_a_bmp_that_places_its_pixels_in_its_palette_is_refused():
    data = bytearray(encode(photograph(1, (8, 8)).quantize(256), "BMP"))
    data[10:14] = struct.pack("<I", 54)
    with pytest.raises(UnreadImageError, match="whose pixels begin within its palette"):
        decode(bytes(data), (8, 8))


def test_what_a_gif_leaves_transparent_is_transparent():
    picture = decode_picture(gif((6, 6), (1, 1, 3, 3), transparent=True), "a.gif")
    assert (picture.alpha[1:4, 1:4] == 255).all()
    assert picture.alpha.sum() == 9 * 255
    assert (decode(gif((6, 6), (1, 1, 3, 3), transparent=True), (6, 6))[4:] == 255).all()


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "group4", "jpeg"])
def test_compressed_tiff_is_read(compression):
    image = photograph(1, (40, 30)).convert("1" if compression == "group4" else "RGB")
    buffer = io.BytesIO()
    image.save(buffer, "TIFF", compression=compression)
    found = decode(buffer.getvalue(), (40, 30)).astype(int)
    assert numpy.abs(found - numpy.asarray(image.convert("RGB"))).mean() <= (8 if compression == "jpeg" else 0)


def test_an_old_bilevel_tiff_without_tags_is_black_and_white():
    bits = numpy.arange(60).reshape(6, 10) % 3 == 0
    data = tiff(numpy.packbits(bits, axis=1).tobytes(), *SIZE, photometric=1)
    assert numpy.array_equal(decode(data, SIZE), _grey(bits * numpy.uint8(255)))
    assert Image.open(io.BytesIO(data)).mode == "1"


@pytest.mark.skipif(sys.platform != "linux", reason="libtiff is found on Linux alone")
def test_what_fails_within_libtiff_is_an_error_and_no_line_in_the_terminal(capfd):
    data = tiff(b"\xff" * 60, *SIZE, bits=8, photometric=1, compression=8)
    with pytest.raises(BrokenImageError, match="decoder error"):
        decode(data, SIZE)
    with pytest.raises(UserError, match="^scan is damaged: "):
        decode_picture(data, "scan")
    assert capfd.readouterr() == ("", "")
