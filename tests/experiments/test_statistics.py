import math

import pytest
from scipy import stats

from binorm.experiments.statistics import PairedDifference, number, paired_difference, signed, spread


def test_spread_is_the_mean_and_the_sample_deviation():
    summary = spread([1.0, 2.0, 4.0])
    assert summary.mean == pytest.approx(7 / 3)
    assert summary.std == pytest.approx(math.sqrt(7 / 3))
    assert summary.text() == "2.33 ± 1.53"


def test_one_run_has_no_spread():
    summary = spread([93.721])
    assert math.isnan(summary.std)
    assert summary.text() == "93.72"


def test_no_run_is_a_dash():
    assert math.isnan(spread([]).mean)
    assert spread([]).text() == "–"


@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_numbers_that_are_not_finite_do_not_raise(odd):
    assert math.isnan(spread([1.0, odd]).std)
    assert paired_difference({0: odd, 1: 1.0}, {0: 0.0, 1: 0.0}) is None


def test_paired_difference_is_the_paired_t_test():
    values, baseline = [94.1, 94.4, 94.2, 94.6, 94.0], [93.6, 94.1, 93.5, 94.4, 93.9]
    difference = paired_difference(dict(enumerate(values)), dict(enumerate(baseline)))
    expected = stats.ttest_rel(values, baseline)
    interval = expected.confidence_interval(0.95)
    assert difference is not None
    assert difference.pairs == 5
    assert difference.mean == pytest.approx(0.36)
    assert difference.p_value == pytest.approx(expected.pvalue)
    assert (difference.low, difference.high) == pytest.approx((interval.low, interval.high))


def test_pairs_are_matched_by_seed():
    difference = paired_difference({3: 12.0, 1: 21.0, 7: 0.0}, {1: 20.0, 3: 10.0, 2: 99.0})
    assert difference is not None
    assert difference.pairs == 2
    assert difference.mean == 1.5


@pytest.mark.parametrize("seeds", [(), (0,)])
def test_fewer_than_two_pairs_give_no_difference(seeds):
    assert paired_difference(dict.fromkeys(seeds, 2.0), {0: 1.0, 1: 1.0}) is None


@pytest.mark.parametrize("shift", [0.0, 0.1])
def test_equal_differences_claim_nothing(shift):
    baseline = {0: 91.3, 1: 90.1, 2: 88.7}
    difference = paired_difference({seed: value + shift for seed, value in baseline.items()}, baseline)
    assert difference is not None
    assert difference.mean == pytest.approx(shift)
    assert math.isnan(difference.low)
    assert math.isnan(difference.p_value)
    assert difference.verdict == "no clear difference"
    assert "every pair alike" in difference.text()


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.1, 0.9, "higher"),
        (-0.9, -0.1, "lower"),
        (-0.1, 0.9, "no clear difference"),
        (0.0, 0.9, "no clear difference"),
        (-0.9, 0.0, "no clear difference"),
    ],
)
def test_the_verdict_follows_the_interval(low, high, verdict):
    assert PairedDifference(3, (low + high) / 2, low, high, 0.04).verdict == verdict


def test_text():
    difference = PairedDifference(5, 0.57, 0.21, 0.93, 0.0124)
    assert difference.text() == "+0.57 (+0.21 to +0.93)"
    assert difference.p_text() == "p = 0.012"
    difference = PairedDifference(5, -0.57, -0.93, -0.21, 0.0001)
    assert difference.text() == "−0.57 (−0.93 to −0.21)"
    assert difference.p_text() == "p < 0.001"
    assert number(1234567.0, 0) == "1,234,567"
    assert (signed(-0.001, 2), signed(0.001, 2), signed(-1234.5, 1)) == ("0.00", "0.00", "−1,234.5")
