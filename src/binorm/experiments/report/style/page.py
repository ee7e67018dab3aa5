"""The report of the style trainings of one style: one page, its Markdown twin and the numbers as JSON."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from binorm.experiments.common.files import write_bytes_atomically, write_text_atomically
from binorm.experiments.report import gate_pictures, tables
from binorm.experiments.report.figures.theme import DARK, norm_colours
from binorm.experiments.report.origins import origins
from binorm.experiments.report.rendering import environment, finite_or_null, listed, seeds_text
from binorm.experiments.report.statistics import number
from binorm.experiments.report.style import published
from binorm.experiments.report.style.gates import GateRow, gate_histograms, gate_rows, gate_sentence, read_classifier
from binorm.experiments.report.style.pictures import loss_pictures, sheets
from binorm.experiments.report.style.rows import (
    Claim,
    StyleRow,
    conclusion,
    digits_of,
    lowest,
    paper_claims,
    style_rows,
)
from binorm.experiments.report.tables import Failure, Run
from binorm.experiments.runs.styles import LOSSES, curve, read_style_runs, schedule_label

LOSSES_EXPLANATION = (
    "Losses are unweighted and relative: content is the squared error of features over their squared norm, style that "
    "of Gram matrices, the mean over layers; variation is the mean squared difference of neighbouring pixels. "
    "Mean ± sample standard deviation over seeds. Bold is the lowest mean of content and style, by chance or not."
)
CURVES_EXPLANATION = (
    "Lines are means over seeds, bands ± one standard deviation, and numbers are those of the table. "
    "Axes are linear and fitted to what comes after the first fifth of training."
)
PUBLISHED_EXPLANATION = (
    "Losses of Nam & Kim (NeurIPS 2018), read off the curves of their figure of style transfer, content within "
    f"{published.LOSSES['content'].tolerance} and style within {published.LOSSES['style'].tolerance}. Their units are "
    "not those above, and they name neither network nor weights: only the order of norms can be compared."
)
GATES_EXPLANATION = (
    "Share of channels in ten equal bins: a gate of 1 is batch norm and keeps a picture's own style, a gate of 0 is "
    "instance norm and takes it out. Gates of all runs together."
)


@dataclass(frozen=True)
class StyleReport:
    """What `write_style_report` wrote.

    Attributes:
        title: of the recipe, and the style.
        summary: one sentence: what was compared, on what.
        schedule: ``"short schedule: 2,000 of 40,000 steps"`` where runs are shorter than their recipe, else None.
        period: how many of the last iterations the losses of ``rows`` are means over; several where runs differ.
        rows: by norm.
        claims: what the paper's curves show, and whether it is so here; empty before a run has finished.
        conclusion: in words.
        gates: where they stand; empty where none were learned.
        gates_text: in words.
        notes: what a reader must know before believing the table.
        failures: the runs that did not finish.
        html: the page; ``markdown`` and ``json`` lie beside it.
    """

    title: str
    summary: str
    schedule: str | None
    period: tuple[int, ...]
    rows: tuple[StyleRow, ...]
    claims: tuple[Claim, ...]
    conclusion: str
    gates: tuple[GateRow, ...]
    gates_text: str
    notes: tuple[str, ...]
    failures: tuple[Failure, ...]
    html: Path
    markdown: Path
    json: Path

    @property
    def last(self) -> str:
        """``"last 100 iterations"``."""
        return f"last {' or '.join(map(str, self.period))} iterations"

    def text(self, row: StyleRow, loss: str) -> str:
        """A loss of a row as mean ± std, with as many digits as its column takes."""
        return row.spread(loss).text(digits_of(self.rows, loss))

    def lowest(self, loss: str) -> str:
        """The norm with the lowest mean; nothing for a loss of which less is not better."""
        return lowest(self.rows, loss) if loss in published.LOSSES else ""


def write_style_report(folder: Path, classifier: Path | None = None) -> StyleReport:
    """Report on the runs in ``folder/<norm>/seed<k>/``: ``report.html``, ``report.md``, ``report.json``, ``figures/``.

    Args:
        folder: ``runs/style/<style>``.
        classifier: the folder of a run with ``gates.json``, whose gates stand beside those of the style networks.

    Raises:
        UserError: there are no runs, a file of a finished run is missing or damaged, the classifier has no gates, or
            the report cannot be written.
    """
    runs = read_style_runs(folder)
    done = tables.finished(runs)
    report = _report(folder, runs, read_classifier(classifier) if classifier else None)
    pictures = {
        "curves": loss_pictures(done, report.rows, report.schedule),
        "histograms": gate_histograms(report.gates, report.schedule),
        "layers": gate_pictures.layers(done, report.schedule),
        "sheets": sheets(done),
    }
    for picture in (picture for group in pictures.values() for picture in group):
        write_bytes_atomically(folder / "figures" / picture.file, picture.content)
    context = _context(report) | origins(runs) | pictures
    write_text_atomically(report.markdown, environment(markdown=True).get_template("style.md.jinja").render(context))
    write_text_atomically(report.json, json.dumps(_as_json(report, runs), indent=1, allow_nan=False) + "\n")
    write_text_atomically(report.html, environment().get_template("style.html.jinja").render(context))
    return report


def _report(folder: Path, runs: Sequence[Run], classifier: GateRow | None) -> StyleReport:
    done = tables.finished(runs)
    rows = style_rows(runs) if done else ()
    claims = paper_claims(rows) if done else ()
    gates = gate_rows(done, classifier)
    style = str(done[0].record.data["style"]["name"]) if done else folder.name
    periods = [list(curve(run, "total"))[-2:] for run in done]
    return StyleReport(
        title=f"{done[0].config.get('title', 'Style transfer')}: {style}" if done else style,
        summary=_summary(runs),
        schedule=schedule_label(runs),
        period=tuple(sorted({each[-1] - sum(each[:-1]) for each in periods})),
        rows=rows,
        claims=claims,
        conclusion=conclusion(rows, claims) if done else "",
        gates=gates,
        gates_text=gate_sentence(gates),
        notes=tables.notes(runs),
        failures=tables.failures(runs),
        html=folder / "report.html",
        markdown=folder / "report.md",
        json=folder / "report.json",
    )


def _summary(runs: Sequence[Run]) -> str:
    done = tables.finished(runs)
    if not done:
        return f"None of {len(runs)} runs has finished yet."
    machines = {str(run.record.machine.get("gpu") or run.record.machine.get("cpu")) for run in done}
    data = dict.fromkeys(
        f"{number(run.record.data['train'], 0)} photographs of {run.record.data.get('name', 'unknown data')}"
        for run in done
    )
    widths = dict.fromkeys(f"{run.config.get('width', '?')} channels" for run in done)
    steps = listed(f"{each:,}" for each in sorted({run.config["steps"] for run in done}))
    return (
        f"{listed(tables.norms_of(runs))} in a style network of {listed(widths)} at full size that learns "
        f"{listed(dict.fromkeys(run.record.data['style']['picture'] for run in done))} on {listed(data)}, {steps} "
        f"steps, {seeds_text({run.seed for run in done})}, on {listed(sorted(machines))}."
    )


def _context(report: StyleReport) -> dict[str, Any]:
    """What the templates show besides the pictures."""
    norms = list(dict.fromkeys([row.norm for row in report.rows] + list(published.LOSSES["content"].values)))
    return {
        "report": report,
        "losses": LOSSES,
        "published": published,
        "losses_explanation": LOSSES_EXPLANATION,
        "curves_explanation": CURVES_EXPLANATION,
        "published_explanation": PUBLISHED_EXPLANATION,
        "gates_explanation": GATES_EXPLANATION,
        "colours": {norm: (light, DARK[light]) for norm, light in norm_colours(norms).items()},
    }


def _as_json(report: StyleReport, runs: Sequence[Run]) -> Any:
    """The report's numbers and those of each run, without paths of this machine; what is not finite becomes null."""
    entries = {key: value for key, value in dataclasses.asdict(report).items() if not isinstance(value, Path)}
    entries["rows"] = [
        dataclasses.asdict(row) | {"spread": {loss: dataclasses.asdict(row.spread(loss)) for loss in LOSSES}}
        for row in report.rows
    ]
    entries["published"] = {
        "iterations": published.ITERATIONS,
        "losses": {name: dataclasses.asdict(loss) for name, loss in published.LOSSES.items()},
    }
    entries["runs"] = [
        {
            "norm": run.norm,
            "seed": run.seed,
            "last": {name: column[-1] for name, column in run.metrics.items()},
            "record": dataclasses.asdict(run.record),
        }
        for run in tables.finished(runs)
    ]
    return finite_or_null(entries)
