import numpy
import pytest
from domain_trees import write_usps_arrays

from binorm.experiments.common.errors import UserError
from binorm.experiments.data.readers.usps_arrays import read


def test_arrays_are_pictures_in_three_equal_colours(tmp_path):
    arrays = write_usps_arrays(tmp_path)
    splits = read(tmp_path / "usps.npz")
    for split, pictures in splits.items():
        for colour in range(3):
            assert numpy.array_equal(pictures.images[..., colour].numpy(), arrays[f"{split}_images"])
        assert pictures.labels.tolist() == arrays[f"{split}_labels"].tolist()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"test_labels": None}, "has no test_labels: expected train_images, train_labels, test_images and test_labels"),
        ({"train_images": numpy.zeros((12, 16, 16))}, r"train_images .* is float64 of shape \(12, 16, 16\), expected"),
        ({"train_images": numpy.zeros((12, 256), numpy.uint8)}, r"shape \(12, 256\), expected uint8 \(N, 16, 16\)"),
        ({"test_labels": numpy.zeros((4, 1), numpy.uint8)}, r"shape \(4, 1\), expected uint8 \(N\)"),
        ({"test_labels": numpy.zeros(3, numpy.uint8)}, "has 4 pictures and 3 labels"),
        ({"test_labels": numpy.full(4, 10, numpy.uint8)}, "the largest 10: expected as many labels .* from 0 to 9"),
        ({"test_images": numpy.zeros((0, 16, 16), numpy.uint8), "test_labels": numpy.zeros(0, numpy.uint8)}, "has 0"),
    ],
)
def test_other_arrays_are_errors_that_say_what_was_expected(tmp_path, changed, message):
    write_usps_arrays(tmp_path, **changed)
    with pytest.raises(UserError, match=message):
        read(tmp_path / "usps.npz")


def test_pickles_are_not_opened(tmp_path):
    write_usps_arrays(tmp_path, train_labels=numpy.array([{}], dtype=object))
    with pytest.raises(UserError, match=r"train_labels in .*usps\.npz cannot be read"):
        read(tmp_path / "usps.npz")


def test_damaged_files_are_named(tmp_path):
    (tmp_path / "usps.npz").write_bytes(b"no archive")
    with pytest.raises(UserError, match=r"usps\.npz is neither a folder nor a zip"):
        read(tmp_path / "usps.npz")
