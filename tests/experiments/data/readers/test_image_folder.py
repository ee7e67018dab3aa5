import io

import numpy
import pytest
import torch
from PIL import Image

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.images import BrokenImageError
from binorm.experiments.common.picture_names import is_picture
from binorm.experiments.data.readers import image_folder
from binorm.experiments.data.readers.image_folder import (
    WrongSizeError,
    check_memory,
    decode,
    find_pictures,
    read_pictures,
)
from binorm.experiments.data.trees.file_tree import open_tree


def _encoded(picture, form="PNG"):
    buffer = io.BytesIO()
    picture.save(buffer, form)
    return buffer.getvalue()


def test_pictures_are_known_by_their_ending_and_macos_copies_are_not():
    assert is_picture("train/cat/1.JPEG")
    assert not is_picture("train/cat/1.txt")
    assert not is_picture("__MACOSX/train/cat/1.png")
    assert not is_picture("train/cat/._1.png")


def test_find_pictures_takes_class_folders_below_the_split(tmp_path):
    for name in ("a/train/cat/1.png", "a/train/dog/2.png", "a/test/cat/3.png", "train/4.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with open_tree(tmp_path) as tree:
        assert find_pictures(tree, "train") == {"cat": ["a/train/cat/1.png"], "dog": ["a/train/dog/2.png"]}


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "I;16", "CMYK", "LA"])
def test_every_kind_of_pixel_becomes_red_green_blue(mode):
    picture = Image.new(mode, (5, 4))
    pixels = decode(_encoded(picture, "JPEG" if mode == "CMYK" else "PNG"), (5, 4))
    assert pixels.shape == (4, 5, 3)
    assert pixels.dtype == numpy.uint8


def test_other_sizes_are_resized_on_request_alone():
    data = _encoded(Image.new("RGB", (6, 3), (9, 8, 7)))
    assert decode(data, (4, 4), resize=True)[0, 0].tolist() == [9, 8, 7]
    with pytest.raises(WrongSizeError, match="6x3"):
        decode(data, (4, 4))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "PPM", "WEBP"])
def test_damage_anywhere_is_a_broken_picture_or_none(form):
    noise = numpy.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=numpy.uint8)
    data = _encoded(Image.fromarray(noise), form)
    for length in range(0, len(data) // 2, 7):
        with pytest.raises(BrokenImageError):
            decode(data[:length], (16, 16))
    for place in range(0, len(data), 5):  # a changed byte may also leave a picture that can be decoded
        try:
            decode(data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :], (16, 16))
        except (BrokenImageError, WrongSizeError):
            continue


def test_a_picture_that_would_fill_the_memory_is_never_decoded(monkeypatch):
    data = _encoded(Image.new("1", (2**13, 2**13 + 1)))
    monkeypatch.setattr(Image.Image, "load", lambda image: pytest.fail("decoded"))
    with pytest.raises(BrokenImageError, match="8192x8193 pixels are more"):
        decode(data, (2, 2), resize=True)


def test_pillow_s_own_limit_is_a_broken_picture_too(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4)
    with pytest.raises(BrokenImageError):
        decode(_encoded(Image.new("1", (200, 200))), (2, 2), resize=True)


def test_memory_is_bounded_and_the_message_says_what_fits(monkeypatch):
    monkeypatch.setattr(image_folder, "MAX_MEMORY_BYTES", 3 * 10 * 32**2)
    check_memory(10, (32, 32))
    with pytest.raises(UserError, match=r"10 pictures of 64x64 pixels .* --image_size of at most 32"):
        check_memory(10, (64, 64))


def test_skipped_pictures_leave_no_gap(tmp_path):
    for number in range(4):
        Image.new("RGB", (2, 2), (number, 0, 0)).save(tmp_path / f"{number}.png")
    (tmp_path / "1.png").write_bytes(b"")
    with open_tree(tmp_path) as tree:
        split = read_pictures(tree, [(name, int(name[0])) for name in tree.names], (2, 2), skip_broken=True)
    assert split.skipped == ("1.png",)
    assert split.images.labels.tolist() == [0, 2, 3]
    assert torch.equal(split.images.images[:, 0, 0, 0].long(), split.images.labels)


def test_a_split_of_broken_pictures_alone_is_an_error(tmp_path):
    (tmp_path / "1.png").write_bytes(b"")
    with open_tree(tmp_path) as tree, pytest.raises(UserError, match=r"none of the 1 pictures .* such as 1\.png"):
        read_pictures(tree, [("1.png", 0)], (2, 2), skip_broken=True)
