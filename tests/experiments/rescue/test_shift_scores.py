"""Scores against values worked out by hand."""

import math

import numpy as np
import pytest

from binorm.experiments.rescue.scores import calibration_error, compare, mean_corruption_error, mean_top1, top1


def right(*counts, of=10):
    """(K, 10): the first ``count`` of ten pictures right, a row for each count."""
    return np.arange(of) < np.array(counts)[:, None]


def test_top1():
    assert top1(right(7, 8)) == pytest.approx(75)
    assert math.isnan(top1(np.zeros((1, 0), dtype=bool)))


def test_mean_gives_every_shift_the_same_weight():
    assert mean_top1({"fog": right(10, 10), "snow": right(0)}) == pytest.approx(50)


def test_mean_corruption_error():
    """Fog: errors .2 + .4 of .4 + .8, a half; snow: .5 of .4, 1.25."""
    own = {"fog": right(8, 6), "snow": right(5, 10)}
    baseline = {"fog": right(6, 2), "snow": right(8, 8)}
    assert mean_corruption_error(own, baseline) == pytest.approx(100 * (0.5 + 1.25) / 2)
    assert mean_corruption_error(own, own) == pytest.approx(100)


def test_mean_corruption_error_without_a_ratio():
    assert math.isnan(mean_corruption_error({"fog": right(8)}, {"fog": right(10)}))
    assert math.isnan(mean_corruption_error({}, {}))
    with pytest.raises(ValueError, match=r"\['fog'\] against a baseline over \['snow'\]"):
        mean_corruption_error({"fog": right(8)}, {"snow": right(8)})


def test_calibration_error():
    """Two of three bins: six of confidence .9, four right; four of .3, one right."""
    confidence = np.array([0.9] * 6 + [0.3] * 4)
    correct = np.array([True] * 4 + [False] * 2 + [True] + [False] * 3)
    assert calibration_error(correct, confidence, bins=3) == pytest.approx(
        100 * (0.6 * (0.9 - 4 / 6) + 0.4 * (0.3 - 0.25)), abs=1e-4
    )


def test_calibration_error_of_what_is_no_number():
    assert math.isnan(calibration_error(np.array([True, False]), np.array([0.5, np.nan])))
    assert math.isnan(calibration_error(np.zeros(0, dtype=bool), np.zeros(0)))


def test_calibration_error_of_rounded_confidence():
    assert calibration_error(np.array([True]), np.array([1.0000001])) == pytest.approx(0, abs=1e-4)


def test_bootstrap_near_the_normal_interval():
    """Of 400 pictures, ±1.96 standard errors of the mean difference."""
    generator = np.random.default_rng(0)
    first, second = generator.random((2, 5, 400)) < np.array([0.7, 0.6])[:, None, None]
    found = compare({"fog": first}, {"fog": second})
    per_picture = 100 * (first.mean(axis=0) - second.mean(axis=0))
    half = 1.96 * per_picture.std(ddof=1) / 20
    assert found.points == pytest.approx(per_picture.mean())
    assert (found.low, found.high) == pytest.approx((found.points - half, found.points + half), abs=0.15 * half)
    assert found.p == pytest.approx(2 / 2001)
    assert compare({"fog": first}, {"fog": second}) == found


def test_bootstrap_draws_a_picture_with_all_its_shifts():
    """The same answers under twenty shifts are no more evidence than under one."""
    generator = np.random.default_rng(0)
    first, second = generator.random((2, 1, 100)) < 0.5
    one = compare({"fog": first}, {"fog": second})
    many = compare({str(i): first for i in range(20)}, {str(i): second for i in range(20)})
    assert many == pytest.approx(one)


def test_bootstrap_of_equal_answers():
    assert compare({"fog": right(7)}, {"fog": right(7)}) == (0, 0, 0, 1)


def test_bootstrap_of_one_picture_and_of_other_shifts():
    assert compare({"fog": right(1, of=1)}, {"fog": right(0, of=1)})[:2] == (100, pytest.approx(math.nan, nan_ok=True))
    with pytest.raises(ValueError, match=r"shifts \['fog'\] against \['snow'\]"):
        compare({"fog": right(1)}, {"snow": right(1)})
