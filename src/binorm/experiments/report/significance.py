"""What a handful of runs says: mean and spread, differences to a baseline with their uncertainty, many at once."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy import stats

MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation (n - 1 in the denominator) of ``count`` numbers; nan where undefined."""

    count: int
    mean: float
    std: float

    def text(self, digits: int = 2) -> str:
        """``"94.29 ± 0.09"``; one run shows no ±, none shows a dash."""
        if self.count == 0:
            return "–"
        mean = number(self.mean, digits)
        return mean if math.isnan(self.std) else f"{mean} ± {number(self.std, digits)}"


@dataclass(frozen=True)
class PairedDifference:
    """The mean over ``pairs`` of (norm - baseline), with the bounds of its confidence interval and the p-value.

    The bounds and the p-value are nan where every pair differs by the same amount: accuracies come in steps of one
    picture, so that says that the test set is small, not that the difference is certain.
    """

    pairs: int
    mean: float
    low: float
    high: float
    p_value: float

    @property
    def verdict(self) -> str:
        """``"higher"`` or ``"lower"`` where the interval leaves 0 out, else ``"no clear difference"``."""
        if self.low > 0:
            return "higher"
        return "lower" if self.high < 0 else "no clear difference"

    def interval_text(self, digits: int = 2) -> str:
        """``"+0.21 to +0.93"``, or why there is none."""
        if math.isnan(self.low):
            return "no interval: every pair alike"
        return f"{signed(self.low, digits)} to {signed(self.high, digits)}"

    def p_text(self) -> str:
        """``"p = 0.012"``, ``"p < 0.001"``, or nothing where there is no p-value."""
        return p_text(self.p_value)

    def text(self, digits: int = 2) -> str:
        """``"+0.57 (+0.21 to +0.93)"``."""
        return f"{signed(self.mean, digits)} ({self.interval_text(digits)})"


@dataclass(frozen=True)
class SignTest:
    """How often a difference is above and below 0, ties left out, with the exact two-sided p-value for even odds."""

    above: int
    below: int
    p_value: float

    def p_text(self) -> str:
        """``"p = 0.012"``, ``"p < 0.001"``, or nothing where no difference has a sign."""
        return p_text(self.p_value)


def p_text(p_value: float, name: str = "p") -> str:
    """``"p = 0.012"``, ``"p < 0.001"``, or nothing for nan."""
    if math.isnan(p_value):
        return ""
    return f"{name} < 0.001" if p_value < 0.001 else f"{name} = {p_value:.3f}"


def number(value: float, digits: int) -> str:
    """Thousands apart, a true minus sign, and never a negative zero."""
    return f"{value:z,.{digits}f}".replace("-", MINUS)


def signed(value: float, digits: int) -> str:
    """As `number`, with a plus sign before what is above zero."""
    text = number(value, digits)
    return f"+{text}" if float(f"{value:z.{digits}f}") > 0 else text


def spread(values: Sequence[float]) -> Spread:
    """Summarize any count of numbers; the mean of none and the deviation of fewer than two are nan."""
    return Spread(
        count=len(values),
        mean=statistics.fmean(values) if values else math.nan,
        std=_deviation(values) if len(values) > 1 else math.nan,
    )


def _deviation(values: Sequence[float]) -> float:
    # statistics.stdev raises on nan and inf, which a run's metrics may hold.
    return statistics.stdev(values) if all(map(math.isfinite, values)) else math.nan


def paired_difference(
    values: Mapping[int, float], baseline: Mapping[int, float], confidence: float = 0.95
) -> PairedDifference | None:
    """Compare with a baseline, seed by seed: the two-sided paired t-test and its confidence interval.

    Args:
        values: one number for each seed.
        baseline: likewise; seeds that only one of the two has are left out.
        confidence: the coverage of the interval, between 0 and 1.

    Returns:
        The difference, or None where fewer than two pairs of finite numbers leave nothing to estimate a spread from.
    """
    pairs = [values[seed] - baseline[seed] for seed in sorted(values.keys() & baseline.keys())]
    differences = [pair for pair in pairs if math.isfinite(pair)]
    count = len(differences)
    if count < 2:
        return None
    mean = statistics.fmean(differences)
    error = statistics.stdev(differences) / math.sqrt(count)
    # Equal differences of floats such as 91.3 - 90.1 still disagree in their last digits.
    if error <= 1e-9 * max(1.0, abs(mean)):
        return PairedDifference(count, mean, math.nan, math.nan, math.nan)
    distribution = stats.t(df=count - 1)
    margin = float(distribution.ppf((1 + confidence) / 2)) * error
    p_value = 2 * float(distribution.sf(abs(mean) / error))
    return PairedDifference(count, mean, mean - margin, mean + margin, p_value)


def mean_by_seed(columns: Sequence[Mapping[int, float]]) -> dict[int, float]:
    """For every seed that all columns have, the mean over columns: mean_s = Σ_c x_cs / number of columns.

    `paired_difference` of two such means is the comparison over a whole table. With d_cs the difference in column c
    with seed s, D_s = mean over c of d_cs, and S seeds, it is mean(D) ± t(0.975; S - 1) · std(D) / √S. Columns count
    alike, and the interval is about other seeds on these columns, not about other data sets.
    """
    seeds = set.intersection(*(set(column) for column in columns)) if columns else set()
    return {seed: statistics.fmean(column[seed] for column in columns) for seed in sorted(seeds)}


def sign_test(differences: Sequence[float]) -> SignTest:
    """Count signs and test them against a fair coin: p = P(a split as uneven as this one), exact and two-sided.

    Differences that are nan, or 0 but for the rounding of floats, say nothing and are left out; with none left the
    p-value is nan. The test takes the differences as independent.
    """
    above, below = sum(each > 1e-9 for each in differences), sum(each < -1e-9 for each in differences)
    p_value = float(stats.binomtest(above, above + below).pvalue) if above + below else math.nan
    return SignTest(above, below, p_value)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct for so many comparisons (Holm 1979): the chance of any false finding stays below the level tested at.

    With p_(1) ≤ … ≤ p_(m), the corrected p_(i) is the largest of min(1, (m - j + 1) · p_(j)) over j ≤ i.

    Args:
        p_values: raw p-values; a nan stays nan and counts as a comparison all the same.

    Returns:
        The corrected p-values, in the order given.
    """
    corrected = list(p_values)
    highest = 0.0
    places = sorted((place for place, p in enumerate(p_values) if not math.isnan(p)), key=lambda place: p_values[place])
    for rank, place in enumerate(places):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = highest
    return corrected
