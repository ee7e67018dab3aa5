"""A file that is no picture that is read is named by its content, with what makes a picture of it."""

import pytest
from photo_trees import encode, photograph
from PIL import Image

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.images import BrokenImageError, NotAnImageError, UnreadImageError, open_image
from binorm.experiments.common.picture_content import kind_of_content, taken_format
from binorm.experiments.style.picture_files import decode_picture


def _media(*brands):
    content = brands[0] + bytes(4) + b"".join(brands[1:])
    return (8 + len(content)).to_bytes(4, "big") + b"ftyp" + content + bytes(40)


UNREAD = {
    "an AVIF picture": [_media(b"avif", b"mif1"), _media(b"mif1", b"miaf", b"avif")],
    "a HEIC picture": [_media(b"heic", b"mif1"), _media(b"mif1", b"heic"), _media(b"msf1", b"hevc")],
    "a JPEG XL picture": [b"\xff\x0a\xfa\x1f", b"\0\0\0\x0cJXL \r\n\x87\n"],
    "a JPEG 2000 picture": [b"\0\0\0\x0cjP  \r\n\x87\n\0\0", b"\xff\x4f\xff\x51\0"],
    "a raw photograph": [_media(b"crx ", b"isom"), b"II*\0\x10\0\0\0CR\x02", b"IIRO\x08", b"FUJIFILMCCD-RAW 0201"],
    "a Photoshop file": [b"8BPS\0\1"],
    "a GIMP file": [b"gimp xcf v011"],
    "a PDF": [b"%PDF-1.7"],
    "a PostScript file": [b"%!PS-Adobe-3.0 EPSF-3.0"],
    "an SVG drawing": [
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- made by hand -->\n<svg width='9'/>",
    ],
    "an OpenEXR picture": [b"\x76\x2f\x31\x01\2\0\0\0"],
    "a Radiance HDR picture": [b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe"],
    "a DICOM picture": [bytes(128) + b"DICM"],
}
VIDEOS = {
    "MP4": [_media(b"isom", b"avc1"), _media(b"mp42", b"isom")],
    "QuickTime": [_media(b"qt  "), b"\0\0\1\0moov" + bytes(9), b"\0\0\0\x08wide\0\0\0\0mdat"],
    "Matroska or WebM": [b"\x1aE\xdf\xa3\1\0\0"],
    "AVI": [b"RIFF\0\0\0\0AVI LIST"],
    "MPEG transport stream": [(b"G" + bytes(187)) * 3, bytes(4) + (b"G" + bytes(191)) * 3],
    "MPEG": [b"\0\0\1\xba\x44"],
    "Flash": [b"FLV\1\5"],
}
UNREAD_CASES = [(name, data) for name, several in UNREAD.items() for data in several]
VIDEO_CASES = [(name, data) for name, several in VIDEOS.items() for data in several]


def _error(data):
    with pytest.raises(BrokenImageError) as caught, open_image(data):
        pass
    return caught.value


@pytest.mark.parametrize(("name", "data"), UNREAD_CASES)
def test_pictures_that_are_not_read_are_named_with_what_converts_them(name, data):
    error = _error(data)
    assert isinstance(error, UnreadImageError)
    assert str(error).startswith(f"it is {name}")
    assert "which is not read here: convert it to PNG first, with `" in str(error)
    with pytest.raises(UserError, match=rf"^photo\.jpg is {name}"):
        decode_picture(data, "photo.jpg")


@pytest.mark.parametrize(("name", "data"), VIDEO_CASES)
def test_videos_are_not_called_pictures(name, data):
    with pytest.raises(
        UserError, match=rf"^a\.png is a video \({name}\), not a picture: take frames out .* `ffmpeg -i in"
    ):
        decode_picture(data, "a.png")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"PK\3\4\x14\0", "a zip file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a Git LFS pointer"),
        (b"<html><body>404</body></html>", "a web page"),
        (b"", "an empty file"),
        (b"hello", "not a picture"),
        (b"Good morning", "not a picture"),
    ],
)
def test_other_files_are_named_as_far_as_that_is_known(data, what):
    error = _error(data)
    assert isinstance(error, NotAnImageError)
    assert str(error).startswith(what)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
def test_a_damaged_picture_is_not_called_something_else(file_format):
    data = encode(photograph(1, (20, 10)), file_format)
    assert taken_format(data).upper() == file_format
    assert kind_of_content(data) is None
    error = _error(data[:14] + b"\xff" * 60)
    assert not isinstance(error, UnreadImageError | NotAnImageError)
    if file_format != "BMP":  # of which Pillow itself says what is wrong
        assert str(error) == f"it begins as a {taken_format(data)} and does not go on as one"


def test_every_command_is_whole():
    for _, data in UNREAD_CASES + VIDEO_CASES:
        message = str(_error(data))
        assert "{" not in message
        assert message.count("`") == 2


@pytest.mark.parametrize("file_format", ["AVIF", "JPEG2000", "ICO", "DDS", "ICNS"])
def test_what_pillow_itself_writes_of_other_kinds_is_named(file_format):
    Image.init()
    if file_format not in Image.SAVE:
        pytest.skip(f"Pillow is built without {file_format}")
    assert isinstance(_error(encode(photograph(1, (64, 64)), file_format)), UnreadImageError)
