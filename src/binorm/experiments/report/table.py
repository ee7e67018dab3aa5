"""Every table of a report: heads, cells and rows, whatever they are shown in."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import ClassVar

from binorm.experiments.report.significance import PairedDifference


@dataclass(frozen=True)
class Cell:
    """One figure, and what stands below it in small letters.

    Attributes:
        text: the figure.
        small: lines below it; empty ones are left out.
        strong: whether it is the column's highest or its main figure.
        quiet: whether it is grey, as what others report is.
        interval: low, mean and high on a scale from -1 to 1, drawn as a line on a page; None for none.
    """

    text: str = ""
    small: tuple[str, ...] = ()
    strong: bool = False
    quiet: bool = False
    interval: tuple[float, float, float] | None = None

    @property
    def lines(self) -> tuple[str, ...]:
        """The small lines that say something."""
        return tuple(filter(None, self.small))


@dataclass(frozen=True)
class Head(Cell):
    """What a row or a column is about.

    Attributes:
        group: what it shares with its neighbours, and stands above them once.
        norm: the norm whose colour stands before the text.
        total: whether a rule sets it off from the others.
        words: whether its column holds sentences.
        drawn: whether its column holds intervals, which only a page draws.
    """

    group: str = ""
    norm: str = ""
    total: bool = False
    words: bool = False
    drawn: bool = False


@dataclass(frozen=True)
class Row:
    """One row: its head, and a cell for each column."""

    head: Head
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """Rows and columns.

    Attributes:
        corner: stands above the heads of the rows.
        columns: their heads.
        rows: at least one.
        look: of the page's style sheet: ``full``, ``cards``, ``tasks``, ``soft``; or nothing.
        terminal: a heading for the terminal, where the table is shown if there is one.
    """

    kind: ClassVar = "table"
    corner: str
    columns: tuple[Head, ...]
    rows: tuple[Row, ...]
    look: str = ""
    terminal: str = ""

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Groups of columns with their widths; empty where no column has one."""
        groups = [(name, len(list(members))) for name, members in groupby(head.group for head in self.columns)]
        return groups if any(name for name, _ in groups) else []

    @property
    def plain(self) -> "Table":
        """Without what only a page draws."""
        return self.select([place for place, head in enumerate(self.columns) if not head.drawn])

    def select(self, places: Sequence[int]) -> "Table":
        """Some of the columns."""
        rows = tuple(replace(row, cells=tuple(row.cells[place] for place in places)) for row in self.rows)
        return replace(self, columns=tuple(self.columns[place] for place in places), rows=rows)

    def turned(self, corner: str) -> "Table":
        """With rows for columns."""
        columns = zip(*(row.cells for row in self.rows), strict=True)
        rows = tuple(Row(head, tuple(cells)) for head, cells in zip(self.columns, columns, strict=True))
        return replace(self, corner=corner, columns=tuple(row.head for row in self.rows), rows=rows)


def reach(tests: Sequence[PairedDifference | None]) -> float:
    """The farthest from 0 that an interval goes; 0 without intervals."""
    bounds = [abs(bound) for test in tests if test for bound in (test.low, test.high) if math.isfinite(bound)]
    return max(bounds, default=0.0)


def drawn(test: PairedDifference | None, scale: float) -> Cell:
    """The interval of a difference on a scale that all rows share."""
    if test is None or math.isnan(test.low) or not scale:
        return Cell()
    return Cell(interval=(test.low / scale, test.mean / scale, test.high / scale))
