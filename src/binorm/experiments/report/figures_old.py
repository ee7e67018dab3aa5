"""Lines over training: learning curves, and the mean gate of each stage."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from binorm.experiments.report.figure_style import RULE, SCREEN, Output, add_axes, encode, new_figure, shorten
from binorm.experiments.report.statistics import spread


@dataclass(frozen=True)
class Line:
    """One line of a figure: for each epoch, the values of all runs, drawn as their mean within a band of ± std."""

    label: str
    colour: str
    values: Mapping[int, Sequence[float]]


def learning_curves(title: str, lines: Sequence[Line], note: str | None = None, output: Output = SCREEN) -> bytes:
    """Top-1 in percent by epoch, one line a norm, labelled at its end with the mean of the last epoch.

    Args:
        title: stands above the axes, on a page.
        lines: at least one.
        note: stands below the title.
        output: where the figure goes.
    """
    with output.style():
        figure, axes = _canvas(title, note, output, lines)
        _draw_lines(axes, lines)
        axes.set_ylim(*_focus(lines))
        _label_ends(axes, lines, "{:.1f}")
        axes.set_ylabel("top-1 accuracy, %")
        return encode(figure, output)


def gate_curves(title: str, lines: Sequence[Line], note: str | None = None, output: Output = SCREEN) -> bytes:
    """The mean gate by epoch, one line a stage; arguments as in `learning_curves`."""
    with output.style():
        figure, axes = _canvas(title, note, output, lines)
        _draw_lines(axes, lines)
        axes.set_ylim(-0.02, 1.02)
        _label_ends(axes, lines, "{:.2f}")
        axes.set_ylabel("mean gate  (0 instance, 1 batch)")
        return encode(figure, output)


def depth_curves(
    title: str, lines: Sequence[Line], numbers: Mapping[str, float], note: str | None = None, output: Output = SCREEN
) -> bytes:
    """The mean gate by place of the layer in the network, one line a group of runs.

    The axis is fitted to the lines, so that groups come apart; a rule stands at 0.5 where it is in sight.

    Args:
        title: as in `learning_curves`, as are ``note`` and ``output``.
        lines: at least one, with places of layers for epochs.
        numbers: one for each label of a line, to stand beside it.
        note: see there.
        output: see there.
    """
    with output.style():
        figure, axes = _canvas(title, note, output, lines)
        _draw_lines(axes, lines)
        ends = [(statistics.fmean(line.values[max(line.values)]), numbers[line.label], line) for line in lines]
        shown = [value for line in lines for values in line.values.values() for value in values]
        axes.set_ylim(max(-0.02, min(shown) - 0.04), min(1.02, max(shown) + 0.04))
        if axes.get_ylim()[0] < 0.5:
            axes.axhline(0.5, color=RULE, linewidth=1.2, zorder=0)
        _write_labels(axes, ends, "{:.2f}")
        axes.set_xlabel("norm layer, from input to output")
        axes.set_ylabel("mean gate  (0 instance, 1 batch)")
        return encode(figure, output)


def _canvas(title: str, note: str | None, output: Output, lines: Sequence[Line]) -> tuple[Figure, Axes]:
    """Axes with room on the right for the names of the lines."""
    figure, head = new_figure(title, note, output, (4.8, 3.2), print_height=2.3)
    longest = max(len(shorten(line.label, 14)) for line in lines) + len(" 00.0")
    names = 0.1 + longest * (0.08 if output.in_print else 0.09)  # inches
    axes = add_axes(figure, 0.56, 0.4 if output.in_print else 0.52, names, head)
    axes.set_xlabel("epoch")
    return figure, axes


def _draw_lines(axes: Axes, lines: Sequence[Line]) -> None:
    for line in lines:
        epochs = sorted(line.values)
        spreads = [spread(_finite(line.values[epoch])) for epoch in epochs]
        means = [each.mean for each in spreads]
        # A few epochs are points rather than a line, and a single one would not show at all.
        axes.plot(epochs, means, color=line.colour, linewidth=1.6, marker="o" if len(epochs) < 4 else "", markersize=4)
        low, high = ([each.mean + sign * each.std for each in spreads] for sign in (-1, 1))
        axes.fill_between(epochs, low, high, color=line.colour, alpha=0.18, linewidth=0)
    axes.grid(axis="y")
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))


def _focus(lines: Sequence[Line]) -> tuple[float, float]:
    """Limits around what comes after the first fifth: beside its steep climb, no ends could be told apart."""
    longest = max(len(line.values) for line in lines)
    shown = [runs for line in lines for epoch, runs in line.values.items() if epoch > longest // 5]
    values = [value for runs in shown for value in _finite(runs)]
    if not values:
        return 0.0, 100.0
    margin = max(0.06 * (max(values) - min(values)), 0.5)
    return max(0.0, min(values) - margin), min(100.5, max(values) + margin)


def _label_ends(axes: Axes, lines: Sequence[Line], pattern: str) -> None:
    """Name each line beside its end, with its last mean."""
    lasts = [(_finite(line.values[max(line.values)]), line) for line in lines]
    means = [(statistics.fmean(last), line) for last, line in lasts if last]
    _write_labels(axes, [(mean, mean, line) for mean, line in means], pattern)


def _write_labels(axes: Axes, ends: Sequence[tuple[float, float, Line]], pattern: str) -> None:
    """Write each line's name and number at the height of its end; names that would collide move apart.

    Args:
        axes: where the lines are drawn.
        ends: for each line the height of its end, the number, and the line itself.
        pattern: of the number.
    """
    low, high = axes.get_ylim()
    height = axes.get_window_extent().height / axes.figure.dpi  # inches
    gap = (high - low) * 0.148 / height  # a line of text
    ends = sorted(ends, key=lambda end: end[0])
    places = _apart([min(max(end, low), high) for end, _, _ in ends], gap, high)
    transform = axes.get_yaxis_transform()
    for place, (_, value, line) in zip(places, ends, strict=True):
        label = f"{shorten(line.label, 14)} {pattern.format(value)}"
        axes.text(1.02, place, label, transform=transform, color=line.colour, va="center", fontweight="bold")


def _apart(places: Sequence[float], gap: float, top: float) -> list[float]:
    """Move ascending places at least ``gap`` apart, upwards first, then down again from ``top``."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + gap) if moved else place)
    ceiling = top
    for index in reversed(range(len(moved))):
        moved[index] = min(moved[index], ceiling)
        ceiling = moved[index] - gap
    return moved


def _finite(values: Sequence[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]
