import math

import pytest
from scipy import stats

from binorm.experiments.report.significance import (
    PairedDifference,
    holm,
    mean_by_seed,
    number,
    p_text,
    paired_difference,
    sign_test,
    signed,
    spread,
)


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


def test_the_mean_over_columns_takes_the_seeds_that_all_columns_have():
    columns = [{0: 90.0, 1: 91.0, 2: 92.0}, {2: 60.0, 0: 50.0, 3: 1.0}]
    assert mean_by_seed(columns) == {0: 70.0, 2: 76.0}
    assert mean_by_seed([{0: 1.0}, {1: 1.0}]) == mean_by_seed([]) == {}


def test_the_comparison_over_columns_is_a_t_test_of_the_seeds_mean_differences():
    baselines = [{0: 90.0, 1: 91.0, 2: 92.5}, {0: 60.0, 1: 63.0, 2: 61.0}]
    values = [{0: 91.0, 1: 91.5, 2: 93.0}, {0: 63.0, 1: 64.5, 2: 61.5}]
    # By hand: differences 1, 0.5, 0.5 and 3, 1.5, 0.5; their means over columns are 2, 1 and 0.5.
    expected = stats.ttest_1samp([2.0, 1.0, 0.5], 0.0)
    interval = expected.confidence_interval(0.95)
    difference = paired_difference(mean_by_seed(values), mean_by_seed(baselines))
    assert difference is not None
    assert difference.pairs == 3
    assert difference.mean == pytest.approx(3.5 / 3)
    assert difference.p_value == pytest.approx(expected.pvalue)
    assert (difference.low, difference.high) == pytest.approx((interval.low, interval.high))


def test_the_sign_test_counts_heads_of_a_fair_coin():
    result = sign_test([1.0, 0.2, 3.0, 0.1, 2.0, 0.5, 1.5, -0.3])
    assert (result.above, result.below) == (7, 1)
    assert result.p_value == pytest.approx(2 * (1 + 8) / 2**8)
    assert sign_test([-1.0, -1.0]).p_value == pytest.approx(0.5)


def test_the_sign_test_leaves_ties_out():
    result = sign_test([1.0, 0.0, 0.1 + 0.2 - 0.3, math.nan, 2.0])
    assert (result.above, result.below, result.p_value) == (2, 0, 0.5)
    assert math.isnan(sign_test([0.0]).p_value)
    assert math.isnan(sign_test([]).p_value)


def test_holm_corrects_step_by_step_and_never_falls():
    # By hand: 0.01 x 4, 0.02 x 3, then 0.03 x 2 = 0.06 and 0.04 x 1, which may not fall below 0.06.
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.02]) == [0.02]
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_counts_comparisons_without_a_p_value():
    first, second, third = holm([0.01, math.nan, 0.02])
    assert (first, third) == pytest.approx((0.03, 0.04))
    assert math.isnan(second)


def test_p_values_as_text():
    assert p_text(0.0124) == "p = 0.012"
    assert p_text(0.0004, "Holm") == "Holm < 0.001"
    assert p_text(math.nan) == ""
