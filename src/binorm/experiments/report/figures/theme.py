"""How figures look and are written: for a page in light and dark, or for print.

On a page, text stays text and lines stay few, so a figure takes some kilobytes. The background is transparent and each
colour has a lighter twin for dark pages, which a style sheet inside the figure picks, so that one file serves both.
For print, a figure is one column wide or two, has no title, and carries its letters with it. Equal data, equal files.
"""

import io
import itertools
import warnings
from collections.abc import Sequence
from colorsys import hls_to_rgb, rgb_to_hls
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.text import printable
from binorm.experiments.models.norms import NORMS

INK = "#5c6670"
STRONG = "#1c2126"  # letters on a coloured ground
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
# For what is neither norm nor stage: neighbours in this order are far apart in hue, also for the colour-blind.
_CLASSES = ("#3b3f8f", "#8a6d00", "#b35c95", "#009e73", "#d55e00", "#0072b2", "#7a4a2a", "#6b6b6b")


def _lighter(colour: str) -> str:
    """The same hue as it shows on a dark page."""
    hue, _, saturation = rgb_to_hls(*to_rgb(colour))
    return to_hex(hls_to_rgb(hue, 0.7, saturation))


_NORM_TWINS = {norm.colour: _lighter(norm.colour) for norm in NORMS.values()}  # of those that the palette lacks
DARK = {INK: "#a3adb8", STRONG: "#e6e9ec", RULE: "#3a424b", **_NORM_TWINS, **_COLOURS}
FORMATS = ("pdf", "svg", "png")
COLUMN_WIDTH = 3.35  # inches: one column of a two-column page
FULL_WIDTH = 6.9  # inches: both columns
PAGE_WIDTH = 9.0  # inches, of figures that span a report's page
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
# What would make files of equal data differ, or say no more than that matplotlib drew them.
_NO_METADATA: dict[str, dict[str, Any]] = {
    "svg": dict.fromkeys(("Date", "Creator", "Format", "Type")),
    "pdf": dict.fromkeys(("CreationDate", "Creator", "Producer")),
    "png": {"Software": None},
}
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
_PRINT_STYLE: dict[Any, Any] = {
    **_STYLE,
    "svg.fonttype": "path",  # an SVG cannot embed a font that every program reads
    "pdf.fonttype": 42,  # TrueType: publishers refuse Type 3
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "savefig.facecolor": "white",
    "savefig.dpi": 300,
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor"), "#1a1a1a"),
    **dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color"), "#8a8a8a"),
    "grid.color": "#d9d9d9",
}


@dataclass(frozen=True)
class Output:
    """Where a figure goes.

    Attributes:
        format: the ending of its file: svg, pdf or png.
        in_print: as wide as a column or two, with its fonts and without its title, instead of for the report's page.
    """

    format: str
    in_print: bool

    def style(self) -> AbstractContextManager[None]:
        """The settings to draw and to save in."""
        return mpl.rc_context(_PRINT_STYLE if self.in_print else _STYLE)


SCREEN = Output("svg", in_print=False)


def for_print(file_format: str) -> Output:
    """What a publication takes.

    Raises:
        UserError: for a format other than pdf, svg and png.
    """
    if file_format not in FORMATS:
        raise UserError(f"the format of figures should be one of {', '.join(FORMATS)} (got {file_format!r})")
    return Output(file_format, in_print=True)


def norm_colours(norms: Sequence[str]) -> dict[str, str]:
    """A colour for each norm: that of its record in every report; norms without one follow by name."""
    colours = {norm.name: norm.colour for norm in NORMS.values()}
    colours |= _dealt(sorted(set(norms) - NORMS.keys()), list(reversed(_COLOURS)))
    return {norm: colour for norm, colour in colours.items() if norm in norms}


def class_colours(count: int) -> list[str]:
    """A colour for each of so many classes or domains; beyond the palette, hues that show on light and dark pages."""
    if count <= len(_CLASSES):
        return list(_CLASSES[:count])
    return [to_hex(hls_to_rgb(place / count, 0.52, 0.62)) for place in range(count)]


def series_colours(labels: Sequence[str], first: str, colour: str) -> dict[str, str]:
    """A colour for each of several lines or bars: ``colour`` for the label ``first``, grey and others for the rest."""
    others = [label for label in labels if label != first]
    return {first: colour} | _dealt(others, [each for each in reversed(_COLOURS) if each != colour])


def stage_colours(stages: Sequence[str]) -> dict[str, str]:
    """A colour for each stage of a network, from the end of the palette that norms reach last."""
    return _dealt(stages, list(reversed(_COLOURS)))


def _dealt(names: Sequence[str], palette: Sequence[str]) -> dict[str, str]:
    return dict(zip(names, itertools.cycle(palette), strict=False))


def new_figure(
    title: str,
    note: str | None,
    output: Output,
    size: tuple[float, float],
    print_height: float,
    print_width: float = COLUMN_WIDTH,
) -> tuple[Figure, float]:
    """An empty figure, without pyplot, which would keep it in a global list.

    Args:
        title: at the upper left of a figure on a page.
        note: below it.
        output: where the figure goes.
        size: in inches, on a page.
        print_height: in inches, in print.
        print_width: likewise; one column, unless it is given.

    Returns:
        The figure, and how many inches its title takes at the top.
    """
    if output.in_print:
        return Figure(figsize=(print_width, print_height)), 0.08
    width, height = size
    figure = Figure(figsize=size)
    heading = shorten(title, max(44, int(9.2 * width)))
    figure.text(0.06 / width, 1 - 0.05 / height, heading, va="top", fontsize=10, fontweight="bold")
    if note:
        figure.text(0.06 / width, 1 - 0.24 / height, note, va="top", fontsize=8, fontstyle="italic")
    return figure, 0.5


def new_chart(
    title: str,
    note: str | None,
    output: Output,
    right: float,
    above: float = 0.0,
    foot: float | None = None,
    print_height: float = 2.3,
) -> tuple[Figure, Axes]:
    """A figure of the usual size with one pair of axes, ruled at the heights of its ticks.

    Args:
        title: as in `new_figure`, as are ``note`` and ``output``.
        note: see there.
        output: see there.
        right: inches to the right of the axes, for names.
        above: inches between the title and the axes.
        foot: inches below the axes, if more than a line of numbers and a label take.
        print_height: in inches, in print.
    """
    figure, head = new_figure(title, note, output, (4.8, 3.2), print_height)
    axes = add_axes(figure, 0.56, foot or (0.4 if output.in_print else 0.52), right, head + above)
    axes.grid(axis="y")
    axes.spines["left"].set_visible(False)
    return figure, axes


def add_axes(figure: Figure, left: float, bottom: float, right: float, top: float) -> Axes:
    """Axes at distances in inches from the four sides of the figure."""
    width, height = figure.get_size_inches()
    return figure.add_axes(
        (left / width, bottom / height, (width - left - right) / width, (height - bottom - top) / height)
    )


def name_series(axes: Axes, names: Sequence[tuple[str, str]], left: float) -> None:
    """Texts with their colours below each other, to the right of the axes, ``left`` of whose widths from their left."""
    height = axes.get_window_extent().height / axes.figure.dpi  # inches
    style: dict[str, Any] = {"transform": axes.transAxes, "fontweight": "bold", "va": "center"}
    for place, (text, colour) in enumerate(names):
        axes.text(left, 1 - (0.1 + 0.17 * place) / height, text, color=colour, **style)


def shorten(text: str, length: int) -> str:
    """``text``, which may come from outside, as it can be shown in one line of at most ``length`` characters."""
    text = printable(text)
    return text if len(text) <= length else f"{text[: length - 1]}…"


def encode(figure: Figure, output: Output) -> bytes:
    """The figure's file; on a page, one ``<svg>`` element, which stands there as well as in a file of its own."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # Matplotlib measures with its own font; the reader's fonts, which draw the text on a page, know more scripts.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support .* natively")
        metadata = _NO_METADATA[output.format]
        figure.savefig(buffer, format=output.format, transparent=not output.in_print, metadata=metadata)
    if output.in_print:
        return buffer.getvalue()
    text = buffer.getvalue().decode()
    svg = text[text.index("<svg") :].replace("font-family: 'DejaVu Sans'; ", "")
    return svg.replace("</style>", f" text{{font-family: {_FONT}}}{_dark_style(svg)}</style>", 1).encode()


def _dark_style(svg: str) -> str:
    """Rules that give every colour in the figure its lighter twin where the reader prefers dark pages."""
    rules = [
        f'[style*="{kind}: {light}"]{{{kind}: {dark} !important}}'
        for light, dark in DARK.items()
        for kind in ("fill", "stroke")
        if f"{kind}: {light}" in svg
    ]
    return f" @media (prefers-color-scheme: dark){{{' '.join(rules)}}}"
