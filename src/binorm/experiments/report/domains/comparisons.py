"""Differences in a domain report: norms to batch norm with one method, methods to the baseline with one norm."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from binorm.experiments.report.domains.rows import DomainRow
from binorm.experiments.report.statistics import (
    PairedDifference,
    SignTest,
    holm,
    mean_by_seed,
    p_text,
    paired_difference,
    sign_test,
    signed,
)
from binorm.experiments.report.tables import BASELINE
from binorm.experiments.runs.domains import Task

COMPARED = "bin"  # comes first among the norms
LEVEL = 0.05  # of corrected p-values, as of the 95 % intervals


@dataclass(frozen=True)
class TaskDifference:
    """A difference in one task, in percentage points of the last epoch.

    Attributes:
        label: of the task.
        pairs: seeds that finished with both.
        mean: over the pairs; nan without any.
        test: interval and p-value; None below two pairs.
        p_holm: the p-value corrected for all tasks of the comparison (Holm); nan where there is none or one task.
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
    """One norm or method against another over all tasks.

    Attributes:
        within: the method that both norms were trained with, or the norm that both methods were; ``""`` in mixed
            training.
        compared: a norm or a method.
        baseline: likewise; differences are ``compared - baseline``.
        tasks: one for each task.
        mean: that of ``overall``, or without one the mean over tasks that have a pair; nan where none has.
        overall: the test of the seeds' mean differences over these tasks; None below two seeds that all of them have.
        p_holm: its p-value corrected for all comparisons beside it (Holm); nan where there is none or no other.
        signs: in how many tasks the mean difference is above and below 0, with the sign test.
    """

    within: str
    compared: str
    baseline: str
    tasks: tuple[TaskDifference, ...]
    mean: float
    overall: PairedDifference | None
    signs: SignTest
    p_holm: float = math.nan

    @property
    def paired(self) -> int:
        """In how many tasks there is a pair."""
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
        if self.overall is None:
            return "no interval"
        uncertain = self.overall.low <= 0 <= self.overall.high or math.isnan(self.overall.low)
        return f"{self.overall.verdict}{' before correction' * (not uncertain and self.p_holm >= LEVEL)}"

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


def norm_comparisons(rows: Sequence[DomainRow], tasks: Sequence[Task]) -> tuple[Comparison, ...]:
    """For each method, every norm against batch norm; BIN of all methods first, then each other norm."""
    pairs = [(row, base) for row in rows for base in rows if row.method == base.method and base.norm == BASELINE]
    pairs = [(row, base) for row, base in pairs if row.norm != BASELINE]
    pairs.sort(key=lambda pair: pair[0].norm != COMPARED)  # stable
    return _corrected([_comparison(row.method, row.norm, base.norm, row, base, tasks) for row, base in pairs])


def method_comparisons(
    rows: Sequence[DomainRow], tasks: Sequence[Task], baseline: str | None
) -> tuple[Comparison, ...]:
    """For each norm, every method against the baseline method; none without a baseline, as in mixed training."""
    pairs = [
        (row, base)
        for base in rows
        for row in rows
        if base.method == baseline and row.method != baseline and row.norm == base.norm
    ]
    return _corrected([_comparison(row.norm, row.method, base.method, row, base, tasks) for row, base in pairs])


def _comparison(
    within: str, compared: str, baseline: str, row: DomainRow, base: DomainRow, tasks: Sequence[Task]
) -> Comparison:
    pairs = [(cell.last, beside.last) for cell, beside in zip(row.cells, base.cells, strict=True)]
    differences = [_task_difference(task.label, *pair) for task, pair in zip(tasks, pairs, strict=True)]
    paired = [pair for pair, difference in zip(pairs, differences, strict=True) if difference.pairs]
    values, beside = mean_by_seed([each for each, _ in paired]), mean_by_seed([each for _, each in paired])
    overall = paired_difference(values, beside)
    means = [difference.mean for difference in differences if difference.pairs]
    return Comparison(
        within=within,
        compared=compared,
        baseline=baseline,
        tasks=_corrected_tasks(differences),
        mean=overall.mean if overall else statistics.fmean(means) if means else math.nan,
        overall=overall,
        signs=sign_test(means),
    )


def _task_difference(label: str, values: Mapping[int, float], baseline: Mapping[int, float]) -> TaskDifference:
    pairs = [values[seed] - baseline[seed] for seed in sorted(values.keys() & baseline.keys())]
    mean = statistics.fmean(pairs) if pairs else math.nan
    return TaskDifference(label, len(pairs), mean, paired_difference(values, baseline))


def _corrected_tasks(differences: Sequence[TaskDifference]) -> tuple[TaskDifference, ...]:
    corrected = _holm([each.test for each in differences])
    return tuple(replace(each, p_holm=p) for each, p in zip(differences, corrected, strict=True))


def _corrected(comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """Those with a pair, their p-values corrected for each other."""
    kept = [each for each in comparisons if each.paired]
    return tuple(replace(each, p_holm=p) for each, p in zip(kept, _holm([each.overall for each in kept]), strict=True))


def _holm(tests: Sequence[PairedDifference | None]) -> list[float]:
    """Corrected p-values of the tests that there are; nan for the others, and where there is but one."""
    known = [test.p_value for test in tests if test]
    corrected = iter(holm(known))
    return [next(corrected) if test and len(known) > 1 else math.nan for test in tests]


def leading(comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """Those of BIN; all, where it is not compared."""
    return tuple(each for each in comparisons if each.compared == COMPARED) or tuple(comparisons)
