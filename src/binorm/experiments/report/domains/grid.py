"""A domain report's table as it is laid out: tasks beside each other, or below each other where they are many."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from binorm.experiments.report.domains.published import PublishedRow
from binorm.experiments.report.domains.rows import DomainRow, Scores
from binorm.experiments.report.statistics import number
from binorm.experiments.runs.domains import Task, method_label

PAGE_TASKS = 5  # so many fit beside each other on a page


@dataclass(frozen=True)
class Head:
    """What a row or a column is about.

    Attributes:
        group: what it shares with its neighbours: the method; empty for tasks and where there is no method.
        name: a norm, a task, or who reports the figures.
        norm: the norm, for its colour; empty for tasks and for reported figures.
        reported: whether the figures are published ones.
        total: whether they are the means over all tasks.
    """

    group: str
    name: str
    norm: str = ""
    reported: bool = False
    total: bool = False


@dataclass(frozen=True)
class GridCell:
    """One figure.

    Attributes:
        text: after the last epoch, or what is published.
        chosen: at the epoch that validation pictures choose; empty where there are none.
        incomplete: how many runs there are, where some did not finish.
        highest: of the norms of a method, by chance or not.
        reported: whether it is a published one.
    """

    text: str
    chosen: str = ""
    incomplete: str = ""
    highest: bool = False
    reported: bool = False


@dataclass(frozen=True)
class Grid:
    """Rows and columns as they are shown.

    Attributes:
        corner: stands above the heads of the rows.
        columns: their heads.
        rows: a head and its cells each.
        transposed: whether tasks are rows.
    """

    corner: str
    columns: tuple[Head, ...]
    rows: tuple[tuple[Head, tuple[GridCell, ...]], ...]
    transposed: bool

    @property
    def column_groups(self) -> list[tuple[str, int]]:
        """Groups of columns with their widths; empty where no column has one."""
        groups = [(name, len(list(members))) for name, members in groupby(head.group for head in self.columns)]
        return groups if any(name for name, _ in groups) else []


def grid(
    rows: Sequence[DomainRow],
    published: Sequence[PublishedRow],
    tasks: Sequence[Task],
    noun: str,
    validated: bool,
    transposed: bool,
) -> Grid:
    """Lay the table out.

    Args:
        rows: ours.
        published: others', which follow ours of the same method.
        tasks: what our cells are about.
        noun: what a task is called.
        validated: whether the best epochs are chosen by validation pictures, so that they are shown as well.
        transposed: whether tasks are rows.
    """
    labels = [Head("", task.label) for task in tasks]
    if len(tasks) > 1:
        labels.append(Head("", "mean", total=True))
    lines: list[tuple[Head, tuple[GridCell, ...]]] = []
    for method in dict.fromkeys(row.method for row in rows):
        group = method_label(method)
        lines += [(Head(group, row.norm, row.norm), _cells(row, validated)) for row in rows if row.method == method]
        lines += [
            (Head(group, _reported_name(each), "", reported=True), _reported_cells(each))
            for each in published
            if each.method == method
        ]
    heads = tuple(head for head, _ in lines)
    if not transposed:
        return Grid("norm", tuple(labels), tuple(lines), transposed)
    turned = zip(*(cells for _, cells in lines), strict=True)
    return Grid(noun, heads, tuple(zip(labels, turned, strict=True)), transposed)


def _cells(row: DomainRow, validated: bool) -> tuple[GridCell, ...]:
    return tuple(_cell(*each, validated) for each in zip(row.all_cells, row.highest, strict=True))


def _cell(scores: Scores, highest: bool, validated: bool) -> GridCell:
    chosen = scores.best_spread.text() if validated and scores.best else ""
    return GridCell(scores.last_spread.text(), chosen, scores.incomplete, highest)


def _reported_name(row: PublishedRow) -> str:
    return f"{row.source}, {row.norm}" if row.norm else row.source


def _reported_cells(row: PublishedRow) -> tuple[GridCell, ...]:
    values = [*row.values, *([row.mean] if len(row.values) > 1 else [])]
    return tuple(GridCell("" if value is None else number(value, 2), reported=True) for value in values)
