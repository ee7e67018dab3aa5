import io

import numpy
import pytest
import torch
from photo_trees import encode, photograph
from PIL import Image
from scipy.stats import ks_2samp
from torchvision.transforms import RandomResizedCrop, v2

from binorm.experiments.common.images import BrokenImageError
from binorm.experiments.data.batches.transforms import CentreCrop, PaddedCrop, ResizedCrop, resized_crop_box


def _random(seed=0):
    return numpy.random.default_rng(seed)


@pytest.mark.parametrize(("width", "height"), [(500, 375), (40, 400), (7, 5), (1, 1)])
def test_random_parts_lie_within_the_picture(width, height):
    random = _random()
    for _ in range(300):
        left, upper, right, lower = resized_crop_box(random, width, height)
        assert 0 <= left < right <= width
        assert 0 <= upper < lower <= height


def test_random_parts_are_distributed_as_torchvisions():
    random, picture = _random(), torch.zeros(3, 375, 500)
    torch.manual_seed(0)
    ours = numpy.array([resized_crop_box(random, 500, 375) for _ in range(3000)])
    reference = [RandomResizedCrop.get_params(picture, (0.08, 1), (3 / 4, 4 / 3)) for _ in range(3000)]
    theirs = numpy.array([(left, top, left + width, top + height) for top, left, height, width in reference])
    for measure in (_area, _aspect, lambda box: box[:, 0], lambda box: box[:, 1]):
        assert ks_2samp(measure(ours), measure(theirs)).pvalue > 0.001
    assert _area(ours).min() > 0.078 * 500 * 375
    assert 0.74 < _aspect(ours).min() < 0.77
    assert 1.30 < _aspect(ours).max() < 1.35


def _area(box):
    return (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])


def _aspect(box):
    return (box[:, 2] - box[:, 0]) / (box[:, 3] - box[:, 1])


def test_a_picture_too_wide_for_any_part_gives_the_largest_one_in_its_middle():
    assert resized_crop_box(_random(), 1000, 9) == (494, 0, 506, 9)


def _difference(data):
    reference = v2.Compose([v2.Resize(73), v2.CenterCrop(64)])
    expected = numpy.asarray(reference(Image.open(io.BytesIO(data)).convert("RGB")))
    return numpy.abs(CentreCrop(64, 73)(data) - expected.astype(float))


@pytest.mark.parametrize("size", [(100, 75), (75, 100), (81, 81), (290, 90), (50, 60), (1, 3)])
def test_the_evaluation_crop_is_torchvisions(size):
    difference = _difference(encode(photograph(0, size)))
    assert difference.mean() < 0.1
    assert difference.max() <= 2


def test_a_large_jpeg_is_decoded_at_a_fraction_of_its_size_to_nearly_the_same_picture():
    photo = photograph(0, (800, 600))
    assert 0.02 < _difference(encode(photo)).mean() < 0.5
    assert _difference(encode(photo, "PNG")).mean() < 0.02


def test_a_resized_crop_is_the_part_that_was_drawn_mirrored_half_of_the_time():
    data = encode(photograph(1, (90, 70)))
    picture = Image.open(io.BytesIO(data))
    mirrored = 0
    for seed in range(40):
        box = resized_crop_box(_random(seed), 90, 70)
        expected = numpy.asarray(picture.resize((32, 32), Image.Resampling.BILINEAR, box)).astype(float)
        found = ResizedCrop(32, flip=True)(data, _random(seed))
        plain, flipped = numpy.abs(found - expected).mean(), numpy.abs(found[:, ::-1] - expected).mean()
        assert min(plain, flipped) < 1
        mirrored += flipped < plain
    assert 10 < mirrored < 30


def test_padded_crops_are_windows_of_the_padded_picture():
    picture = photograph(2, (8, 8))
    padded = numpy.pad(numpy.asarray(picture), ((1, 1), (1, 1), (0, 0)))
    windows = {padded[row : row + 8, column : column + 8].tobytes() for row in range(3) for column in range(3)}
    crop = PaddedCrop(8, 1, flip=False)
    assert {crop(encode(picture, "PNG"), _random(seed)).tobytes() for seed in range(100)} == windows


def test_padded_crops_can_be_mirrored_at_the_edges():
    picture = photograph(4, (8, 8))
    padded = numpy.pad(numpy.asarray(picture), ((1, 1), (1, 1), (0, 0)), "reflect")
    windows = {padded[row : row + 8, column : column + 8].tobytes() for row in range(3) for column in range(3)}
    crop = PaddedCrop(8, 1, flip=False, mirrored=True)
    assert {crop(encode(picture, "PNG"), _random(seed)).tobytes() for seed in range(100)} == windows


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "RGBA", "1", "LA"])
def test_every_colour_mode_becomes_rgb(mode):
    picture = photograph(3, (64, 64)).convert(mode)
    data = encode(picture, "JPEG" if mode in ("L", "CMYK") else "PNG")
    expected = numpy.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert numpy.array_equal(CentreCrop(64, 64)(data), expected)


@pytest.mark.parametrize("size", [(64, 64), (640, 400)])  # the larger one is decoded at a fraction of its size
def test_a_crop_is_cut_from_the_upright_picture(size):
    picture = photograph(4, size)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = picture.transpose(Image.Transpose.ROTATE_90)
    for crop in (CentreCrop(48, 56), lambda data: ResizedCrop(48, flip=False)(data, _random(3))):
        found, expected = crop(encode(turned, exif=exif)).astype(int), crop(encode(picture))
        assert numpy.abs(found - expected).mean() < 2


@pytest.mark.parametrize("keep", [0, 10, 200, 0.5])
def test_a_truncated_picture_is_broken(keep):
    data = encode(photograph(5, (200, 200)))
    with pytest.raises(BrokenImageError):
        CentreCrop(32, 32)(data[: keep if isinstance(keep, int) else int(keep * len(data))])


def test_a_picture_of_absurd_size_is_broken_before_it_is_decoded():
    data = bytearray(encode(photograph(6, (16, 16))))
    marker = data.index(b"\xff\xc0")
    data[marker + 5 : marker + 9] = b"\x27\x10\x1b\x58"  # 10,000 x 7,000
    with pytest.raises(BrokenImageError, match="7000x10000 pixels"):
        CentreCrop(32, 32)(bytes(data))
