"""What is taken for what: the confusions of a method's runs in each domain, summed over seeds and tasks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from binorm.experiments.common.text import listed
from binorm.experiments.recipes.base import VALIDATION
from binorm.experiments.report.drawings import file_name
from binorm.experiments.report.figures.confusions import NUMBERED, ConfusionRow, confusion_figure
from binorm.experiments.report.figures.theme import SCREEN, Output
from binorm.experiments.report.page import Figure
from binorm.experiments.report.scores import BASELINE, COMPARED, finished
from binorm.experiments.report.significance import signed
from binorm.experiments.runs.domains import MIXED, Counts, Task, kind_of, main_runs, methods_of, read_confusions
from binorm.experiments.runs.reading import Run, norm_rank


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

    @property
    def heading(self) -> str:
        """The domain, and the tasks that are summed over."""
        if list(self.tasks) == [self.domain]:
            return self.domain
        return f"{self.domain} ({listed(self.tasks) if len(self.tasks) <= 3 else f'{len(self.tasks)} tasks'})"

    def percent(self, norm: str) -> NDArray[numpy.float64]:
        """Of each true class, how many in a hundred pictures were taken for each class; nan for a class without any."""
        counts = self.counts[norm].astype(numpy.float64)
        totals = counts.sum(axis=1, keepdims=True)
        return 100 * counts / numpy.where(totals > 0, totals, numpy.nan)


def pair_of(norms: Sequence[str]) -> tuple[str, ...]:
    """The norms that are shown side by side: batch norm and BIN, or what there is in their place; at most two."""
    baseline = [norm for norm in (BASELINE, *norms) if norm in norms and norm != COMPARED][:1]
    compared = [norm for norm in (COMPARED, *norms) if norm in norms and norm not in baseline][:1]
    return (*baseline, *compared)


def confusions(runs: Sequence[Run], tasks: Sequence[Task]) -> list[Confusions]:
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
    found = [each for each in found if any(counts.any() for counts in each.counts.values())]
    return sorted(found, key=lambda each: (methods.index(each.method), domains.index(each.domain)))


def largest_changes(confused: Confusions, baseline: str, compared: str, count: int = 3) -> str:
    """The classes that are recognized more often, and less often, by the most percentage points."""
    change = numpy.diag(confused.percent(compared) - confused.percent(baseline))
    order = [int(place) for place in numpy.argsort(-change, kind="stable") if numpy.isfinite(change[place])]
    gains = [place for place in order[:count] if change[place] > 0]
    losses = [place for place in order[-count:] if change[place] < 0]
    return ", ".join(f"{confused.classes[place]} {signed(float(change[place]), 1)}" for place in gains + losses)


@dataclass(frozen=True, eq=False)
class _Kept:
    """What one run says of one domain."""

    method: str
    domain: str
    classes: tuple[str, ...]
    norm: str
    task: str
    counts: Counts


def _kept(runs: Sequence[Run], labels: Mapping[tuple[str, str | None], str]) -> Iterator[_Kept]:
    for run in finished(main_runs(runs)):
        classes, sets = read_confusions(run.folder) or ((), {})
        for name, counts in sets.items():
            if name != VALIDATION and (run.task, name) in labels:
                yield _Kept(run.method, name, classes, run.norm, labels[run.task, name], counts)


def _sums(group: Sequence[_Kept]) -> dict[str, Counts]:
    norms = sorted({kept.norm for kept in group}, key=norm_rank)
    return {norm: numpy.sum([kept.counts for kept in group if kept.norm == norm], axis=0) for norm in norms}


def confusion_figures(found: Sequence[Confusions], note: str | None, output: Output = SCREEN) -> list[Figure]:
    """One figure a method: a row for each domain, batch norm beside BIN and their difference."""
    drawn: list[Figure] = []
    for method in dict.fromkeys(each.method for each in found):
        rows = [each for each in found if each.method == method]
        norms = pair_of(list(dict.fromkeys(norm for each in rows for norm in each.counts)))
        title = f"{method}, what is taken for what" if method else "What is taken for what"
        content = confusion_figure(title, [_row(row) for row in rows], norms, note, output)
        caption = f"{method + ': of' if method else 'Of'} each true class, the percentage that was taken for each class"
        changed = len(norms) == 2 and any(_row(each).changed(norms) for each in rows)
        if len(norms) == 2 and not changed:
            caption += f"; {norms[0]} and {norms[1]}, between which nothing differs"
        if changed:
            caption += f"; {norms[0]}, {norms[1]}, and {norms[1]} − {norms[0]} in percentage points"
            caption += _changes(rows, norms)
        file = file_name("confusions", method, f".{output.format}", drawn)
        drawn.append(Figure(file, caption, content))
    return drawn


def _row(confused: Confusions) -> ConfusionRow:
    return ConfusionRow(confused.heading, confused.classes, {norm: confused.percent(norm) for norm in confused.counts})


def _changes(rows: Sequence[Confusions], norms: Sequence[str]) -> str:
    """Where numbers do not fit into the cells, the classes that change most."""
    texts = [
        f"{row.domain}: {changes}"
        for row in rows
        if len(row.classes) > NUMBERED
        and row.counts.keys() >= set(norms)
        and (changes := largest_changes(row, norms[0], norms[1]))
    ]
    return f". Recognized more and less often, by points: {'; '.join(texts)}" if texts else ""
