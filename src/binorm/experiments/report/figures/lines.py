"""Lines over training: learning curves, losses, and the mean gate of each stage or layer."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from binorm.experiments.report.figures.theme import RULE, SCREEN, Output, encode, name_series, new_chart, shorten

_GATE_LABEL = "mean gate  (0 instance, 1 batch)"


@dataclass(frozen=True)
class Line:
    """One line of a figure: for each epoch, the values of all runs, drawn as their mean within a band of ± std."""

    label: str
    colour: str
    values: Mapping[int, Sequence[float]]

    @property
    def name(self) -> str:
        """The label, no longer than fits beside the axes."""
        return shorten(self.label, 14)


def learning_curves(title: str, lines: Sequence[Line], note: str | None = None, output: Output = SCREEN) -> bytes:
    """Top-1 in percent by epoch, one line a norm, labelled at its end with the mean of the last epoch.

    Args:
        title: stands above the axes, on a page.
        lines: at least one.
        note: stands below the title.
        output: where the figure goes.
    """
    with output.style():
        figure, axes = _draw(title, note, output, lines)
        axes.set_ylim(*_focus(lines))
        _label_ends(axes, lines, "{:.1f}")
        axes.set_ylabel("top-1 accuracy, %")
        return encode(figure, output)


def gate_curves(title: str, lines: Sequence[Line], note: str | None = None, output: Output = SCREEN) -> bytes:
    """The mean gate by epoch, one line a stage; arguments as in `learning_curves`."""
    with output.style():
        figure, axes = _draw(title, note, output, lines)
        axes.set_ylim(-0.02, 1.02)
        _label_ends(axes, lines, "{:.2f}")
        axes.set_ylabel(_GATE_LABEL)
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
        figure, axes = _draw(title, note, output, lines)
        gates = [value for line in lines for values in line.values.values() for value in values]
        axes.set_ylim(max(-0.02, min(gates) - 0.04), min(1.02, max(gates) + 0.04))
        if axes.get_ylim()[0] < 0.5:
            axes.axhline(0.5, color=RULE, linewidth=1.2, zorder=0)
        _label_ends(axes, lines, "{:.2f}", numbers)
        axes.set_xlabel("norm layer, from input to output")
        axes.set_ylabel(_GATE_LABEL)
        return encode(figure, output)


def loss_curves(
    title: str, lines: Sequence[Line], numbers: Mapping[str, str], note: str | None, output: Output = SCREEN
) -> bytes:
    """A loss by iteration, one line a norm; names stand on the right in the order of the last values, highest first.

    The axis is linear and fitted to what comes after the first fifth: beside the steep fall before, and on a
    logarithmic axis, the norms could not be told apart.

    Args:
        title: stands above the axes, on a page.
        lines: at least one, with steps for epochs.
        numbers: one for each label of a line, to stand beside it, in the same order as the names.
        note: stands below the title.
        output: where the figure goes.
    """
    colours = {line.label: line.colour for line in lines}
    names = [(f"{shorten(label, 14)} {number}", colours[label]) for label, number in numbers.items()]
    with output.style():
        figure, axes = new_chart(title, note, output, 0.12 + 0.082 * max(len(text) for text, _ in names))
        for line in lines:
            _draw_line(axes, line, 1.4)
        axes.set_ylim(*_loss_focus(lines))
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.yaxis.set_major_locator(MaxNLocator(6))
        axes.set_xlabel("iterations")
        axes.set_ylabel("relative error")
        name_series(axes, names, 1.03)
        return encode(figure, output)


def _draw(title: str, note: str | None, output: Output, lines: Sequence[Line]) -> tuple[Figure, Axes]:
    """Lines by epoch, with room on the right for their names."""
    longest = max(len(line.name) for line in lines) + len(" 00.0")
    figure, axes = new_chart(title, note, output, 0.1 + longest * (0.08 if output.in_print else 0.09))
    for line in lines:
        _draw_line(axes, line, 1.6)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlabel("epoch")
    return figure, axes


def _draw_line(axes: Axes, line: Line, width: float) -> None:
    """The mean over runs within a band of ± std."""
    steps = sorted(line.values)
    runs = [_finite(line.values[step]) for step in steps]
    means = [statistics.fmean(values) if values else math.nan for values in runs]
    stds = [statistics.stdev(values) if len(values) > 1 else math.nan for values in runs]
    # A few epochs are points rather than a line, and a single one would not show at all.
    axes.plot(steps, means, color=line.colour, linewidth=width, marker="o" if len(steps) < 4 else "", markersize=4)
    low, high = ([mean + sign * std for mean, std in zip(means, stds, strict=True)] for sign in (-1, 1))
    axes.fill_between(steps, low, high, color=line.colour, alpha=0.18, linewidth=0)


def _focus(lines: Sequence[Line]) -> tuple[float, float]:
    """Limits around what comes after the first fifth: beside its steep climb, no ends could be told apart."""
    longest = max(len(line.values) for line in lines)
    late = [runs for line in lines for epoch, runs in line.values.items() if epoch > longest // 5]
    values = [value for runs in late for value in _finite(runs)]
    if not values:
        return 0.0, 100.0
    margin = max(0.06 * (max(values) - min(values)), 0.5)
    return max(0.0, min(values) - margin), min(100.5, max(values) + margin)


def _loss_focus(lines: Sequence[Line]) -> tuple[float, float]:
    last = max(step for line in lines for step in line.values)
    means = [statistics.fmean(runs) for line in lines for step, runs in line.values.items() if step > last / 5]
    margin = 0.06 * (max(means) - min(means)) or 0.1 * abs(max(means)) or 1.0
    return max(0.0, min(means) - margin), max(means) + margin


def _label_ends(axes: Axes, lines: Sequence[Line], pattern: str, numbers: Mapping[str, float] | None = None) -> None:
    """Write each line's name and number at the height of its end; names that would collide move apart.

    Args:
        axes: where the lines are drawn.
        lines: those without any number at their end get no name.
        pattern: of the number.
        numbers: by label; the last mean, unless they are given.
    """
    lasts = [(_finite(line.values[max(line.values)]), line) for line in lines]
    ends = sorted(((statistics.fmean(last), line) for last, line in lasts if last), key=lambda end: end[0])
    low, high = axes.get_ylim()
    height = axes.get_window_extent().height / axes.figure.dpi  # inches
    gap = (high - low) * 0.148 / height  # a line of text
    places = _apart([min(max(end, low), high) for end, _ in ends], gap, high)
    transform = axes.get_yaxis_transform()
    for place, (end, line) in zip(places, ends, strict=True):
        label = f"{line.name} {pattern.format(numbers[line.label] if numbers else end)}"
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
