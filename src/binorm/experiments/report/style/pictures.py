"""Which figures of a style report are drawn from which runs: losses over iterations, and photographs by norm."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy

from binorm.experiments.report import tables
from binorm.experiments.report.figures.image import image_sheet
from binorm.experiments.report.figures.lines import Line, loss_curves
from binorm.experiments.report.figures.theme import norm_colours
from binorm.experiments.report.pictures import Picture, by_epoch
from binorm.experiments.report.rendering import listed, seeds_text
from binorm.experiments.report.statistics import number
from binorm.experiments.report.style.rows import StyleRow, digits_of
from binorm.experiments.runs.reading import RunResult
from binorm.experiments.runs.styles import curve
from binorm.experiments.style.picture_files import read_picture

CURVES = ("content", "style")
POINTS = 200  # of a line, each the mean over as many periods as that takes
ORIGINAL, STYLIZED = "original", "-stylized"


def loss_pictures(runs: Sequence[RunResult], rows: Sequence[StyleRow], note: str | None) -> list[Picture]:
    """The paper's figure: content loss and style loss over iterations, a line a norm."""
    colours = norm_colours(tables.norms_of(runs))
    pictures: list[Picture] = []
    for loss in CURVES if runs else ():
        curves = {norm: [thinned(curve(run, loss)) for run in tables.finished(runs, norm)] for norm in colours}
        lines = [Line(norm, colour, by_epoch(curves[norm])) for norm, colour in colours.items()]
        ends = {row.norm: row.spread(loss).mean for row in rows if row.runs}
        digits = digits_of(rows, loss)
        numbers = {norm: number(ends[norm], digits) for norm in sorted(ends, key=lambda norm: -ends[norm])}
        content = loss_curves(f"{loss} loss", lines, numbers, note)
        pictures.append(Picture(f"{loss}-loss.svg", f"{loss.capitalize()} loss by iteration", content))
    return pictures


def sheets(runs: Sequence[RunResult]) -> list[Picture]:
    """One sheet: a row for each photograph, the original and a column for each norm, of its lowest seed.

    Raises:
        UserError: where a file is no picture.
    """
    first = {norm: tables.finished(runs, norm)[0] for norm in tables.norms_of(runs)}
    names = sorted({name.removesuffix(STYLIZED) for run in first.values() for name in run.samples})
    # A photograph without any stylization, or the other way round, has nothing to be compared with.
    names = [name for name in names if _shown(first, name) and _shown(first, name + STYLIZED)]
    if not names:
        return []
    columns = {ORIGINAL: [_pixels(_shown(first, name)) for name in names]}
    columns |= {norm: [_pixels(run.samples.get(name + STYLIZED)) for name in names] for norm, run in first.items()}
    seeds = {run.seed for run in first.values()}
    makers = f"{seeds_text(seeds)} of each norm makes"
    if len(seeds) > 1:
        makers = f"{listed(f'{norm} seed {run.seed}' for norm, run in first.items())} make"
    caption = f"{', '.join(names)}: the photographs and what {makers} of them"
    return [Picture("pictures.webp", caption, image_sheet(columns))]


def thinned(values: Mapping[int, float]) -> dict[int, float]:
    """At most `POINTS` means over neighbouring periods, each at the mean of its steps."""
    entries = sorted(values.items())
    size = max(1, -(-len(entries) // POINTS))
    groups = [entries[start : start + size] for start in range(0, len(entries), size)]
    return {
        round(statistics.fmean(step for step, _ in group)): statistics.fmean(value for _, value in group)
        for group in groups
    }


def _shown(runs: Mapping[str, RunResult], name: str) -> Path | None:
    """The file of the first run that has it."""
    return next((run.samples[name] for run in runs.values() if name in run.samples), None)


def _pixels(path: Path | None) -> numpy.ndarray | None:
    return None if path is None else read_picture(path).pixels
