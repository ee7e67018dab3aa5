"""Draws a style report: losses over iterations, and a sheet of pictures by norm."""

import io
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, StrMethodFormatter
from PIL import Image

from binorm.experiments.report.figure_style import (
    SCREEN,
    STRONG,
    Output,
    add_axes,
    encode,
    for_print,
    new_figure,
    shorten,
)
from binorm.experiments.report.figures import Line
from binorm.experiments.report.statistics import spread

_CELL, _HEAD, _GAP = 0.9, 0.17, 0.03  # inches of a sheet; 300 pixels each


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
    with output.style():
        figure, head = new_figure(title, note, output, (4.8, 3.2), print_height=2.3)
        longest = max(len(f"{shorten(label, 14)} {text}") for label, text in numbers.items())
        axes = add_axes(figure, 0.56, 0.4 if output.in_print else 0.52, 0.12 + 0.082 * longest, head)
        for line in lines:
            _draw(axes, line)
        axes.set_ylim(*_limits(lines))
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.yaxis.set_major_locator(MaxNLocator(6))
        axes.grid(axis="y")
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("iterations")
        axes.set_ylabel("relative error")
        _name_lines(axes, {line.label: line.colour for line in lines}, numbers)
        return encode(figure, output)


def picture_sheet(columns: Mapping[str, Sequence[numpy.ndarray | None]]) -> bytes:
    """A sheet as a lossless WebP: a column for each name, a row for each picture; what is None stays empty.

    It lies on a dark ground of its own, and so suits a page in light and dark.

    Args:
        columns: by name, pictures as uint8 (H, W, 3); every column has as many, and those of a row have one shape.
    """
    rows = list(zip(*columns.values(), strict=True))
    shapes = [next(cell.shape for cell in row if cell is not None) for row in rows]
    heights = [min(_CELL * shape[0] / shape[1], 2 * _CELL) for shape in shapes]
    width = _GAP + len(columns) * (_CELL + _GAP)
    height = _HEAD + sum(each + _GAP for each in heights)
    output = for_print("png")
    with output.style():
        figure, _ = new_figure("", None, output, (width, height), height, print_width=width)
        figure.add_artist(Rectangle((0, 0), 1, 1, transform=figure.transFigure, color=STRONG, zorder=-1))
        style: dict[str, Any] = {"color": "white", "fontsize": 6, "fontweight": "bold", "va": "center"}
        for column, name in enumerate(columns):
            left = _GAP + column * (_CELL + _GAP)
            figure.text((left + 0.02) / width, 1 - _HEAD / 2 / height, shorten(name, 14), **style)
            above = _HEAD
            for row, tall in enumerate(heights):
                cell = rows[row][column]
                if cell is not None:
                    axes = add_axes(figure, left, height - above - tall, width - left - _CELL, above)
                    axes.imshow(cell, aspect="auto")
                    axes.set_axis_off()
                above += tall + _GAP
        drawn = Image.open(io.BytesIO(encode(figure, output)))
    buffer = io.BytesIO()
    drawn.convert("RGB").save(buffer, "WEBP", lossless=True)
    return buffer.getvalue()


def _draw(axes: Axes, line: Line) -> None:
    """The mean over runs within a band of ± std."""
    steps = sorted(line.values)
    spreads = [spread(line.values[step]) for step in steps]
    # A few points are dots rather than a line, and a single one would not show at all.
    marker = "o" if len(steps) < 4 else ""
    axes.plot(steps, [each.mean for each in spreads], color=line.colour, linewidth=1.4, marker=marker, markersize=4)
    low, high = ([each.mean + sign * each.std for each in spreads] for sign in (-1, 1))
    axes.fill_between(steps, low, high, color=line.colour, alpha=0.18, linewidth=0)


def _limits(lines: Sequence[Line]) -> tuple[float, float]:
    last = max(step for line in lines for step in line.values)
    shown = [statistics.fmean(runs) for line in lines for step, runs in line.values.items() if step > last / 5]
    margin = 0.06 * (max(shown) - min(shown)) or 0.1 * abs(max(shown)) or 1.0
    return max(0.0, min(shown) - margin), max(shown) + margin


def _name_lines(axes: Axes, colours: Mapping[str, str], numbers: Mapping[str, str]) -> None:
    height = axes.get_window_extent().height / axes.figure.dpi  # inches
    for place, (label, text) in enumerate(numbers.items()):
        style: dict[str, Any] = {"color": colours[label], "fontweight": "bold", "va": "center"}
        level = 1 - (0.1 + 0.17 * place) / height
        axes.text(1.03, level, f"{shorten(label, 14)} {text}", transform=axes.transAxes, **style)
