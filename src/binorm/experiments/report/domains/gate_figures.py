"""Draws how much style BIN takes out, by stage: bars side by side for what was trained differently."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes

from binorm.experiments.report.figure_style import INK, Output, add_axes, encode, new_figure, shorten
from binorm.experiments.report.statistics import Spread


@dataclass(frozen=True)
class Bars:
    """The bars of one group of runs, one for each stage of the network.

    Attributes:
        label: names the group.
        colour: of its bars.
        values: in percent by stage, over runs.
    """

    label: str
    colour: str
    values: Mapping[str, Spread]


def share_bars(title: str, groups: Sequence[Bars], note: str | None, output: Output) -> bytes:
    """The share of gates below 0.5 by stage: a cluster of bars a stage, whiskers of ± std over runs.

    Args:
        title: stands above the axes, on a page.
        groups: at least one, all of the same stages.
        note: stands below the title.
        output: where the figure goes.
    """
    stages = list(groups[0].values)
    crowded = len(stages) > (3 if output.in_print else 6)
    with output.style():
        figure, head = new_figure(title, note, output, (4.8, 3.2), print_height=2.3)
        longest = max(len(shorten(group.label, 16)) for group in groups)
        right = 0.2 + longest * (0.068 if output.in_print else 0.076)
        foot = 0.66 if crowded else 0.4 if output.in_print else 0.52
        axes = add_axes(figure, 0.56, foot, right, head + 0.05)
        for place, group in enumerate(groups):
            _draw_bars(axes, group, stages, place, len(groups))
        labels = [shorten(stage, 9) for stage in stages]
        axes.set_xticks(range(len(stages)), labels, rotation=90 if crowded else 0)
        axes.set_ylabel("gates below 0.5, %")
        axes.set_ylim(0, max(1.0, axes.get_ylim()[1]))  # not fitted to nothing
        axes.grid(axis="y")
        axes.spines["left"].set_visible(False)
        _name_groups(axes, groups)
        return encode(figure, output)


def _draw_bars(axes: Axes, group: Bars, stages: Sequence[str], place: int, groups: int) -> None:
    """The bars of one group, the ``place``-th of so many in each cluster."""
    width = 0.8 / groups
    lefts = [stage - 0.4 + (place + 0.5) * width for stage in range(len(stages))]
    spreads = [group.values[stage] for stage in stages]
    axes.bar(lefts, [each.mean for each in spreads], width=0.88 * width, color=group.colour)
    whiskers = [(left, each) for left, each in zip(lefts, spreads, strict=True) if math.isfinite(each.std)]
    low, high = ([max(each.mean + sign * each.std, 0.0) for _, each in whiskers] for sign in (-1, 1))
    axes.vlines([left for left, _ in whiskers], low, high, color=INK, linewidth=1)


def _name_groups(axes: Axes, groups: Sequence[Bars]) -> None:
    """The names in the colours of their bars, below each other on the right."""
    height = axes.get_window_extent().height / axes.figure.dpi  # inches
    for place, group in enumerate(groups):
        level = 1 - (0.1 + 0.17 * place) / height
        style: dict[str, Any] = {"color": group.colour, "fontweight": "bold", "va": "center"}
        axes.text(1.02, level, shorten(group.label, 16), transform=axes.transAxes, **style)
