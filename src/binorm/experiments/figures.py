"""The figures of a report as SVG text: learning curves, histograms of gates, gates over training.

Text stays text and lines stay few, so a figure takes some kilobytes. The background is transparent and each colour has
a lighter twin for dark pages, which a style sheet inside the figure picks, so that one file serves both.
"""

import io
import math
import statistics
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from binorm.experiments.run_folder import DISPLAY_ORDER, norm_rank
from binorm.experiments.statistics import spread

INK = "#5c6670"
RULE = "#d5dae0"
# Okabe & Ito's palette, told apart by colour-blind readers, each with a lighter twin for dark pages.
_COLOURS = {
    "#0072b2": "#56b4e9",
    "#009e73": "#3fd0a4",
    "#b35c95": "#e29cc6",
    "#d55e00": "#ff8f40",
    "#8a6d00": "#e6c229",
    "#3b3f8f": "#9da2f0",
    "#7a4a2a": "#cf9a73",
    "#6b6b6b": "#b0b0b0",
}
DARK = {INK: "#a3adb8", RULE: "#3a424b", **_COLOURS}
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_METADATA = ("Date", "Creator", "Format", "Type")  # left out, so that equal data makes equal files
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    # One salt for all: equal clip paths then get equal ids, and figures side by side in a page cannot disagree.
    "svg.hashsalt": "binorm",
    # Names come from outside: a dollar sign in one is no formula.
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": RULE,
    "xtick.labelcolor": INK,
    "ytick.color": RULE,
    "ytick.labelcolor": INK,
    "ytick.major.size": 0,
    "grid.color": RULE,
    "grid.linewidth": 0.5,
}


@dataclass(frozen=True)
class Line:
    """One line of a figure: for each epoch, the values of all runs, drawn as their mean within a band of ± std."""

    label: str
    colour: str
    values: Mapping[int, Sequence[float]]


def norm_colours(norms: Sequence[str]) -> dict[str, str]:
    """A colour for each norm: the paper's norms keep theirs in every report, others follow by name."""
    palette = list(_COLOURS)
    others = sorted(norm for norm in norms if norm not in DISPLAY_ORDER)
    places = [*DISPLAY_ORDER, *others]
    return {norm: palette[places.index(norm) % len(palette)] for norm in sorted(norms, key=norm_rank)}


def stage_colours(stages: Sequence[str]) -> dict[str, str]:
    """A colour for each stage of a network, from the end of the palette that norms reach last."""
    palette = [*_COLOURS][::-1]
    return {stage: palette[place % len(palette)] for place, stage in enumerate(stages)}


def learning_curves(title: str, lines: Sequence[Line], note: str | None = None) -> str:
    """Top-1 in percent by epoch, one line a norm, labelled at its end with the mean of the last epoch.

    Args:
        title: stands above the axes.
        lines: at least one.
        note: stands beside the title, in every copy of the figure.
    """
    with mpl.rc_context(_STYLE):
        figure, axes = _canvas(title, note)
        _draw_lines(axes, lines)
        axes.set_ylim(*_focus(lines))
        _label_ends(axes, lines, "{:.1f}")
        axes.set_xlabel("epoch")
        axes.set_ylabel("top-1 accuracy, %")
        return _svg(figure)


def gate_curves(title: str, lines: Sequence[Line], note: str | None = None) -> str:
    """The mean gate by epoch, one line a stage; arguments as in `learning_curves`."""
    with mpl.rc_context(_STYLE):
        figure, axes = _canvas(title, note)
        _draw_lines(axes, lines)
        axes.set_ylim(-0.02, 1.02)
        _label_ends(axes, lines, "{:.2f}")
        axes.set_xlabel("epoch")
        axes.set_ylabel("mean gate  (0 instance, 1 batch)")
        return _svg(figure)


def gate_histogram(
    title: str, fractions: Sequence[float], colour: str, note: str | None = None, top: float = 1.0
) -> str:
    """The share of channels by gate, in equal bins over [0, 1], as in the paper's figure of trained gates.

    Args:
        title: stands above the axes.
        fractions: one for each bin, from 0 to 1; they sum to 1.
        colour: of the bars.
        note: as in `learning_curves`.
        top: the share at the upper edge; the same for figures that are to be compared.
    """
    with mpl.rc_context(_STYLE):
        figure, axes = _canvas(title, note, size=(3.6, 2.5), right=0.98)
        width = 1 / len(fractions)
        centres = [(place + 0.5) * width for place in range(len(fractions))]
        axes.bar(centres, fractions, width=0.86 * width, color=colour)
        for centre, fraction in zip(centres, fractions, strict=True):
            label = f"{fraction:.3f}".removeprefix("0")
            axes.annotate(label, (centre, fraction), (0, 2), textcoords="offset points", ha="center", fontsize=7.5)
        axes.set_xlim(-0.01, 1.01)
        axes.set_ylim(0, 1.1 * top)
        axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1], ["0\ninstance norm", ".2", ".4", ".6", ".8", "1\nbatch norm"])
        axes.get_xticklabels()[0].set_horizontalalignment("left")
        axes.get_xticklabels()[-1].set_horizontalalignment("right")
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_ylabel("share of channels")
        return _svg(figure)


def _canvas(
    title: str, note: str | None, size: tuple[float, float] = (4.8, 3.2), right: float = 0.8
) -> tuple[Figure, Axes]:
    """A figure of ``size`` in inches, without pyplot, which would keep it in a global list; title at the left edge."""
    width, height = size
    figure = Figure(figsize=size)
    left, bottom, top = 0.56 / width, 0.52 / height, 1 - 0.5 / height
    axes = figure.add_axes((left, bottom, right - left, top - bottom))
    figure.text(0.06 / width, 1 - 0.05 / height, _shorten(title, 44), va="top", fontsize=10, fontweight="bold")
    if note:
        figure.text(0.06 / width, 1 - 0.24 / height, note, va="top", fontsize=8, fontstyle="italic")
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
    """Name each line beside its end, with its last mean; names that would collide move apart."""
    low, high = axes.get_ylim()
    gap = (high - low) * 0.068
    ends = []
    for line in lines:
        last = _finite(line.values[max(line.values)])
        if last:
            ends.append((statistics.fmean(last), line))
    ends.sort(key=lambda end: end[0])
    places = _apart([min(max(mean, low), high) for mean, _ in ends], gap, high)
    transform = axes.get_yaxis_transform()
    for place, (mean, line) in zip(places, ends, strict=True):
        label = f"{_shorten(line.label, 14)} {pattern.format(mean)}"
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


def _shorten(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _svg(figure: Figure) -> str:
    """The figure as one ``<svg>`` element, which stands in a page as well as in a file of its own."""
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # Matplotlib measures with its own font; the reader's fonts, which draw the text, know more scripts.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format="svg", transparent=True, metadata=dict.fromkeys(_METADATA))
    text = buffer.getvalue()
    svg = text[text.index("<svg") :].replace("font-family: 'DejaVu Sans'; ", "")
    return svg.replace("</style>", f" text{{font-family: {_FONT}}}{_dark_style(svg)}</style>", 1)


def _dark_style(svg: str) -> str:
    """Rules that give every colour in the figure its lighter twin where the reader prefers dark pages."""
    rules = [
        f'[style*="{kind}: {light}"]{{{kind}: {dark} !important}}'
        for light, dark in DARK.items()
        for kind in ("fill", "stroke")
        if f"{kind}: {light}" in svg
    ]
    return f" @media (prefers-color-scheme: dark){{{' '.join(rules)}}}"
