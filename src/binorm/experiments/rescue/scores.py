"""How right a network is on shifted pictures: top-1, mCE, calibration, and whether two networks differ.

Arrays ``correct`` are bool (K, N): N pictures, each in K versions (five severities of a shift, or one "turn").
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torchmetrics.functional.classification import binary_calibration_error

Correct = NDArray[np.bool_]

_RESAMPLES = 2000
_RESAMPLES_AT_ONCE = 100  # bounds memory: so many index rows of N


class Difference(NamedTuple):
    """Of two candidates on the same pictures, in points of top-1: the first minus the second."""

    points: float
    low: float
    high: float
    p: float


def top1(correct: Correct) -> float:
    """Percent of right answers; nan of none."""
    return 100 * float(correct.mean()) if correct.size else math.nan


def mean_top1(correct: Mapping[str, Correct]) -> float:
    """The mean of `top1` over shifts, each with the same weight; nan of none."""
    return float(np.mean([top1(each) for each in correct.values()])) if correct else math.nan


def mean_corruption_error(correct: Mapping[str, Correct], baseline: Mapping[str, Correct]) -> float:
    """mCE: 100 · mean over corruptions c of Σ_s E(s, c) / Σ_s E_baseline(s, c), with errors E at severities s.

    From Hendrycks & Dietterich (2019), section 4; theirs has AlexNet as the baseline, which has 100 by definition.

    Args:
        correct: of the candidate, by corruption, (severities, N).
        baseline: of the baseline, the same corruptions.

    Returns:
        Lower is better; nan where the baseline makes no error on some corruption, as then no ratio is defined.

    Raises:
        ValueError: if the two have other corruptions.
    """
    if correct.keys() != baseline.keys():
        raise ValueError(f"mCE over {sorted(correct)} against a baseline over {sorted(baseline)}: expected the same")
    errors = {name: (_error(each), _error(baseline[name])) for name, each in correct.items()}
    if not errors or any(base == 0 for _, base in errors.values()):
        return math.nan
    return 100 * float(np.mean([own / base for own, base in errors.values()]))


def calibration_error(correct: Correct, confidence: NDArray[np.floating[Any]], bins: int = 15) -> float:
    """Expected calibration error in points: mean distance of the top label's confidence from its accuracy, over bins.

    Args:
        correct: any shape.
        confidence: the same shape, between 0 and 1.
        bins: of equal width.

    Returns:
        Nan of no pictures, and where a confidence is not a number, as after a network that has diverged.
    """
    values = torch.from_numpy(np.ascontiguousarray(confidence, dtype=np.float32)).flatten()
    if not len(values) or not bool(values.isfinite().all()):
        return math.nan
    right = torch.from_numpy(np.ascontiguousarray(correct)).flatten().long()
    return 100 * float(binary_calibration_error(values.clamp(0, 1), right, n_bins=bins))


def compare(first: Mapping[str, Correct], second: Mapping[str, Correct], seed: int = 0) -> Difference:
    """The difference of two candidates' `mean_top1`, with a paired bootstrap over pictures.

    A picture is drawn with all its shifts and severities, as these are no new pictures. The interval holds the middle
    95 % of 2,000 resamples; p is twice the share of them at or beyond 0, and never below 2/2,001.

    Args:
        first: by shift, (K, N): the same N pictures throughout.
        second: the same shifts of the same pictures.
        seed: of the resampling.

    Raises:
        ValueError: if the two have other shifts or pictures, or there are none.
    """
    if first.keys() != second.keys() or not first:
        raise ValueError(f"shifts {sorted(first)} against {sorted(second)}: expected the same, and at least one")
    per_picture = np.mean([_points(each) - _points(second[name]) for name, each in first.items()], axis=0)
    points = float(per_picture.mean())
    if len(per_picture) < 2:
        return Difference(points, math.nan, math.nan, math.nan)
    resampled = stats.bootstrap(
        (per_picture,),
        np.mean,
        n_resamples=_RESAMPLES,
        batch=_RESAMPLES_AT_ONCE,
        vectorized=True,
        method="percentile",
        random_state=np.random.default_rng(seed),
    )
    means = resampled.bootstrap_distribution
    tail = 1 + min(int((means <= 0).sum()), int((means >= 0).sum()))
    interval = resampled.confidence_interval
    return Difference(points, float(interval.low), float(interval.high), min(1.0, 2 * tail / (_RESAMPLES + 1)))


def _error(correct: Correct) -> float:
    """The sum over severities of the share of wrong answers."""
    return float((1 - correct.mean(axis=1)).sum())


def _points(correct: Correct) -> NDArray[np.float64]:
    """Of each picture (N,): percent of its versions that are right."""
    mean: NDArray[np.float64] = 100 * correct.mean(axis=0)
    return mean
