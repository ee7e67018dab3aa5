"""Draws what shifts cost: a map of differences by shift and method, and top-1 by severity."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from matplotlib.colors import to_rgb
from matplotlib.ticker import FixedLocator, MaxNLocator

from binorm.experiments.report.figures.theme import (
    SCREEN,
    STRONG,
    Output,
    add_axes,
    encode,
    name_series,
    new_chart,
    new_figure,
    shorten,
)
from binorm.experiments.report.significance import number, signed

_GAIN, _LOSS = "#d55e00", "#0072b2"
_CELL, _COLUMN, _NAMES, _APART = 0.2, 0.62, 1.6, 0.1  # inches
_LETTER, _ASLANT = 0.075, 35  # inches; degrees that the columns' names rise
_NAME_LENGTH = 28


@dataclass(frozen=True)
class Block:
    """Rows of a map that belong together: their heading, and by name a difference for each column in points."""

    heading: str
    rows: Mapping[str, Sequence[float]]


def difference_map(title: str, columns: Sequence[str], blocks: Sequence[Block], output: Output = SCREEN) -> bytes:
    """Differences as numbers on colours, the deeper the larger; all blocks share one scale.

    Args:
        title: stands at the upper left, on a page.
        columns: names of methods.
        blocks: at least one, with at least one row each, below each other.
        output: where the figure goes.
    """
    values = [value for block in blocks for row in block.rows.values() for value in row]
    limit = max(float(numpy.nanmax(numpy.abs(values))) if numpy.isfinite(values).any() else 0.0, 1.0)
    heights = [0.22 + _CELL * len(block.rows) for block in blocks]
    body = sum(heights) + _APART * len(blocks)
    longest = _LETTER * max(len(shorten(name, _NAME_LENGTH)) for name in columns)
    heads = 0.2 + longest * math.sin(math.radians(_ASLANT))
    width = _NAMES + _COLUMN * len(columns) + longest * math.cos(math.radians(_ASLANT))
    total = body + heads
    with output.style():
        figure, head = new_figure(title, None, output, (max(width, 4.8), total + 0.5), total, print_width=width)
        whole_width, whole = figure.get_size_inches()
        for place, name in enumerate(columns):
            x = (_NAMES + _COLUMN * (place + 0.4)) / whole_width
            y = 1 - (head + heads - 0.05) / whole
            figure.text(x, y, shorten(name, _NAME_LENGTH), rotation=_ASLANT, rotation_mode="anchor")
        above = head + heads
        for block, height in zip(blocks, heights, strict=True):
            figure.text(0.06 / whole_width, 1 - (above + 0.12) / whole, block.heading, va="center", fontweight="bold")
            right = whole_width - _NAMES - _COLUMN * len(columns)
            axes = add_axes(figure, _NAMES, whole - above - height, right, above + 0.22)
            cells = numpy.array(list(block.rows.values()), dtype=float)
            axes.imshow(_coloured(cells, limit), interpolation="none", aspect="auto",
                        extent=(0, len(columns), len(cells), 0))  # fmt: skip
            axes.set_yticks([place + 0.5 for place in range(len(cells))], [shorten(name, 22) for name in block.rows])
            axes.set_xticks([])
            axes.tick_params(length=0, pad=4)
            axes.spines[:].set_visible(False)
            _write(axes, cells, limit)
            above += height + _APART
        return encode(figure, output)


@dataclass(frozen=True)
class Curve:
    """Top-1 in percent by severity, 0 for clean pictures."""

    label: str
    colour: str
    values: Mapping[int, float]


def severity_curves(title: str, curves: Sequence[Curve], output: Output = SCREEN) -> bytes:
    """Top-1 by severity, a line each; names stand on the right with the value at the highest severity, best first.

    Args:
        title: stands above the axes, on a page.
        curves: at least one, of the same severities.
        output: where the figure goes.
    """
    last = max(max(curve.values) for curve in curves)
    ranked = sorted(curves, key=lambda curve: -curve.values.get(last, float("-inf")))
    names = [(f"{shorten(curve.label, _NAME_LENGTH)} {number(curve.values.get(last, numpy.nan), 1)}", curve.colour)
             for curve in ranked]  # fmt: skip
    with output.style():
        right = 0.12 + 0.078 * max(len(text) for text, _ in names)
        figure, axes = new_chart(title, None, output, min(right, 2.6))
        for curve in curves:
            places = sorted(curve.values)
            axes.plot(places, [curve.values[each] for each in places], color=curve.colour, linewidth=1.6, marker="o",
                      markersize=3.5)  # fmt: skip
        axes.xaxis.set_major_locator(FixedLocator(sorted({place for curve in curves for place in curve.values})))
        axes.yaxis.set_major_locator(MaxNLocator(6))
        axes.set_xlabel("severity (0: as they are)")
        axes.set_ylabel("top-1, %")
        name_series(axes, names, 1.03)
        return encode(figure, output)


def _coloured(cells: numpy.ndarray[Any, Any], limit: float) -> numpy.ndarray[Any, Any]:
    """RGBA that suits a page in light and dark."""
    finite = numpy.nan_to_num(cells)
    coloured = numpy.zeros((*cells.shape, 4))
    coloured[..., :3] = numpy.where(finite[..., None] >= 0, to_rgb(_GAIN), to_rgb(_LOSS))
    coloured[..., 3] = numpy.sqrt(numpy.abs(finite) / limit)
    return coloured


def _write(axes: Any, cells: numpy.ndarray[Any, Any], limit: float) -> None:
    """The differences on their colours."""
    style: dict[str, Any] = {"ha": "center", "va": "center_baseline", "fontsize": 7.5}
    for (row, column), value in numpy.ndenumerate(cells):
        if numpy.isfinite(value):
            colour = "#ffffff" if numpy.sqrt(abs(value) / limit) > 0.72 else STRONG
            axes.text(column + 0.5, row + 0.5, signed(float(value), 1), color=colour, **style)
