"""Figures of trained gates: histograms beside the paper's, and the mean of each layer."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from binorm.experiments.report.figure_style import (
    COLUMN_WIDTH,
    INK,
    SCREEN,
    Output,
    add_axes,
    encode,
    new_figure,
    shorten,
)
from binorm.experiments.report.gate_statistics import LayerMeans


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


def layer_means(
    title: str,
    layers: Sequence[LayerMeans],
    colours: Mapping[str, str],
    note: str | None = None,
    output: Output = SCREEN,
) -> bytes:
    """The mean gate of each layer in the order of the network: a dot for the mean over runs, a bar of ± std.

    Args:
        title: stands above the axes, on a page.
        layers: at least one.
        colours: of each stage.
        note: stands below the title.
        output: where the figure goes.
    """
    with output.style():
        figure, head = new_figure(title, note, output, (4.8, 3.2), print_height=2.4)
        axes = add_axes(figure, 0.56, 0.4 if output.in_print else 0.52, 0.1, head + 0.17)
        for stage, colour in colours.items():
            members = [(place, layer) for place, layer in enumerate(layers, start=1) if layer.stage == stage]
            if members:
                _draw_stage(axes, members, stage, colour, len(layers))
        axes.set_xlim(0.5, len(layers) + 0.5)
        axes.set_ylim(-0.02, 1.02)
        axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
        axes.grid(axis="y")
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("norm layer, from input to output")
        axes.set_ylabel("mean gate  (0 instance, 1 batch)")
        return encode(figure, output)


def _draw_stage(axes: Axes, members: Sequence[tuple[int, LayerMeans]], stage: str, colour: str, layers: int) -> None:
    """The dots and bars of one stage, on a ground of its colour under its name."""
    places = [place for place, _ in members]
    means = [statistics.fmean(layer.means) for _, layer in members]
    axes.axvspan(places[0] - 0.5, places[-1] + 0.5, color=colour, alpha=0.08, linewidth=0)
    axes.scatter(places, means, s=16 if layers <= 40 else 6, color=colour, linewidths=0, clip_on=False, zorder=3)
    repeated = [(place, layer.means) for place, layer in members if len(layer.means) > 1]
    low, high = ([statistics.fmean(each) + sign * statistics.stdev(each) for _, each in repeated] for sign in (-1, 1))
    axes.vlines([place for place, _ in repeated], low, high, color=colour, linewidth=1.2, alpha=0.6)
    room = int(50 * len(places) / layers)  # characters
    if room > 3:
        style: dict[str, Any] = {"ha": "center", "color": colour, "fontweight": "bold"}
        centre = (places[0] + places[-1]) / 2
        axes.annotate(shorten(stage, room), (centre, 1.02), (0, 3), textcoords="offset points", **style)


def _centres(bins: int) -> list[float]:
    return [(place + 0.5) / bins for place in range(bins)]


def _draw_bars(axes: Axes, histogram: Histogram, colour: str, top: float) -> None:
    """Bars, inside the outlines of the reference where there is one."""
    width = 1 / len(histogram.fractions)
    centres = _centres(len(histogram.fractions))
    if histogram.reference is not None:
        outline: dict[str, Any] = {"facecolor": "none", "edgecolor": INK, "linewidth": 0.9}
        axes.bar(centres, histogram.reference, width=0.86 * width, **outline)
    share = 0.86 if histogram.reference is None else 0.5
    axes.bar(centres, histogram.fractions, width=share * width, color=colour)
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(0, 1.1 * top)


def _add_key(axes: Axes, reference: str, colour: str) -> None:
    ours = Rectangle((0, 0), 1, 1, color=colour, linewidth=0)
    paper = Rectangle((0, 0), 1, 1, facecolor="none", edgecolor=INK, linewidth=0.9)
    axes.legend(
        [ours, paper],
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
