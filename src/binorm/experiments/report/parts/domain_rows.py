"""Accuracies of each method and norm in each task, laid out as a table, and what norms and methods change in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from binorm.experiments.report.parts.published_domains import PublishedRow
from binorm.experiments.report.scores import (
    BASELINE,
    COMPARED,
    Comparison,
    Group,
    Scores,
    compare,
    corrected,
    leaders,
    mean_group,
    norms_of,
    scores_of,
)
from binorm.experiments.report.significance import number
from binorm.experiments.report.table import Cell, Head, Row, Table
from binorm.experiments.runs.domains import Task, methods_of
from binorm.experiments.runs.reading import Run, method_label

PAGE_TASKS = 5  # so many fit beside each other on a page


@dataclass(frozen=True)
class DomainRow:
    """One method with one norm.

    Attributes:
        method: as in `binorm.experiments.runs.reading.Run`.
        norm: its name.
        cells: one for each task.
        mean: the mean over tasks for each seed that has finished in all of them; None of a single task.
    """

    method: str
    norm: str
    cells: tuple[Group, ...]
    mean: Group | None

    @property
    def all_cells(self) -> tuple[Group, ...]:
        """Those of the tasks and the mean."""
        return self.cells if self.mean is None else (*self.cells, self.mean)


def domain_rows(runs: Sequence[Run], tasks: Sequence[Task]) -> tuple[DomainRow, ...]:
    """One row for each method and each of its norms, in the order of display."""
    scores, rows = Scores(scores_of(runs)), []
    for method in methods_of(runs):
        for norm in norms_of(run for run in runs if run.method == method):
            cells = tuple(scores.group(norm, task.evaluation, task.folder, method) for task in tasks)
            rows.append(DomainRow(method, norm, cells, mean_group(cells) if len(tasks) > 1 else None))
    return tuple(rows)


def norm_comparisons(rows: Sequence[DomainRow], tasks: Sequence[Task]) -> tuple[Comparison, ...]:
    """For each method, every norm against batch norm; BIN of all methods first, then each other norm."""
    pairs = [(row, base) for row in rows for base in rows if row.method == base.method and base.norm == BASELINE]
    pairs = [(row, base) for row, base in pairs if row.norm != BASELINE]
    pairs.sort(key=lambda pair: pair[0].norm != COMPARED)  # stable
    return corrected(compare(row.norm, base.norm, _columns(row, base, tasks), row.method) for row, base in pairs)


def method_comparisons(
    rows: Sequence[DomainRow], tasks: Sequence[Task], baseline: str | None
) -> tuple[Comparison, ...]:
    """For each norm, every method against the baseline method; none without a baseline, as in mixed training."""
    bases = [row for row in rows if row.method == baseline]
    pairs = [(row, base) for base in bases for row in rows if row.method != baseline and row.norm == base.norm]
    return corrected(compare(row.method, base.method, _columns(row, base, tasks), row.norm) for row, base in pairs)


def _columns(
    row: DomainRow, base: DomainRow, tasks: Sequence[Task]
) -> dict[str, tuple[Mapping[int, float], Mapping[int, float]]]:
    cells = zip(tasks, row.cells, base.cells, strict=True)
    return {task.label: (cell.last, beside.last) for task, cell, beside in cells}


def accuracy_table(
    rows: Sequence[DomainRow],
    reported: Sequence[PublishedRow],
    tasks: Sequence[Task],
    noun: str,
    validated: bool,
    terminal: str,
) -> Table:
    """Tasks beside each other, or below each other where they are many; others' figures follow ours of their method.

    Args:
        rows: ours.
        reported: others'.
        tasks: what cells are about.
        noun: what a task is called.
        validated: whether the best epochs are chosen by validation pictures, so that they are shown as well.
        terminal: as in `Table`.
    """
    heads = [Head(task.label) for task in tasks] + ([Head("mean", total=True)] if len(tasks) > 1 else [])
    lines = []
    for method in dict.fromkeys(row.method for row in rows):
        group, members = method_label(method), [row for row in rows if row.method == method]
        columns = zip(*(row.all_cells for row in members), strict=True)
        strong = list(zip(*(leaders([cell.last_spread.mean for cell in column]) for column in columns), strict=True))
        for row, flags in zip(members, strong, strict=True):
            cells = [_cell(cell, flag, validated) for cell, flag in zip(row.all_cells, flags, strict=True)]
            lines.append(Row(Head(row.norm, group=group, norm=row.norm), tuple(cells)))
        for each in reported:
            if each.method == method:
                name = ", ".join(filter(None, (each.source, each.norm)))
                values = [*each.values, *([each.mean] if len(each.values) > 1 else [])]
                cells = [Cell("" if value is None else number(value, 2), quiet=True) for value in values]
                lines.append(Row(Head(name, group=group, quiet=True), tuple(cells)))
    table = Table("norm", tuple(heads), tuple(lines), terminal=terminal)
    return table.turned(noun) if len(tasks) > PAGE_TASKS else table


def _cell(group: Group, strong: bool, validated: bool) -> Cell:
    chosen = group.best_spread.text() if validated and group.best else ""
    incomplete = "" if len(group.last) == group.started else group.runs_text
    return Cell(group.last_spread.text(), (chosen, incomplete), strong)
