"""How the histogram of gates develops over training, as strips: epochs to the right, gates upwards."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator

from binorm.experiments.report.figure_style import SCREEN, Output, add_axes, encode, new_figure, shorten

# Shares up to the first number of a pair are drawn as opaque as the second says.
LEVELS = ((0.02, 0.1), (0.05, 0.22), (0.1, 0.38), (0.25, 0.56), (0.5, 0.77), (1.0, 1.0))


@dataclass(frozen=True)
class Strip:
    """For each epoch, the share of channels in equal bins over [0, 1]."""

    label: str
    fractions: Mapping[int, Sequence[float]]


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
        total = figure.get_size_inches()[1]
        for place, strip in enumerate(strips):
            above = head + 0.17 + each * place
            axes = add_axes(figure, 0.42, total - above - each + 0.22, 0.95, above)
            _draw_strip(axes, strip, colour, output)
            last = place == len(strips) - 1
            axes.tick_params(axis="x", labelbottom=last)
            axes.set_xlabel("epoch" if last else "")
        figure.text(0.14 / figure.get_size_inches()[0], 0.5, "gate", rotation=90, ha="center", va="center")
        _draw_key(figure, head + 0.17, colour, output)
        return encode(figure, output)


def _draw_strip(axes: Axes, strip: Strip, colour: str, output: Output) -> None:
    epochs = sorted(strip.fractions)
    for level, (_, opacity) in enumerate(LEVELS):
        cells = list(_cells(strip, epochs, level))
        if cells:
            axes.add_patch(_patch(cells, colour, opacity, output))
    axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 1], ["0", "1"])
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_title(shorten(strip.label, 40), loc="left", pad=2, fontsize=8)


def _cells(strip: Strip, epochs: Sequence[int], level: int) -> Iterator[tuple[float, float, float, float]]:
    """Left, bottom, right and top of what is of one level; neighbours in a row are one, which keeps files small."""
    bins = len(strip.fractions[epochs[0]])
    for row in range(bins):
        stretch: list[int] = []
        for epoch in epochs:
            if _level(strip.fractions[epoch][row]) == level:
                if stretch and epoch != stretch[-1] + 1:
                    yield stretch[0] - 0.5, row / bins, stretch[-1] + 0.5, (row + 0.92) / bins
                    stretch = []
                stretch.append(epoch)
        if stretch:
            yield stretch[0] - 0.5, row / bins, stretch[-1] + 0.5, (row + 0.92) / bins


def _level(fraction: float) -> int | None:
    """The place of a share in `LEVELS`; None for an empty bin."""
    if fraction <= 0:
        return None
    return next((place for place, (bound, _) in enumerate(LEVELS) if fraction <= bound), len(LEVELS) - 1)


def _patch(
    cells: Sequence[tuple[float, float, float, float]], colour: str, opacity: float, output: Output, **options: Any
) -> PathPatch:
    corners: list[tuple[float, float]] = []
    for left, bottom, right, top in cells:
        corners += [(left, bottom), (right, bottom), (right, top), (left, top), (left, bottom)]
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY] * len(cells)
    if output.in_print:  # mixed with white, as some printers render transparency badly
        mixed = tuple(1 - opacity * (1 - part) for part in to_rgb(colour))
        return PathPatch(Path(corners, codes), facecolor=mixed, linewidth=0, **options)
    return PathPatch(Path(corners, codes), facecolor=colour, alpha=opacity, linewidth=0, **options)


def _draw_key(figure: Figure, above: float, colour: str, output: Output) -> None:
    """What the depths of colour stand for, in the right margin."""
    width, height = figure.get_size_inches()
    left = width - 0.85
    figure.text(left / width, 1 - above / height, "share of\nchannels", va="top", fontsize=8)
    low = 0.0
    for place, (bound, opacity) in enumerate(LEVELS):
        top = height - above - 0.36 - 0.16 * place
        cell = (left / width, (top - 0.12) / height, (left + 0.16) / width, top / height)
        figure.add_artist(_patch([cell], colour, opacity, output, transform=figure.transFigure))
        text = f"{100 * low:.0f}–{100 * bound:.0f} %"
        figure.text((left + 0.22) / width, (top - 0.06) / height, text, va="center", fontsize=7.5)
        low = bound
