"""Shifts: deterministic in picture, name and severity; whole pictures out; wrong ones refused."""

import random
import sys
import warnings

import numpy as np
import pytest
from PIL import Image

from binorm.experiments.common.errors import UserError
from binorm.experiments.shifts import corruptions
from binorm.experiments.shifts.catalog import SHIFTS, find_shift


def picture(height=40, width=33, seed=0):
    """Coloured clouds: neither flat nor noise, as photographs are."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def distance(name, severity):
    before = picture(96, 96)
    return np.abs(SHIFTS[name](before, severity).astype(float) - before).mean()


@pytest.fixture(autouse=True)
def _no_word(capfd):
    yield
    assert capfd.readouterr() == ("", "")


def test_three_groups():
    groups = [shift.group for shift in SHIFTS.values()]
    assert (groups.count("corruption"), groups.count("extra")) == (15, 4)
    assert groups.count("style") >= 8
    assert all(name == shift.name for name, shift in SHIFTS.items())


@pytest.mark.parametrize("name", SHIFTS)
def test_depends_on_nothing_but_picture_and_severity(name):
    """What was drawn before changes nothing, and what is drawn afterwards is as without the shift."""
    shift, given = SHIFTS[name], picture()
    kept = given.copy()
    np.random.seed(1)
    random.seed(1)
    first = shift(given, 3)
    SHIFTS["glass_blur"](picture(seed=1), 1)
    after = np.random.random(), random.random()
    np.random.seed(1)
    random.seed(1)
    assert (np.random.random(), random.random()) == after
    assert np.array_equal(shift(given, 3), first)
    assert np.array_equal(given, kept)


@pytest.mark.parametrize("name", SHIFTS)
@pytest.mark.parametrize("size", [(32, 32), (33, 47), (32, 150), (150, 32)])
def test_pictures_of_any_size(name, size):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = [SHIFTS[name](picture(*size), severity) for severity in range(1, 6)]
    assert all(result.shape == (*size, 3) and result.dtype == np.uint8 for result in results)


@pytest.mark.parametrize("name", [name for name, shift in SHIFTS.items() if shift.group == "style"])
@pytest.mark.parametrize("size", [(8, 8), (28, 28), (16, 9)])
def test_style_shifts_take_small_pictures(name, size):
    assert all(SHIFTS[name](picture(*size), severity).shape == (*size, 3) for severity in range(1, 6))


@pytest.mark.parametrize("name", SHIFTS)
def test_flat_pictures(name):
    for level in (0, 255):
        result = SHIFTS[name](np.full((32, 36, 3), level, dtype=np.uint8), 5)
        assert result.shape == (32, 36, 3)


@pytest.mark.parametrize("name", [name for name, shift in SHIFTS.items() if shift.group == "style"])
def test_style_shifts_grow_with_severity(name):
    distances = [distance(name, severity) for severity in range(1, 6)]
    assert distances[0] > 1
    assert distances == sorted(distances)


@pytest.mark.parametrize("name", ["gaussian_noise", "haze", "uneven_light"])
def test_two_pictures_get_other_noise(name):
    first, second = picture(), picture()
    second[0, 0, 0] ^= 1
    difference = SHIFTS[name](first, 3).astype(int) - SHIFTS[name](second, 3)
    assert np.abs(difference[1:]).max() > 1


def test_spatter_without_a_drop_leaves_the_picture():
    """Small pictures may have no drop at all; the package divides by zero there."""
    given = picture(32, 32)
    results = [corruptions.corrupt("spatter", given, 1, seed) for seed in range(300)]
    assert any(np.array_equal(result, given) for result in results)
    assert not any((result == 0).all() for result in results)


@pytest.mark.parametrize(
    ("given", "severity", "message"),
    [
        (np.zeros((31, 64, 3), dtype=np.uint8), 1, "64x31 pixels: expected at least 32"),
        (np.zeros((64, 64), dtype=np.uint8), 1, r"uint8 \(64, 64\): expected a picture"),
        (np.zeros((64, 64, 3)), 1, "float64"),
        (np.zeros((64, 64, 3), dtype=np.uint8), 0, "severity 0 of the shift fog: expected 1, 2, 3, 4 or 5"),
        (np.zeros((64, 64, 3), dtype=np.uint8), 6, "severity 6"),
    ],
)
def test_refused(given, severity, message):
    with pytest.raises(UserError, match=message):
        SHIFTS["fog"](given, severity)


def test_global_generator_comes_back_after_an_error(monkeypatch):
    def fails(*args, **kwargs):
        np.random.random()
        raise ZeroDivisionError

    monkeypatch.setattr(corruptions, "_functions", lambda: {"fog": fails})
    np.random.seed(3)
    with pytest.raises(ZeroDivisionError):
        SHIFTS["fog"](picture(), 1)
    drawn = np.random.random()
    np.random.seed(3)
    assert np.random.random() == drawn


def test_our_own_warnings_are_heard_again():
    SHIFTS["spatter"](picture(), 1)
    with pytest.warns(RuntimeWarning):
        np.log(np.zeros(1))


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "imagecorruptions", None)
    with pytest.raises(UserError, match=r"pip install 'binorm\[robustness\]'"):
        find_shift("fog")
    with pytest.raises(UserError, match=r"pip install 'binorm\[robustness\]'"):
        SHIFTS["fog"](picture(), 1)
    assert find_shift("haze")(picture(), 1).shape == (40, 33, 3)


def test_unknown_name():
    with pytest.raises(UserError, match="unknown shift 'gausian_noise', did you mean 'gaussian_noise'"):
        find_shift("gausian_noise")
