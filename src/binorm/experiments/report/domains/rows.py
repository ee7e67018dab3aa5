"""The table of a domain report: accuracies of each method and norm in each task, and their means over tasks."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from binorm.experiments.report import tables
from binorm.experiments.report.statistics import Spread, mean_by_seed, spread
from binorm.experiments.report.tables import Run
from binorm.experiments.runs.domains import DomainRun, Task, methods_of, of


@dataclass(frozen=True)
class Scores:
    """Top-1 in percent of one method and norm in one task, or its mean over tasks.

    Attributes:
        last: after the last epoch, by seed.
        best: at the best epoch, by seed; see `binorm.experiments.report.tables.best_accuracy`.
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
    def incomplete(self) -> str:
        """``"2 of 3 runs"`` where one did not finish, else nothing."""
        return "" if len(self.last) == self.started else f"{len(self.last)} of {self.started} {self.unit}s"


@dataclass(frozen=True)
class DomainRow:
    """One method with one norm.

    Attributes:
        method: as in `binorm.experiments.runs.domains.DomainRun`.
        norm: its name.
        cells: one for each task.
        mean: the mean over tasks for each seed that has finished in all of them; none of a single task.
        highest: for each task and the mean, whether no other norm of the method has a higher one, to the digits shown.
    """

    method: str
    norm: str
    cells: tuple[Scores, ...]
    mean: Scores | None
    highest: tuple[bool, ...]

    @property
    def all_cells(self) -> tuple[Scores, ...]:
        """Those of the tasks and the mean."""
        return self.cells if self.mean is None else (*self.cells, self.mean)


def domain_rows(runs: Sequence[DomainRun], tasks: Sequence[Task]) -> tuple[DomainRow, ...]:
    """One row for each method and each of its norms, in the order of display."""
    return tuple(row for method in methods_of(runs) for row in _rows(runs, tasks, method))


def _rows(runs: Sequence[DomainRun], tasks: Sequence[Task], method: str) -> list[DomainRow]:
    norms = tables.norms_of(of(runs, method))
    cells = [tuple(_scores(of(runs, method, norm, task.folder), task) for task in tasks) for norm in norms]
    means = [_mean(each) if len(tasks) > 1 else None for each in cells]
    rows = [DomainRow(method, norm, each, mean, ()) for norm, each, mean in zip(norms, cells, means, strict=True)]
    columns = zip(*(row.all_cells for row in rows), strict=True)
    highest = list(zip(*map(_highest, columns), strict=True))
    return [replace(row, highest=flags) for row, flags in zip(rows, highest, strict=True)]


def _scores(runs: Sequence[Run], task: Task) -> Scores:
    evaluated = [run for run in tables.finished(runs) if task.evaluation in run.evaluation_sets]
    name = task.evaluation or ""
    return Scores(
        last={run.seed: run.accuracies(name)[-1] for run in evaluated},
        best={run.seed: tables.best_accuracy(run, name) for run in evaluated},
        started=len(runs),
    )


def _mean(cells: Sequence[Scores]) -> Scores:
    last, best = mean_by_seed([cell.last for cell in cells]), mean_by_seed([cell.best for cell in cells])
    return Scores(last, best, started=max(cell.started for cell in cells), unit="seed")


def _highest(column: Sequence[Scores]) -> list[bool]:
    means = [round(cell.last_spread.mean, 2) for cell in column]
    known = [mean for mean in means if math.isfinite(mean)]
    return [len(known) > 1 and mean == max(known) for mean in means]
