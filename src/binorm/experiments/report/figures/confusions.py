"""Draws what is taken for what: a row for each domain, batch norm beside BIN and the difference of the two."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from binorm.experiments.report.figures.theme import (
    FULL_WIDTH,
    INK,
    PAGE_WIDTH,
    RULE,
    STRONG,
    Output,
    add_axes,
    encode,
    new_figure,
    norm_colours,
    shorten,
)

NUMBERED, NAMED = 20, 40  # up to so many classes get numbers in their cells, and names beside their rows
_FALL = "#0072b2"  # of a difference below 0; above it has the colour of the norm that gains
_HEAD, _GAP = 0.55, 0.16  # inches

Percent = NDArray[numpy.float64]


@dataclass(frozen=True, eq=False)
class ConfusionRow:
    """The confusions in one domain.

    Attributes:
        heading: stands above them.
        classes: names, in the order of rows and columns.
        percent: by norm, (C, C): of each true class, how many in a hundred were taken for each; nan where nothing is.
    """

    heading: str
    classes: Sequence[str]
    percent: Mapping[str, Percent]

    def changed(self, norms: Sequence[str]) -> bool:
        """Whether anything is taken for something else with the second norm than with the first."""
        if not self.percent.keys() >= set(norms):
            return False
        return bool(numpy.nan_to_num(self.percent[norms[1]] - self.percent[norms[0]]).any())

    def label(self, place: int) -> str:
        """The name of a class; of very many classes, its number."""
        return shorten(self.classes[place], 12) if len(self.classes) <= NAMED else str(place + 1)


def confusion_figure(
    title: str, rows: Sequence[ConfusionRow], norms: Sequence[str], note: str | None, output: Output
) -> bytes:
    """Of each true class, the share in percent that was taken for each class; the deeper the colour, the more.

    Args:
        title: stands at the upper left, on a page.
        rows: one for each domain, at least one.
        norms: one or two; of two, the difference of the second to the first stands beside them, if there is any.
        note: stands below the title.
        output: where the figure goes.
    """
    names = max(len(row.label(place)) for row in rows for place in range(len(row.classes)))
    left = 0.3 + 0.068 * names
    changed = len(norms) == 2 and any(row.changed(norms) for row in rows)
    panels = len(norms) + changed
    whole = FULL_WIDTH if output.in_print else PAGE_WIDTH
    side = min((whole - left - 0.08 - _GAP * (panels - 1)) / panels, 3.4)
    foot = 0.3 + (0.058 * names if len(rows[0].classes) <= NUMBERED else 0.0)
    height = len(rows) * (side + _HEAD) + foot + 0.06
    width = left + panels * side + (panels - 1) * _GAP + 0.08
    with output.style():
        figure, head = new_figure(title, note, output, (width, height + 0.5), height, print_width=width)
        total = figure.get_size_inches()[1]
        for place, row in enumerate(rows):
            above = head + _HEAD + place * (side + _HEAD)
            heading = shorten(row.heading, 90)
            figure.text(0.06 / width, 1 - (above - 0.32) / total, heading, va="center", fontweight="bold")
            middle = 1 - (above + side / 2) / total
            figure.text(0.14 / width, middle, "true class", rotation=90, ha="center", va="center")
            for column, (name, values, limit) in enumerate(_panels(row, norms)[:panels]):
                start = left + column * (side + _GAP)
                axes = add_axes(figure, start, total - above - side, width - start - side, above)
                _draw(axes, values, limit, _colours(norms, name), side)
                axes.set_title(shorten(name, 40), loc="left", pad=2, fontsize=8)
                _name_classes(axes, row, rows_too=column == 0, columns_too=place == len(rows) - 1)
        figure.text((left + width) / 2 / width, 0.08 / total, "predicted class", ha="center")
        return encode(figure, output)


def _panels(row: ConfusionRow, norms: Sequence[str]) -> list[tuple[str, Percent, float]]:
    """Name, values and the value of full colour of each panel; a norm that no run has is blank."""
    blank = numpy.full((len(row.classes), len(row.classes)), numpy.nan)
    percent = {norm: row.percent.get(norm, blank) for norm in norms}
    panels = [(norm, values, 100.0) for norm, values in percent.items()]
    if len(norms) == 2:
        change = percent[norms[1]] - percent[norms[0]]
        reach = float(numpy.nanmax(numpy.abs(change))) if numpy.isfinite(change).any() else 0.0
        panels.append((f"{norms[1]} − {norms[0]}", change, max(reach, 1.0)))
    return panels


def _colours(norms: Sequence[str], name: str) -> tuple[str, str]:
    """The colours of values above and below 0."""
    colours = norm_colours(norms)
    return (colours[name], colours[name]) if name in colours else (colours[norms[1]], _FALL)


def _draw(axes: Axes, values: Percent, limit: float, colours: tuple[str, str], side: float) -> None:
    """Cells as one small picture, which is as opaque as its values are large: it suits a page in light and dark."""
    size = len(values)
    finite = numpy.nan_to_num(values)
    cells = numpy.zeros((size, size, 4))
    cells[..., :3] = numpy.where(finite[..., None] >= 0, to_rgb(colours[0]), to_rgb(colours[1]))
    cells[..., 3] = numpy.sqrt(numpy.abs(finite) / limit)
    axes.imshow(cells, interpolation="none", aspect="auto", extent=(0, size, size, 0))
    axes.spines[:].set_visible(True)
    if size > NUMBERED:
        return
    style: dict[str, Any] = {"ha": "center", "va": "center_baseline", "fontsize": min(7.5, 38 * side / size)}
    for row, column in zip(*numpy.nonzero(numpy.abs(finite) > 0.5), strict=True):
        colour = "#ffffff" if cells[row, column, 3] > 0.72 else STRONG
        text = f"{finite[row, column]:.0f}".replace("-", "\N{MINUS SIGN}")
        axes.text(column + 0.5, row + 0.5, text, color=colour, **style)


def _name_classes(axes: Axes, row: ConfusionRow, rows_too: bool, columns_too: bool) -> None:
    size = len(row.classes)
    places = range(size) if size <= NAMED else range(0, size, -(-size // 10))
    names = [row.label(place) for place in places]
    ticks = [place + 0.5 for place in places]
    fontsize = 8 if size <= NUMBERED else 5.5
    axes.set_yticks(ticks, names if rows_too else [""] * len(names), fontsize=fontsize)
    columns_too = columns_too and size <= NUMBERED
    axes.set_xticks(ticks, names if columns_too else [""] * len(names), rotation=90, fontsize=fontsize)
    axes.tick_params(length=0, pad=2, colors=RULE, labelcolor=INK)
