"""What is taken for what: the confusions of a method's runs in each domain, summed over seeds and tasks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy
from numpy.typing import NDArray

from binorm.experiments.common.run_files import CONFUSION_FILE
from binorm.experiments.recipes.base import VALIDATION
from binorm.experiments.report.domains.comparisons import COMPARED
from binorm.experiments.report.statistics import signed
from binorm.experiments.report.tables import BASELINE
from binorm.experiments.runs.domains import MIXED, DomainRun, Task, kind_of, main_runs, methods_of
from binorm.experiments.runs.files import check, field, read_json
from binorm.experiments.runs.reading import RunResult, norm_rank

Counts = NDArray[numpy.int64]


@dataclass(frozen=True, eq=False)
class RunConfusions:
    """``confusion.json`` of one run: counts by evaluation set, rows the true class, columns the predicted one."""

    classes: tuple[str, ...]
    sets: Mapping[str, Counts]


@dataclass(frozen=True, eq=False)
class Confusions:
    """The confusions of one method in one domain.

    Attributes:
        method: as in a run's folder.
        domain: the evaluation set.
        tasks: the tasks summed over: those with this target; in mixed training the domain itself.
        classes: names, in the order of rows and columns.
        counts: summed counts by norm.
    """

    method: str
    domain: str
    tasks: tuple[str, ...]
    classes: tuple[str, ...]
    counts: Mapping[str, Counts]

    def percent(self, norm: str) -> NDArray[numpy.float64]:
        """Of each true class, how many in a hundred pictures were taken for each class; nan for a class without any."""
        counts = self.counts[norm].astype(numpy.float64)
        totals = counts.sum(axis=1, keepdims=True)
        return 100 * counts / numpy.where(totals > 0, totals, numpy.nan)


def read_confusions(folder: Path) -> RunConfusions | None:
    """Read the confusions in a run's folder; None where there are none.

    Raises:
        UserError: for a damaged file.
    """
    path = folder / CONFUSION_FILE
    if not path.exists():
        return None
    entries = read_json(path)
    classes = tuple(map(str, field(entries, "classes", list, path)))
    sets = {}
    for name, rows in field(entries, "sets", dict, path).items():
        fine = isinstance(rows, list) and len(rows) == len(classes) > 0
        fine = fine and all(isinstance(row, list) and len(row) == len(classes) for row in rows)
        fine = fine and all(type(count) is int and 0 <= count < 2**31 for row in rows for count in row)
        check(fine, path, f"the counts of {name!r} should be whole numbers, a row and a column for each class")
        sets[str(name)] = numpy.array(rows, dtype=numpy.int64)
    return RunConfusions(classes, sets)


def pair_of(norms: Sequence[str]) -> tuple[str, ...]:
    """The norms that are shown side by side: batch norm and BIN, or what there is in their place; at most two."""
    baseline = [norm for norm in (BASELINE, *norms) if norm in norms and norm != COMPARED][:1]
    compared = [norm for norm in (COMPARED, *norms) if norm in norms and norm not in baseline][:1]
    return (*baseline, *compared)


def confusions(runs: Sequence[DomainRun], tasks: Sequence[Task]) -> list[Confusions]:
    """Of every method with every norm, in each domain that is evaluated on, as far as runs have kept them.

    Tasks with one target are summed, since a table of each would be many; only those that share their classes.

    Raises:
        UserError: for a damaged file.
    """
    groups: dict[tuple[str, str, tuple[str, ...]], list[_Kept]] = {}
    for kept in _kept(runs, {(task.folder, task.evaluation): task.label for task in tasks}):
        groups.setdefault((kept.method, kept.domain, kept.classes), []).append(kept)
    found = [
        Confusions(method, domain, tuple(dict.fromkeys(kept.task for kept in group)), classes, _sums(group))
        for (method, domain, classes), group in groups.items()
    ]
    methods = methods_of(runs)
    domains = [task.evaluation for task in tasks]
    if kind_of(runs) != MIXED:  # whose domains have the order that they were trained in
        domains.sort(key=str)
    return sorted(found, key=lambda each: (methods.index(each.method), domains.index(each.domain)))


def largest_changes(shown: Confusions, baseline: str, compared: str, count: int = 3) -> str:
    """The classes that are recognized more often, and less often, by the most percentage points."""
    change = numpy.diag(shown.percent(compared) - shown.percent(baseline))
    order = [int(place) for place in numpy.argsort(-change, kind="stable") if numpy.isfinite(change[place])]
    gains = [place for place in order[:count] if change[place] > 0]
    losses = [place for place in order[-count:] if change[place] < 0]
    return ", ".join(f"{shown.classes[place]} {signed(float(change[place]), 1)}" for place in gains + losses)


@dataclass(frozen=True, eq=False)
class _Kept:
    """What one run says of one domain."""

    method: str
    domain: str
    classes: tuple[str, ...]
    norm: str
    task: str
    counts: Counts


def _kept(runs: Sequence[DomainRun], labels: Mapping[tuple[str, str | None], str]) -> Iterator[_Kept]:
    for each in main_runs(runs):
        read = read_confusions(each.run.folder) if isinstance(each.run, RunResult) else None
        if read is None:
            continue
        for name, counts in read.sets.items():
            if name != VALIDATION and (each.task, name) in labels:
                yield _Kept(each.method, name, read.classes, each.run.norm, labels[each.task, name], counts)


def _sums(group: Sequence[_Kept]) -> dict[str, Counts]:
    norms = sorted({kept.norm for kept in group}, key=norm_rank)
    return {norm: numpy.sum([kept.counts for kept in group if kept.norm == norm], axis=0) for norm in norms}
