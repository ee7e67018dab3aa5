"""Everything that runs scored as one long list, grouped once, and every comparison that a report draws from it."""

import math
import operator
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from binorm.experiments.models.operations import TRAINING
from binorm.experiments.recipes.base import VALIDATION
from binorm.experiments.report.significance import (
    PairedDifference,
    SignTest,
    Spread,
    holm,
    mean_by_seed,
    p_text,
    paired_difference,
    sign_test,
    signed,
    spread,
)
from binorm.experiments.runs.reading import FinishedRun, Run, norm_rank
from binorm.experiments.runs.record import ShiftedScores

BASELINE, COMPARED = "bn", "bin"
LAST, BEST = "accuracy", "best_accuracy"  # top-1 in percent after the last epoch, and at the best one
STARTED = "started"  # 1 for every run, finished or not
SPEED, SECONDS = "images_per_second", "run_seconds"
OPERATIONS, JOULES = "run_operations", "run_joules"  # of training, in all
CLEAN, SHIFTED = "clean_accuracy", "shifted_accuracy"  # top-1 on pictures as they are, and on the same ones shifted
LAST_EPOCH = "last epoch"
BEST_ON_TEST = "best epoch (chosen on the test set)"
BEST_ON_VALIDATION = "best epoch (chosen on validation pictures)"
BEST_ON_EITHER = "best epoch (chosen on validation pictures where there are any, else on the test set)"
LEVEL = 0.05  # of corrected p-values, as of the 95 % intervals


class Score(NamedTuple):
    """One number of one run: ``data`` is the evaluation set, or ``""`` for what is of the whole run."""

    recipe: str
    method: str
    task: str
    norm: str
    seed: int
    data: str
    metric: str
    value: float


def scores_of(runs: Iterable[Run], recipe: str = "") -> Iterator[Score]:
    """Every column of every run's metrics at its end, the best accuracies, speed and time."""
    for run in runs:
        place = (recipe, run.method, run.task, run.norm, run.seed)
        yield Score(*place, "", STARTED, 1.0)
        if not isinstance(run, FinishedRun):
            continue
        for column, values in run.metrics.items():
            sets = [name for name in run.evaluation_sets if column.startswith(f"{name}_")]
            data = max(sets, key=len, default="")
            yield Score(*place, data, column.removeprefix(f"{data}_" if data else ""), values[-1])
        for data in run.evaluation_sets:
            yield Score(*place, data, BEST, best_accuracy(run, data))
        for data, found in run.record.shifted.items():
            yield from (Score(*place, data, *each) for each in shifted_scores(found))
        # The median leaves out the first epoch's warm-up and a neighbour's burst of work.
        yield Score(*place, "", SPEED, statistics.median(run.metrics[SPEED]))
        yield Score(*place, "", SECONDS, run.record.seconds)
        if run.record.operations:
            pictures = sum(map(operator.mul, run.metrics[SPEED], run.metrics["seconds"]))
            yield Score(*place, "", OPERATIONS, TRAINING * run.record.operations * pictures)
        if all(map(math.isfinite, run.metrics.get("joules", (math.nan,)))):
            yield Score(*place, "", JOULES, sum(run.metrics["joules"]))


def shifted_scores(found: ShiftedScores) -> Iterator[tuple[str, float]]:
    """Metrics and values: clean, and each shift."""
    yield CLEAN, found.clean
    for shift, value in found.shifts.items():
        yield shifted_metric(shift), value


def shifted_metric(name: str | None = None) -> str:
    """What the accuracy on one shift or group of them is called; without a name the mean over all shifts."""
    return f"{SHIFTED} {name}" if name else SHIFTED


class Scores:
    """Scores grouped by all but their seed."""

    def __init__(self, scores: Iterable[Score]) -> None:
        self._groups: dict[tuple[str, ...], dict[int, float]] = {}
        for recipe, method, task, norm, seed, data, metric, value in scores:
            self._groups.setdefault((recipe, method, task, norm, data, metric), {})[seed] = value

    def by_seed(
        self, metric: str, norm: str, data: str | None = "", task: str = "", method: str = "", recipe: str = ""
    ) -> dict[int, float]:
        """One number for each seed that has it."""
        return self._groups.get((recipe, method, task, norm, data or "", metric), {})

    def all_values(self, metric: str, norm: str) -> list[float]:
        """Of whole runs, whatever their recipe, method and task."""
        places = [place for place in self._groups if (place[3], *place[4:]) == (norm, "", metric)]
        return [value for place in places for value in self._groups[place].values()]

    def group(self, norm: str, data: str | None, task: str = "", method: str = "", recipe: str = "") -> "Group":
        """The accuracies of one norm and method on one evaluation set."""
        place = (task, method, recipe)
        last, best = (self.by_seed(metric, norm, data, *place) if data else {} for metric in (LAST, BEST))
        return Group(last, best, len(self.by_seed(STARTED, norm, "", *place)))


@dataclass(frozen=True)
class Group:
    """Top-1 in percent of one norm and method on one evaluation set, or its mean over several.

    Attributes:
        last: after the last epoch, by seed.
        best: at the best epoch, by seed; see `best_accuracy`.
        started: how many there are, finished or not.
        unit: of ``started``: a run, or of a mean over tasks a seed.
    """

    last: Mapping[int, float]
    best: Mapping[int, float]
    started: int
    unit: str = "run"

    @property
    def last_spread(self) -> Spread:
        """Over seeds, after the last epoch."""
        return spread(list(self.last.values()))

    @property
    def best_spread(self) -> Spread:
        """Over seeds, at the best epoch."""
        return spread(list(self.best.values()))

    @property
    def runs_text(self) -> str:
        """``"5 runs"``, or ``"4 of 5 runs"`` where one did not finish."""
        return count_text(len(self.last), self.started, self.unit)


def mean_group(groups: Sequence[Group]) -> Group:
    """The mean over tasks, formed for each seed that has finished in all of them."""
    last, best = mean_by_seed([each.last for each in groups]), mean_by_seed([each.best for each in groups])
    return Group(last, best, max(each.started for each in groups), "seed")


def count_text(finished: int, started: int, unit: str = "run") -> str:
    """``"5 runs"``, or ``"4 of 5 runs"`` where one did not finish."""
    return f"{finished if finished == started else f'{finished} of {started}'} {unit}{'s' * (started != 1)}"


def leaders(means: Sequence[float], digits: int = 2, lowest: bool = False) -> list[bool]:
    """Which means no other exceeds, to the digits shown: none of a single one."""
    sign = -1 if lowest else 1
    rounded = [sign * round(mean, digits) for mean in means]
    finite = [mean for mean in rounded if math.isfinite(mean)]
    return [len(finite) > 1 and mean == max(finite) for mean in rounded]


def best_accuracy(run: FinishedRun, data: str) -> float:
    """Top-1 at the best epoch: the one that the validation pictures choose, or without any the test set itself."""
    accuracies = run.accuracies(data)
    if VALIDATION not in run.evaluation_sets:
        return max(accuracies)
    chosen = run.accuracies(VALIDATION)
    return accuracies[chosen.index(max(chosen))]


def best_label(runs: Iterable[Run]) -> str:
    """What to call the best epoch, by what chose it."""
    validated = [VALIDATION in run.evaluation_sets for run in finished(runs)]
    if not any(validated):
        return BEST_ON_TEST
    return BEST_ON_VALIDATION if all(validated) else BEST_ON_EITHER


def finished(runs: Iterable[Run], norm: str | None = None) -> list[FinishedRun]:
    """The finished runs, of one norm or of all."""
    return [run for run in runs if isinstance(run, FinishedRun) and norm in (None, run.norm)]


def norms_of(runs: Iterable[Run]) -> list[str]:
    """The norms that were started, in the order of display."""
    return sorted({run.norm for run in runs}, key=norm_rank)


def evaluation_sets(runs: Iterable[Run]) -> list[str]:
    """The evaluation sets of all finished runs, in the order of their first mention."""
    return list(dict.fromkeys(name for run in finished(runs) for name in run.evaluation_sets))


@dataclass(frozen=True)
class Difference:
    """A difference in one column, in percentage points of the last epoch.

    Attributes:
        label: of the column.
        pairs: seeds that finished with both.
        mean: over the pairs; nan without any.
        test: interval and p-value; None below two pairs.
        p_holm: the p-value corrected for all columns of the comparison (Holm); nan where there is none or one column.
    """

    label: str
    pairs: int
    mean: float
    test: PairedDifference | None
    p_holm: float = math.nan

    @property
    def holm_text(self) -> str:
        """``"Holm = 0.024"``, or nothing."""
        return p_text(self.p_holm, "Holm")


@dataclass(frozen=True)
class Comparison:
    """One norm or method against another over all columns: tasks of a recipe, or recipes.

    Attributes:
        within: the method that both norms were trained with, or the norm that both methods were; ``""`` for neither.
        compared: a norm or a method.
        baseline: likewise; differences are ``compared - baseline``.
        tasks: one for each column.
        mean: that of ``overall``, or without one the mean over columns that have a pair; nan where none has.
        overall: the test of the seeds' mean differences over these columns; None below two seeds that all have.
        p_holm: its p-value corrected for all comparisons beside it (Holm); nan where there is none or no other.
        signs: in how many columns the mean difference is above and below 0, with the sign test.
    """

    within: str
    compared: str
    baseline: str
    tasks: tuple[Difference, ...]
    mean: float
    overall: PairedDifference | None
    signs: SignTest
    p_holm: float = math.nan

    @property
    def paired(self) -> int:
        """In how many columns there is a pair."""
        return sum(each.pairs > 0 for each in self.tasks)

    @property
    def label(self) -> str:
        """``"bin − bn"``."""
        return f"{self.compared} − {self.baseline}"

    @property
    def holm_text(self) -> str:
        """``"Holm = 0.024"``, or nothing."""
        return p_text(self.p_holm, "Holm")

    @property
    def verdict(self) -> str:
        """``"higher"`` or ``"lower"`` where the interval leaves 0 out; says so where the corrected p-value does not."""
        return "no interval" if self.overall is None else corrected_verdict(self.overall, self.p_holm)

    def sentence(self, noun: str = "task") -> str:
        """The whole comparison in words; ``noun`` is what a column of the table is."""
        parts = []
        if self.paired > 1:
            sign_p = f" (exact sign test: {self.signs.p_text()})" if self.signs.p_text() else ""
            parts.append(
                f"{self.compared} is better than {self.baseline} in {self.signs.above} of {self.paired} {noun}s and "
                f"worse in {self.signs.below}{sign_p}"
            )
        parts.append(f"mean difference {self._size()}" if parts else f"{self.label}: {self._size()}")
        text = "; ".join(parts)
        return f"{self.within}: {text}." if self.within else f"{text}."

    def _size(self) -> str:
        if self.overall is None:
            return f"{signed(self.mean, 2)} points, and fewer than two seeds to tell it from chance"
        p_values = filter(None, (self.overall.p_text(), self.holm_text))
        return ", ".join((f"{self.overall.text()} points", *p_values)) + f": {self.verdict}"


def compare(
    compared: str,
    baseline: str,
    columns: Mapping[str, tuple[Mapping[int, float], Mapping[int, float]]],
    within: str = "",
) -> Comparison:
    """Compare two norms or methods over columns, each with the numbers of both by seed."""
    differences = [_difference(label, *pair) for label, pair in columns.items()]
    paired = [pair for pair, each in zip(columns.values(), differences, strict=True) if each.pairs]
    values, beside = (mean_by_seed([pair[side] for pair in paired]) for side in (0, 1))
    overall = paired_difference(values, beside)
    means = [each.mean for each in differences if each.pairs]
    corrected = holm_of([each.test for each in differences])
    return Comparison(
        within=within,
        compared=compared,
        baseline=baseline,
        tasks=tuple(replace(each, p_holm=p) for each, p in zip(differences, corrected, strict=True)),
        mean=overall.mean if overall else statistics.fmean(means) if means else math.nan,
        overall=overall,
        signs=sign_test(means),
    )


def corrected(comparisons: Iterable[Comparison]) -> tuple[Comparison, ...]:
    """Those with a pair, their p-values corrected for each other."""
    kept = [each for each in comparisons if each.paired]
    return tuple(
        replace(each, p_holm=p) for each, p in zip(kept, holm_of([each.overall for each in kept]), strict=True)
    )


def leading(comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """Those of BIN; all, where it is not compared."""
    return tuple(each for each in comparisons if each.compared == COMPARED) or tuple(comparisons)


def _difference(label: str, values: Mapping[int, float], baseline: Mapping[int, float]) -> Difference:
    pairs = [values[seed] - baseline[seed] for seed in sorted(values.keys() & baseline.keys())]
    mean = statistics.fmean(pairs) if pairs else math.nan
    return Difference(label, len(pairs), mean, paired_difference(values, baseline))


def corrected_verdict(test: PairedDifference, p_holm: float) -> str:
    """The verdict of a test, which says so where the p-value corrected for its neighbours does not."""
    certain = not (test.low <= 0 <= test.high or math.isnan(test.low))
    return f"{test.verdict}{' before correction' * (certain and p_holm >= LEVEL)}"


def holm_of(tests: Sequence[PairedDifference | None]) -> list[float]:
    """Corrected p-values of the tests that there are; nan for the others, and where there is but one."""
    p_values = [test.p_value for test in tests if test]
    corrected = iter(holm(p_values))
    return [next(corrected) if test and len(p_values) > 1 else math.nan for test in tests]


def to_baseline(scores: Scores, norm: str, data: str) -> PairedDifference | None:
    """The difference of the last epoch to the baseline; None for the baseline itself and below two pairs of seeds."""
    last, base = (scores.group(each, data).last for each in (norm, BASELINE))
    return None if norm == BASELINE else paired_difference(last, base)


def row_entries(scores: Scores, norm: str, data: str) -> dict[str, Any]:
    """The accuracies of one norm on one evaluation set and their difference to the baseline, for report.json."""
    group = scores.group(norm, data)
    counts = {"evaluation": data, "norm": norm, "runs": len(group.last), "started": group.started}
    return counts | {
        "last": group.last_spread,
        "best": group.best_spread,
        "difference": to_baseline(scores, norm, data),
    }
