"""Draws differences with their intervals below each other: a forest plot."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from binorm.experiments.report.figures.theme import INK, RULE, SCREEN, Output, add_axes, encode, new_figure, shorten
from binorm.experiments.report.significance import PairedDifference, signed

_ROW, _HEADING = 0.19, 0.27  # inches
_NAMES, _FIGURES, _NAME_LENGTH = 4.5, 1.6, 76


@dataclass(frozen=True)
class ForestRow:
    """One line of the plot.

    Attributes:
        group: stands above its lines, once.
        label: what was compared.
        test: the difference with its interval; both may be nan.
        quiet: whether it is drawn in grey, as what is not to be leant on.
    """

    group: str
    label: str
    test: PairedDifference
    quiet: bool = False


def forest(title: str, rows: Sequence[ForestRow], colour: str, axis: str, output: Output = SCREEN) -> bytes:
    """A dot for each difference and a line for its interval; intervals that leave the axes end in an arrow.

    Args:
        title: stands at the upper left, on a page.
        rows: those of a group next to each other.
        colour: of dots and lines.
        axis: what is drawn, with its unit.
        output: where the figure goes.
    """
    groups = [(name, list(members)) for name, members in groupby(rows, lambda row: row.group)]
    body = _ROW * len(rows) + _HEADING * len(groups)
    foot = 0.5
    with output.style():
        figure, head = new_figure(title, None, output, (9.0, body + foot + 0.5), body + foot + 0.1, print_width=6.9)
        axes = add_axes(figure, _NAMES, foot, _FIGURES, head)
        reach = _reach([row.test for row in rows])
        axes.set(xlim=(-reach, reach), ylim=(body, 0))
        axes.spines["left"].set_visible(False)
        axes.set_yticks([])
        axes.grid(axis="x")
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_xlabel(axis)
        y = 0.0
        beside: dict[str, Any] = {"va": "center", "transform": axes.get_yaxis_transform()}
        for name, members in groups:
            y += _HEADING
            axes.text(-0.02, y - 0.1, shorten(name, _NAME_LENGTH), ha="right", fontweight="bold", **beside)
            for row in members:
                middle, shade = y + _ROW / 2, INK if row.quiet else colour
                axes.text(-0.02, middle, shorten(row.label, _NAME_LENGTH), ha="right", fontsize=8, **beside)
                interval = row.test.interval_text(1) if math.isfinite(row.test.low) else ""
                text = f"{signed(row.test.mean, 2)}  ({interval})" if interval else signed(row.test.mean, 2)
                axes.text(1.03, middle, text, ha="left", fontsize=8, **beside)
                _interval(axes, row.test, middle, reach, shade)
                y += _ROW
        axes.axhline(body, color=RULE, linewidth=0.8)
        return encode(figure, output)


def _interval(axes: Any, test: PairedDifference, y: float, reach: float, colour: str) -> None:
    if math.isfinite(test.low):
        low, high = max(test.low, -reach), min(test.high, reach)
        axes.plot([low, high], [y, y], color=colour, linewidth=1.4, solid_capstyle="butt")
        ends = [(-reach, "<")] * (test.low < -reach) + [(reach, ">")] * (test.high > reach)
        for x, marker in ends:
            axes.plot([x], [y], marker=marker, color=colour, markersize=4, clip_on=False)
    if abs(test.mean) <= reach:
        axes.plot([test.mean], [y], marker="o", color=colour, markersize=4.5)


def _reach(tests: Sequence[PairedDifference]) -> float:
    """Half the width of the axes: all means, and most intervals; the widest would flatten all others."""
    means = [abs(test.mean) for test in tests]
    bounds = sorted(max(abs(test.low), abs(test.high)) for test in tests if math.isfinite(test.low))
    usual = bounds[(3 * len(bounds)) // 4] if bounds else 1.0
    return 1.08 * max([*means, usual, 0.5])
