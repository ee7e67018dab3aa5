"""Draws what a channel sees: images, and below them its response with its gate as learned, at 0 and at 1."""

import numpy
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from binorm.experiments.report.figures.theme import COLUMN_WIDTH, Output, add_axes, encode, shorten

ROWS = ("picture", "gate as\nlearned", "gate 0\n(instance)", "gate 1\n(batch)")
_LEFT, _RIGHT, _HEAD, _FOOT, _GAP = 0.66, 0.42, 0.22, 0.2, 0.03  # inches


def response_figure(
    label: str, note: str, images: NDArray[numpy.uint8], maps: NDArray[numpy.float32], output: Output
) -> bytes:
    """One column an image. All maps share one scale, white at 0: blue is what a ReLU would cut.

    Args:
        label: stands at the upper left: layer, channel and gate.
        note: stands below the maps.
        images: (K, H, W, 3).
        maps: (3, K, H', W'), for the gate as learned, at 0 and at 1.
        output: where the figure goes.
    """
    columns = len(images)
    width = (COLUMN_WIDTH - _LEFT - _RIGHT) / columns
    height = width * images.shape[1] / images.shape[2]
    total = _HEAD + len(ROWS) * height + _FOOT
    reach = max(float(numpy.abs(maps).max()), 1e-6)
    with output.style():
        figure = Figure(figsize=(COLUMN_WIDTH, total))
        figure.text(0.05 / COLUMN_WIDTH, 1 - 0.05 / total, shorten(label, 58), va="top")
        figure.text(0.05 / COLUMN_WIDTH, 0.06 / total, note, fontsize=7)
        for row, name in enumerate(ROWS):
            below = total - _HEAD - (row + 1) * height
            figure.text(0.05 / COLUMN_WIDTH, (below + height / 2) / total, name, va="center", fontsize=7)
            for column in range(columns):
                left = _LEFT + column * width
                axes = add_axes(figure, left, below + _GAP, COLUMN_WIDTH - left - width + _GAP, total - below - height)
                axes.set_axis_off()
                pixels = images[column] if row == 0 else maps[row - 1, column]
                # Pixels that have colours already do not heed the scale.
                drawn = axes.imshow(pixels, "RdBu_r", aspect="auto", interpolation="nearest", vmin=-reach, vmax=reach)
        _draw_scale(figure, drawn, height)
        return encode(figure, output)


def _draw_scale(figure: Figure, drawn: AxesImage, height: float) -> None:
    """The colour bar beside the rows of maps."""
    axes = add_axes(figure, COLUMN_WIDTH - _RIGHT + 0.04, _FOOT + _GAP, _RIGHT - 0.12, _HEAD + height)
    bar = figure.colorbar(drawn, cax=axes)
    bar.locator = MaxNLocator(4)
    bar.update_ticks()
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=2, labelsize=7, pad=1.5)
