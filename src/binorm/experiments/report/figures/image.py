"""A sheet of photographs by norm."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image

from binorm.experiments.report.figures.theme import STRONG, add_axes, encode, for_print, new_figure, shorten

_CELL, _HEAD, _GAP = 0.9, 0.17, 0.03  # inches of a sheet; 300 pixels each


def image_sheet(columns: Mapping[str, Sequence[NDArray[numpy.uint8] | None]]) -> bytes:
    """A sheet as a lossless WebP: a column for each name, a row for each image; what is None stays empty.

    It lies on a dark ground of its own, and so suits a page in light and dark.

    Args:
        columns: by name, images (H, W, 3); every column has as many, and those of a row have one shape.
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
