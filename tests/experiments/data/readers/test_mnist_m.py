import hashlib
import io

import numpy
import pytest
from domain_trees import write_bsds500
from PIL import Image

from binorm.experiments.common.errors import UserError
from binorm.experiments.data.readers.mnist_m import SEEDS, SIDE, blend, read_photographs
from binorm.experiments.data.trees.file_tree import open_tree


def _random(*shape):
    return numpy.random.default_rng(0).integers(0, 256, shape, dtype=numpy.uint8)


def _photographs():
    return [_random(30, 29, 3), 255 - _random(28, 32, 3)]


def _patches(photographs):
    """Every patch of a digit's size."""
    for photograph in photographs:
        for top in range(photograph.shape[0] - SIDE + 1):
            for left in range(photograph.shape[1] - SIDE + 1):
                yield photograph[top : top + SIDE, left : left + SIDE].astype(int)


def _read(path):
    with open_tree(path) as tree:
        return read_photographs(tree)


def test_each_picture_is_the_absolute_difference_of_a_digit_and_a_patch():
    digits, photographs = _random(40, SIDE, SIDE), _photographs()
    patches = list(_patches(photographs))
    used = set()
    for digit, picture in zip(digits, blend(digits, photographs, SEEDS["train"]), strict=True):
        differences = [numpy.abs(patch - digit[..., None].astype(int)) for patch in patches]
        (place,) = [place for place, each in enumerate(differences) if numpy.array_equal(each, picture)]
        used.add(place)
    assert used == set(range(len(patches)))  # with 6 + 5 places and 40 digits, every border among them


def test_everybody_has_the_same_pictures():
    pictures = blend(_random(40, SIDE, SIDE), _photographs(), SEEDS["train"])
    assert pictures.dtype == numpy.uint8
    assert hashlib.sha256(pictures.tobytes()).hexdigest()[:16] == "91ca9d3297395cd2"


def test_the_splits_draw_different_patches():
    digits = numpy.zeros((5, SIDE, SIDE), dtype=numpy.uint8)
    assert not numpy.array_equal(*(blend(digits, _photographs(), seed) for seed in SEEDS.values()))


@pytest.mark.parametrize("layout", ["BSR/BSDS500/data/images", "data/images", "photos/bsds500", "BSDS500"])
def test_photographs_are_those_of_the_train_split_in_the_order_of_their_names(tmp_path, layout):
    write_bsds500(tmp_path, layout, count=3)
    photographs = _read(tmp_path)
    assert [photograph.shape for photograph in photographs] == [(30, 31, 3), (30, 32, 3), (30, 33, 3)]
    for number, photograph in enumerate(photographs):
        with Image.open(tmp_path / layout / "train" / f"{10 * number}.jpg") as picture:
            assert numpy.array_equal(photograph, numpy.asarray(picture))


def test_other_folders_are_not_taken_for_photographs(tmp_path):
    write_bsds500(tmp_path, "some/pictures")
    with pytest.raises(UserError, match="photographs of BSDS500 are not in .*: expected BSDS500/data/images/train"):
        _read(tmp_path)


def test_broken_and_small_photographs_are_named(tmp_path):
    write_bsds500(tmp_path)
    file = tmp_path / "BSDS500/data/images/train/10.jpg"
    file.write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"train/10\.jpg in .* is broken \(not a picture\)"):
        _read(tmp_path)
    small = io.BytesIO()
    Image.new("RGB", (40, 27)).save(small, "JPEG")
    file.write_bytes(small.getvalue())
    with pytest.raises(UserError, match=r"train/10\.jpg in .* is 40x27 pixels, smaller than a digit of 28x28"):
        _read(tmp_path)
