"""Draws where networks put pictures: one row a network, coloured by domain on the left and by class on the right."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from numpy.typing import NDArray

from binorm.experiments.report.figures.theme import (
    COLUMN_WIDTH,
    Output,
    add_axes,
    class_colours,
    encode,
    new_figure,
    shorten,
)

LEGEND = 12  # up to so many classes are named
_COLUMNS = ("coloured by domain", "coloured by class")
_LINE = 0.16  # inches, of a legend
Array = NDArray[numpy.float64]


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """Points in the unit square, each a picture.

    Attributes:
        points: (n, 2).
        domains: (n,), places in ``domain_names``.
        labels: (n,), places in ``classes``.
        domain_names: of the domains.
        classes: names of the classes.
    """

    points: Array
    domains: NDArray[numpy.int64]
    labels: NDArray[numpy.int64]
    domain_names: tuple[str, ...]
    classes: tuple[str, ...]


@dataclass(frozen=True)
class _Entry:
    """One name in a legend, so many inches from its left, beside a dot of its colour."""

    left: float
    text: str
    colour: str | None


@dataclass(frozen=True, eq=False)
class MapRow:
    """One network's map under a heading; ``faint`` is the domain whose points are paler in the colours of classes."""

    heading: str
    shown: FeatureMap
    faint: str | None = None


def feature_figure(title: str, rows: Sequence[MapRow], note: str | None, output: Output) -> bytes:
    """Maps below each other, with the names of domains and classes above the first.

    Args:
        title: stands at the upper left, on a page.
        rows: one for each network, at least one, all of the same domains and classes.
        note: stands below the title.
        output: where the figure goes.
    """
    width = COLUMN_WIDTH if output.in_print else 4.8
    side = (width - 0.18) / 2
    legends = [_flow(names, side) for names in (rows[0].shown.domain_names, rows[0].shown.classes)]
    top = 0.26 + _LINE * max(map(len, legends))
    height = top + len(rows) * (side + 0.3)
    with output.style():
        figure, head = new_figure(title, note, output, (width, height + 0.45), height)
        total = figure.get_size_inches()[1]
        for column, legend in enumerate(legends):
            left = 0.06 + column * (side + 0.06)
            figure.text(left / width, 1 - (head + 0.02) / total, _COLUMNS[column], va="top", fontweight="bold")
            _write_legend(figure, legend, left, head + 0.25)
            for place, row in enumerate(rows):
                above = head + top + 0.18 + place * (side + 0.3)
                axes = add_axes(figure, left, total - above - side, width - left - side, above)
                _draw(axes, row, column == 1, output)
                if column == 0:
                    axes.set_title(shorten(row.heading, 60), loc="left", pad=3, fontsize=8)
        return encode(figure, output)


def _flow(names: Sequence[str], width: float) -> list[list[_Entry]]:
    """Where each name goes in lines of ``width`` inches; of very many names, how many there are."""
    if len(names) > LEGEND:
        return [[_Entry(0.0, f"{len(names)} classes", None)]]
    lines: list[list[_Entry]] = [[]]
    left = 0.0
    for name, colour in zip(names, class_colours(len(names)), strict=True):
        text = shorten(name, 18)
        needed = 0.26 + 0.066 * len(text)
        if lines[-1] and left + needed > width:
            lines.append([])
            left = 0.0
        lines[-1].append(_Entry(left, text, colour))
        left += needed
    return lines


def _write_legend(figure: Figure, lines: Sequence[Sequence[_Entry]], left: float, above: float) -> None:
    width, height = figure.get_size_inches()
    for place, line in enumerate(lines):
        level = 1 - (above + _LINE * place) / height
        for entry in line:
            start = (left + entry.left) / width
            if entry.colour is not None:
                dot = Line2D([start + 0.05 / width], [level], marker="o", markersize=4, color=entry.colour, linewidth=0)
                figure.add_artist(dot)
                start += 0.13 / width
            figure.text(start, level, entry.text, va="center_baseline", fontsize=8)


def _draw(axes: Axes, row: MapRow, by_class: bool, output: Output) -> None:
    shown = row.shown
    kinds, names = (shown.labels, shown.classes) if by_class else (shown.domains, shown.domain_names)
    for kind, colour in enumerate(class_colours(len(names))):
        for domain, name in enumerate(shown.domain_names):
            points = shown.points[(kinds == kind) & (shown.domains == domain)]
            if len(points):
                opacity = 0.35 if by_class and name == row.faint else 0.8
                if output.in_print:
                    axes.scatter(points[:, 0], points[:, 1], s=5, color=colour, alpha=opacity, linewidths=0)
                else:
                    axes.add_patch(_dots(points, colour, opacity))
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(True)


def _dots(points: Array, colour: str, opacity: float) -> PathPatch:
    """Points as one path of strokes too short to be seen but for their round ends: a fraction of a file of circles.

    Drawn in pixels, such strokes vanish, so that this is for SVG alone.
    """
    ends = numpy.repeat(numpy.round(points, 4), 2, axis=0)
    ends[1::2, 0] += 1e-4
    path = Path(ends, [Path.MOVETO, Path.LINETO] * len(points))
    path.should_simplify = False
    return PathPatch(path, fill=False, edgecolor=colour, alpha=opacity, linewidth=2.6, capstyle="round")
