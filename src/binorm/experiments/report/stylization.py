"""The report of the style trainings of one style: losses by norm, the paper's order, gates, and what is drawn."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from binorm.experiments.common.text import listed, seeds_text
from binorm.experiments.report import drawings, published
from binorm.experiments.report.data import remarks
from binorm.experiments.report.drawings import by_epoch
from binorm.experiments.report.figures.image import image_sheet
from binorm.experiments.report.figures.lines import Line, loss_curves
from binorm.experiments.report.figures.theme import norm_colours
from binorm.experiments.report.gates import share_text
from binorm.experiments.report.notes import failures, machines, notes, origins, schedule_label
from binorm.experiments.report.page import Block, Figure, Gallery, Heading, Page, Section, Text
from binorm.experiments.report.parts.style_claims import (
    Claim,
    StyleRow,
    alike,
    conclusion,
    digits_of,
    paper_claims,
    style_row,
)
from binorm.experiments.report.parts.style_gates import (
    GateRow,
    gate_histograms,
    gate_rows,
    gate_sentence,
    read_classifier,
)
from binorm.experiments.report.scores import Scores, finished, leaders, norms_of, scores_of
from binorm.experiments.report.significance import number
from binorm.experiments.report.table import Cell, Head, Row, Table
from binorm.experiments.runs.reading import LOSSES, FinishedRun, Run, read_runs
from binorm.experiments.style.picture_files import read_picture

LOSSES_TEXT = (
    "Losses are unweighted and relative: content is the squared error of features over their squared norm, style that "
    "of Gram matrices, the mean over layers; variation is the mean squared difference of neighbouring pixels. "
    "Mean ± sample standard deviation over seeds. Bold is the lowest mean of content and style, by chance or not."
)
CURVES_TEXT = (
    "Lines are means over seeds, bands ± one standard deviation, and numbers are those of the table. "
    "Axes are linear and fitted to what comes after the first fifth of training."
)
PUBLISHED_TEXT = (
    "Losses of Nam & Kim (NeurIPS 2018), read off the curves of their figure of style transfer, content within "
    f"{published.LOSSES['content'].tolerance} and style within {published.LOSSES['style'].tolerance}. Their units are "
    "not those above, and they name neither network nor weights: only the order of norms can be compared."
)
GATES_TEXT = (
    "Share of channels in ten equal bins: a gate of 1 is batch norm and keeps a picture's own style, a gate of 0 is "
    "instance norm and takes it out. Gates of all runs together."
)
POINTS = 200  # of a line, each the mean over as many periods as that takes
ORIGINAL, STYLIZED = "original", "-stylized"


def read_page(folder: Path, classifier: Path | None = None) -> Page:
    """The report on the runs in ``folder/<norm>/seed<k>/``.

    Args:
        folder: ``runs/style/<style>``.
        classifier: the folder of a run with ``gates.json``, whose gates stand beside those of the style networks.

    Raises:
        UserError: there are no runs, a file of a finished run is missing or damaged, or the classifier has no gates.
    """
    runs = read_runs(folder, "<norm>/seed<k>/ there, as `binorm compare style` writes them")
    done, schedule = finished(runs), schedule_label(runs, "steps")
    scores = Scores(scores_of(runs))
    rows = [style_row(scores, norm) for norm in norms_of(runs)] if done else []
    gates = gate_rows(done, read_classifier(classifier) if classifier else None)
    sections = [
        *(_loss_sections(done, rows, schedule) if done else []),
        Section("Gates at the end of training", _gate_blocks(done, gates, schedule) if gates else []),
        Section("Pictures", [Gallery(figures, "wide")] if (figures := sheets(done)) else []),
        *origins(runs),
    ]
    style = str(done[0].record.data["style"]["name"]) if done else folder.name
    title = f"{done[0].config.get('title', 'Style transfer')}: {style}" if done else style
    entries: dict[str, Any] = {
        "title": title,
        "summary": _summary(runs),
        "schedule": schedule,
        "period": _periods(done),
    }
    entries |= _entries(rows, gates) | {"failures": failures(runs)}
    entries["runs"] = [
        {"norm": run.norm, "seed": run.seed, "last": {name: each[-1] for name, each in run.metrics.items()}}
        | {"record": run.record}
        for run in done
    ]
    warned, about = notes(runs), remarks(runs)
    entries |= {"notes": warned, "remarks": about}
    return Page(title, _summary(runs), sections, entries, schedule, warned, finished=bool(done), remarks=about)


def _summary(runs: Sequence[Run]) -> str:
    done = finished(runs)
    if not done:
        return f"None of {len(runs)} runs has finished yet."
    data = dict.fromkeys(
        f"{number(run.record.data['train'], 0)} photographs of {run.record.data.get('name', 'unknown data')}"
        for run in done
    )
    widths = dict.fromkeys(f"{run.config.get('width', '?')} channels" for run in done)
    steps = listed(f"{each:,}" for each in sorted({run.config["steps"] for run in done}))
    return (
        f"{listed(norms_of(runs))} in a style network of {listed(widths)} at full size that learns "
        f"{listed(dict.fromkeys(run.record.data['style']['picture'] for run in done))} on {listed(data)}, {steps} "
        f"steps, {seeds_text({run.seed for run in done})}, {machines(done)}."
    )


def _periods(runs: Sequence[FinishedRun]) -> list[int]:
    """How many of the last iterations the losses are means over; several where runs differ."""
    ends = [list(run.losses("total"))[-2:] for run in runs]
    return sorted({each[-1] - sum(each[:-1]) for each in ends})


def _loss_sections(runs: Sequence[FinishedRun], rows: Sequence[StyleRow], schedule: str | None) -> list[Section]:
    claims = paper_claims(rows)
    last = f"last {' or '.join(map(str, _periods(runs)))} iterations"
    label = f" {schedule.capitalize()}." if schedule else ""
    losses: list[Block] = [loss_table(rows, f"losses, {last}"), Text(LOSSES_TEXT + label, "soft")]
    order: list[Block] = [Text(conclusion(rows, claims), terminal=True), _claim_table(claims)]
    order += [Gallery(loss_figures(runs, rows, schedule)), Text(CURVES_TEXT, "soft")]
    order += [Heading("The paper's figures", "by iterations; other units than above"), _published_table()]
    order.append(Text(PUBLISHED_TEXT, "soft"))
    return [Section(f"Losses, {last}", losses), Section("The paper's order of norms", order)]


def loss_table(rows: Sequence[StyleRow], terminal: str) -> Table:
    """A loss is bold where no other is lower; not one of which less is not better, nor those of other lengths."""
    lowest = {}
    for loss in LOSSES:
        fair = loss in published.LOSSES and alike(rows)
        flags = leaders([row.spread(loss).mean for row in rows], digits_of(rows, loss), lowest=True)
        lowest[loss] = [fair and flag for flag in flags]
    lines = []
    for place, row in enumerate(rows):
        losses = [Cell(row.spread(loss).text(digits_of(rows, loss)), strong=lowest[loss][place]) for loss in LOSSES]
        rest = (Cell(row.seconds.text(0)), Cell(row.steps_text))
        lines.append(Row(Head(row.norm, (row.runs_text,), norm=row.norm), (*losses, *rest)))
    return Table(
        "norm", (*map(Head, LOSSES), Head("seconds", ("a run",)), Head("steps")), tuple(lines), terminal=terminal
    )


def _claim_table(claims: Sequence[Claim]) -> Table:
    rows = [
        Row(Head(each.text), (Cell(each.answer, strong=True), Cell(each.figures, (each.by_seed,)))) for each in claims
    ]
    heads = (Head(words=True), Head("here", words=True))
    return Table("the paper's curves", heads, tuple(rows), terminal="the paper's order of norms")


def _published_table() -> Table:
    heads, columns = [], []
    for name, loss in published.LOSSES.items():
        unit = "" if loss.unit == "1" else f" × {loss.unit}"
        heads += [Head(f"{each // 1000}k", group=f"{name}{unit}") for each in published.ITERATIONS]
        columns.append(loss.values)
    rows = [
        Row(Head(norm), tuple(Cell(number(value, 2)) for values in columns for value in values[norm]))
        for norm in columns[0]
    ]
    return Table("norm", tuple(heads), tuple(rows), "soft")


def _gate_blocks(runs: Sequence[FinishedRun], rows: Sequence[GateRow], schedule: str | None) -> list[Block]:
    lines = []
    for row in rows:
        ends = [share_text(row.shares.fractions[place]) for place in (0, -1)]
        cells = map(Cell, (number(row.shares.count, 0), number(row.shares.mean, 2), *ends))
        lines.append(
            Row(Head(row.part or row.task, ("" if row.part else row.name,), quiet=bool(row.part)), tuple(cells))
        )
    heads = tuple(map(Head, ("gates", "mean", "below 0.1", "above 0.9")))
    motionless = {row.name for row in rows if row.motionless}
    moved = [run for run in runs if run.norm not in motionless]
    return [
        Text(gate_sentence(rows), terminal=True),
        Text(GATES_TEXT, "soft"),
        Table("network", heads, tuple(lines)),
        Gallery([*gate_histograms(rows, schedule), *drawings.gate_layers(moved, schedule)]),
    ]


def _entries(rows: Sequence[StyleRow], gates: Sequence[GateRow]) -> dict[str, Any]:
    """For report.json."""
    claims = paper_claims(rows) if rows else ()
    losses = [vars(row) | {"spread": {loss: row.spread(loss) for loss in LOSSES}} for row in rows]
    return {
        "rows": losses,
        "claims": claims,
        "conclusion": conclusion(rows, claims) if rows else "",
        "gates": gates,
        "gates_text": gate_sentence(gates),
        "published": {"iterations": published.ITERATIONS, "losses": published.LOSSES},
    }


def loss_figures(runs: Sequence[FinishedRun], rows: Sequence[StyleRow], note: str | None) -> list[Figure]:
    """The paper's figure: content loss and style loss over iterations, a line a norm."""
    colours = norm_colours(norms_of(runs))
    drawn: list[Figure] = []
    for loss in published.LOSSES:
        curves = {norm: [thinned(run.losses(loss)) for run in finished(runs, norm)] for norm in colours}
        lines = [Line(norm, colour, by_epoch(curves[norm])) for norm, colour in colours.items()]
        if not any(len(line.values) > 1 for line in lines):
            continue  # a single period is no curve
        ends = {row.norm: row.spread(loss).mean for row in rows if row.runs}
        digits = digits_of(rows, loss)
        numbers = {norm: number(ends[norm], digits) for norm in sorted(ends, key=lambda norm: -ends[norm])}
        content = loss_curves(f"{loss} loss", lines, numbers, note)
        drawn.append(Figure(f"{loss}-loss.svg", f"{loss.capitalize()} loss by iteration", content))
    return drawn


def sheets(runs: Sequence[FinishedRun]) -> list[Figure]:
    """One sheet: a row for each photograph, the original and a column for each norm, of its lowest seed.

    Raises:
        UserError: where a file is no picture.
    """
    first = {norm: finished(runs, norm)[0] for norm in norms_of(runs)}
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
    return [Figure("pictures.webp", caption, image_sheet(columns))]


def thinned(values: Mapping[int, float]) -> dict[int, float]:
    """At most `POINTS` means over neighbouring periods, each at the mean of its steps."""
    entries = sorted(values.items())
    size = max(1, -(-len(entries) // POINTS))
    groups = [entries[start : start + size] for start in range(0, len(entries), size)]
    return {
        round(statistics.fmean(step for step, _ in group)): statistics.fmean(value for _, value in group)
        for group in groups
    }


def _shown(runs: Mapping[str, FinishedRun], name: str) -> Path | None:
    """The file of the first run that has it."""
    return next((run.samples[name] for run in runs.values() if name in run.samples), None)


def _pixels(path: Path | None) -> NDArray[numpy.uint8] | None:
    return None if path is None else read_picture(path).pixels
