"""Figures of gates: histograms beside a reference, their development in strips, means by layer, shares by stage."""

import itertools
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch, PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator

from binorm.experiments.report.figures.theme import (
    COLUMN_WIDTH,
    INK,
    SCREEN,
    Output,
    add_axes,
    encode,
    name_series,
    new_chart,
    new_figure,
    shorten,
)

# Of strips: shares up to the first number of a pair are drawn as opaque as the second says.
LEVELS = ((0.02, 0.1), (0.05, 0.22), (0.1, 0.38), (0.25, 0.56), (0.5, 0.77), (1.0, 1.0))
_OUTLINE: dict[str, Any] = {"facecolor": "none", "edgecolor": INK, "linewidth": 0.9}  # of a reference


@dataclass(frozen=True)
class Histogram:
    """The share of channels by gate, in equal bins over [0, 1].

    Attributes:
        label: what the gates belong to.
        fractions: one for each bin, from 0 to 1; they sum to 1.
        reference: the same of what is drawn beside it, if anything.
        reference_label: names it.
    """

    label: str
    fractions: Sequence[float]
    reference: Sequence[float] | None = None
    reference_label: str = ""


@dataclass(frozen=True)
class Strip:
    """For each epoch, the share of channels in equal bins over [0, 1]."""

    label: str
    fractions: Mapping[int, Sequence[float]]


@dataclass(frozen=True)
class Bars:
    """The bars of one group of runs, one for each stage of the network.

    Attributes:
        label: names the group.
        colour: of its bars.
        values: mean and standard deviation over runs by stage, in percent; of one run the latter is nan.
    """

    label: str
    colour: str
    values: Mapping[str, tuple[float, float]]


def gate_histogram(histogram: Histogram, title: str, colour: str, note: str | None = None, top: float = 1.0) -> bytes:
    """One histogram for a page, as in the paper's figure of trained gates; each share stands above its bar.

    Args:
        histogram: what to draw.
        title: stands above the axes.
        colour: of the bars.
        note: stands below the title.
        top: the share at the upper edge; the same for figures that are to be compared.
    """
    with SCREEN.style():
        figure, head = new_figure(title, note, SCREEN, (3.6, 2.5), print_height=2.5)
        axes = add_axes(figure, 0.3, 0.52, 0.07, head)
        _draw_bars(axes, histogram, colour, top)
        other = histogram.reference or [0.0] * len(histogram.fractions)
        for centre, fraction, beside in zip(_centres(len(other)), histogram.fractions, other, strict=True):
            text = f"{fraction:.3f}".removeprefix("0")
            # Above the bar, or above the outline where that would run through the text.
            place = (centre, beside if fraction < beside < fraction + 0.16 * top else fraction)
            axes.annotate(text, place, (0, 2), textcoords="offset points", ha="center", fontsize=7.5, color=colour)
        axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1], ["0\ninstance norm", ".2", ".4", ".6", ".8", "1\nbatch norm"])
        axes.get_xticklabels()[0].set_horizontalalignment("left")
        axes.get_xticklabels()[-1].set_horizontalalignment("right")
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_ylabel("share of channels")
        if histogram.reference is not None:
            _add_key(axes, histogram.reference_label, colour)
        return encode(figure, SCREEN)


def gate_histograms(histograms: Sequence[Histogram], colour: str, output: Output) -> bytes:
    """Several histograms in one figure for print, two a row, on one scale."""
    rows = -(-len(histograms) // 2)
    top = max(max(*each.fractions, *(each.reference or [0.0])) for each in histograms)
    with output.style():
        height = 0.42 + 1.22 * rows
        figure, _ = new_figure("", None, output, (COLUMN_WIDTH, height), height)
        width = (COLUMN_WIDTH - 0.48 - 0.08) / 2
        for place, histogram in enumerate(histograms):
            row, column = divmod(place, 2)
            left = 0.46 + column * (width + 0.02)
            above = 0.24 + 1.22 * row
            axes = add_axes(figure, left, height - above - 0.94, COLUMN_WIDTH - left - width + 0.1, above)
            _draw_bars(axes, histogram, colour, top)
            axes.set_title(shorten(histogram.label, 22), loc="left", pad=3)
            axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
            axes.yaxis.set_major_locator(MaxNLocator(3))
            axes.tick_params(axis="y", labelleft=column == 0, length=2)
            axes.tick_params(axis="x", labelbottom=place + 2 >= len(histograms))
            if place == 0 and histogram.reference is not None:
                _add_key(axes, histogram.reference_label.partition(":")[0], colour)
        figure.supylabel("share of channels", x=0.01, fontsize=8)
        figure.supxlabel("gate  (0 instance norm, 1 batch norm)", y=0.01, fontsize=8)
        return encode(figure, output)


def gate_development(
    title: str, strips: Sequence[Strip], colour: str, note: str | None = None, output: Output = SCREEN
) -> bytes:
    """One strip below the other; the larger the share, the deeper the colour, and an empty bin is blank.

    Args:
        title: stands above the axes, on a page.
        strips: at least one.
        colour: of the largest shares.
        note: stands below the title.
        output: where the figure goes.
    """
    each = 0.7 if output.in_print else 0.82
    with output.style():
        height = each * len(strips) + 0.52
        figure, head = new_figure(title, note, output, (4.8, height + 0.42), height)
        width, total = figure.get_size_inches()
        for place, strip in enumerate(strips):
            above = head + 0.17 + each * place
            axes = add_axes(figure, 0.42, total - above - each + 0.22, 0.95, above)
            _draw_strip(axes, strip, colour, output)
            axes.tick_params(axis="x", labelbottom=place == len(strips) - 1)
        axes.set_xlabel("epoch")
        figure.text(0.14 / width, 0.5, "gate", rotation=90, ha="center", va="center")
        _draw_depths(figure, head + 0.17, colour, output)
        return encode(figure, output)


def layer_means(
    title: str,
    layers: Sequence[tuple[str, Sequence[float]]],
    colours: Mapping[str, str],
    note: str | None = None,
    output: Output = SCREEN,
) -> bytes:
    """The mean gate of each layer in the order of the network: a dot for the mean over runs, a bar of ± std.

    Args:
        title: stands above the axes, on a page.
        layers: at least one, each with its stage and one mean a run.
        colours: of each stage.
        note: stands below the title.
        output: where the figure goes.
    """
    with output.style():
        figure, axes = new_chart(title, note, output, 0.1, above=0.17, print_height=2.4)
        for stage, colour in colours.items():
            members = {place: means for place, (own, means) in enumerate(layers, start=1) if own == stage}
            if members:
                _draw_stage(axes, members, stage, colour, len(layers))
        axes.set_xlim(0.5, len(layers) + 0.5)
        axes.set_ylim(-0.02, 1.02)
        axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
        axes.set_xlabel("norm layer, from input to output")
        axes.set_ylabel("mean gate  (0 instance, 1 batch)")
        return encode(figure, output)


def share_bars(title: str, groups: Sequence[Bars], note: str | None, output: Output) -> bytes:
    """The share of gates below 0.5 by stage: a cluster of bars a stage, whiskers of ± std over runs.

    Args:
        title: stands above the axes, on a page.
        groups: at least one, all of the same stages.
        note: stands below the title.
        output: where the figure goes.
    """
    stages = list(groups[0].values)
    names = [(shorten(group.label, 16), group.colour) for group in groups]
    crowded = len(stages) > (3 if output.in_print else 6)
    right = 0.2 + max(len(name) for name, _ in names) * (0.068 if output.in_print else 0.076)
    with output.style():
        figure, axes = new_chart(title, note, output, right, above=0.05, foot=0.66 if crowded else None)
        for place, group in enumerate(groups):
            _draw_group(axes, group, stages, place, len(groups))
        labels = [shorten(stage, 9) for stage in stages]
        axes.set_xticks(range(len(stages)), labels, rotation=90 if crowded else 0)
        axes.set_ylabel("gates below 0.5, %")
        axes.set_ylim(0, max(1.0, axes.get_ylim()[1]))  # not fitted to nothing
        name_series(axes, names, 1.02)
        return encode(figure, output)


def _centres(bins: int) -> list[float]:
    return [(place + 0.5) / bins for place in range(bins)]


def _draw_bars(axes: Axes, histogram: Histogram, colour: str, top: float) -> None:
    """Bars, inside the outlines of the reference where there is one."""
    width = 1 / len(histogram.fractions)
    centres = _centres(len(histogram.fractions))
    if histogram.reference is not None:
        axes.bar(centres, histogram.reference, width=0.86 * width, **_OUTLINE)
    share = 0.86 if histogram.reference is None else 0.5
    axes.bar(centres, histogram.fractions, width=share * width, color=colour)
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(0, 1.1 * top)


def _add_key(axes: Axes, reference: str, colour: str) -> None:
    axes.legend(
        [Patch(color=colour, linewidth=0), Patch(**_OUTLINE)],
        ["these runs", reference],
        loc="upper left",
        bbox_to_anchor=(0.1, 1.03),
        frameon=False,
        handlelength=0.9,
        handleheight=0.9,
        borderpad=0,
        labelspacing=0.3,
        fontsize=8,
    )


def _draw_strip(axes: Axes, strip: Strip, colour: str, output: Output) -> None:
    """Paths rather than an image, which could not take its twin colour on dark pages; few of them: files stay small."""
    boxes: dict[int, list[Path]] = {}
    for level, box in _boxes(strip):
        boxes.setdefault(level, []).append(box)
    for level, paths in sorted(boxes.items()):
        axes.add_patch(PathPatch(Path.make_compound_path(*paths), **_depth(colour, level, output)))
    epochs = sorted(strip.fractions)
    axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 1], ["0", "1"])
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_title(shorten(strip.label, 40), loc="left", pad=2, fontsize=8)


def _boxes(strip: Strip) -> Iterator[tuple[int, Path]]:
    """The outlines of what is of one level; neighbours in a row are one."""
    epochs = sorted(strip.fractions)
    bins = len(strip.fractions[epochs[0]])
    for row in range(bins):
        levels = [(_level(strip.fractions[epoch][row]), epoch - place, epoch) for place, epoch in enumerate(epochs)]
        for (level, _), group in itertools.groupby(levels, key=lambda entry: entry[:2]):
            stretch = [epoch for _, _, epoch in group]
            if level is not None:
                left, right, bottom, top = stretch[0] - 0.5, stretch[-1] + 0.5, row / bins, (row + 0.92) / bins
                corners = [(left, bottom), (right, bottom), (right, top), (left, top), (left, bottom)]
                yield level, Path(corners, closed=True)


def _level(fraction: float) -> int | None:
    """The place of a share in `LEVELS`; None for an empty bin."""
    if fraction <= 0:
        return None
    return next((place for place, (bound, _) in enumerate(LEVELS) if fraction <= bound), len(LEVELS) - 1)


def _depth(colour: str, level: int, output: Output) -> dict[str, Any]:
    opacity = LEVELS[level][1]
    if output.in_print:  # mixed with white, as some printers render transparency badly
        return {"facecolor": tuple(1 - opacity * (1 - part) for part in to_rgb(colour)), "linewidth": 0}
    return {"facecolor": colour, "alpha": opacity, "linewidth": 0}


def _draw_depths(figure: Figure, above: float, colour: str, output: Output) -> None:
    """What the depths of colour stand for, in the right margin."""
    width, height = figure.get_size_inches()
    left = width - 0.85
    figure.text(left / width, 1 - above / height, "share of\nchannels", va="top", fontsize=8)
    bounds = [0.0, *(bound for bound, _ in LEVELS)]
    for level, (low, high) in enumerate(itertools.pairwise(bounds)):
        middle = (height - above - 0.42 - 0.16 * level) / height
        corner = (left / width, middle - 0.06 / height)
        style = _depth(colour, level, output)
        figure.add_artist(Rectangle(corner, 0.16 / width, 0.12 / height, transform=figure.transFigure, **style))
        text = f"{100 * low:.0f}–{100 * high:.0f} %"
        figure.text((left + 0.22) / width, middle, text, va="center", fontsize=7.5)


def _draw_stage(axes: Axes, members: Mapping[int, Sequence[float]], stage: str, colour: str, layers: int) -> None:
    """The dots and bars of one stage's layers by place, on a ground of its colour under its name."""
    places = list(members)
    means = [statistics.fmean(runs) for runs in members.values()]
    axes.axvspan(places[0] - 0.5, places[-1] + 0.5, color=colour, alpha=0.08, linewidth=0)
    axes.scatter(places, means, s=16 if layers <= 40 else 6, color=colour, linewidths=0, clip_on=False, zorder=3)
    repeated = {place: runs for place, runs in members.items() if len(runs) > 1}
    low, high = (
        [statistics.fmean(runs) + sign * statistics.stdev(runs) for runs in repeated.values()] for sign in (-1, 1)
    )
    axes.vlines(list(repeated), low, high, color=colour, linewidth=1.2, alpha=0.6)
    room = int(50 * len(places) / layers)  # characters
    if room > 3:
        style: dict[str, Any] = {"ha": "center", "color": colour, "fontweight": "bold"}
        centre = (places[0] + places[-1]) / 2
        axes.annotate(shorten(stage, room), (centre, 1.02), (0, 3), textcoords="offset points", **style)


def _draw_group(axes: Axes, group: Bars, stages: Sequence[str], place: int, groups: int) -> None:
    """The bars of one group, the ``place``-th of so many in each cluster."""
    width = 0.8 / groups
    lefts = [stage - 0.4 + (place + 0.5) * width for stage in range(len(stages))]
    values = [group.values[stage] for stage in stages]
    axes.bar(lefts, [mean for mean, _ in values], width=0.88 * width, color=group.colour)
    whiskers = [(left, mean, std) for left, (mean, std) in zip(lefts, values, strict=True) if math.isfinite(std)]
    low, high = ([max(mean + sign * std, 0.0) for _, mean, std in whiskers] for sign in (-1, 1))
    axes.vlines([left for left, _, _ in whiskers], low, high, color=INK, linewidth=1)
