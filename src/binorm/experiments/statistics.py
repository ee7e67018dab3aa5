"""What a handful of runs says: mean and spread, and the difference to a baseline with its uncertainty."""

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
        if math.isnan(self.p_value):
            return ""
        return "p < 0.001" if self.p_value < 0.001 else f"p = {self.p_value:.3f}"

    def text(self, digits: int = 2) -> str:
        """``"+0.57 (+0.21 to +0.93)"``."""
        return f"{signed(self.mean, digits)} ({self.interval_text(digits)})"


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
