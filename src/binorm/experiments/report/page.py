"""The report of a comparison: one page, its Markdown twin and the numbers as JSON, from run folders alone."""

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.files import write_bytes_atomically, write_text_atomically
from binorm.experiments.report import gate_pictures, gate_statistics, tables
from binorm.experiments.report.figures.theme import DARK, norm_colours
from binorm.experiments.report.origins import origins
from binorm.experiments.report.pictures import learning_curves, responses, samples
from binorm.experiments.report.published import GATES
from binorm.experiments.report.rendering import environment, finite_or_null, listed, seeds_text
from binorm.experiments.report.statistics import number
from binorm.experiments.report.tables import BASELINE, BEST_ON_VALIDATION, LAST_EPOCH, Cost, Failure, Row, Run
from binorm.experiments.runs.reading import RunResult, find_runs, read_run

EXPLANATION = (
    "Mean ± sample standard deviation over runs. The last epoch is the main figure. Differences are paired by seed; "
    "their 95 % intervals and p-values are those of the paired t-test, not corrected for the number of comparisons. "
)
FLATTERS = "A best epoch that is chosen on the test set knows the labels it is measured on, so it flatters."
CURVES_EXPLANATION = (
    "Lines are means over runs, bands ± one standard deviation, and the number is the mean of the last epoch. "
    "Axes are fitted to what comes after the first fifth of training."
)
COST_EXPLANATION = "Speeds are what these runs saw, whatever else the machine did; benchmarks/ compares side by side."
GATES_EXPLANATION = (
    "Share of channels in ten equal bins: a gate of 1 is batch norm, of 0 instance norm. Gates of all runs together."
)
PUBLISHED_GATES = (
    f"Outlines and grey figures are the paper's {GATES.network}, read off its figure within {GATES.tolerance}; "
    "its lower, middle and upper stage stand beside the three stages here. Its network and data need not be these."
)
DEVELOPMENT_EXPLANATION = (
    "Lines are means over runs, bands ± one standard deviation. "
    "In the strips, each column is the histogram after an epoch; epoch 0 is before training."
)
RESPONSES_EXPLANATION = (
    "Channels with low gates, and the pictures that they respond to most: the response of the norm before its "
    "activation with the gate as learned, at 0 (instance norm) and at 1 (batch norm), all other gates as learned."
)


@dataclass(frozen=True)
class Report:
    """What `write_report` wrote.

    Attributes:
        title: of the recipe.
        summary: one sentence: what was compared, on what.
        schedule: ``"short schedule: 5 of 164 epochs"`` where runs are shorter than their recipe, else None.
        best_label: what the best epoch is called, by what chose it.
        rows: the accuracies, by evaluation set, then norm.
        costs: by norm.
        notes: what a reader must know before believing the table.
        failures: the runs that did not finish.
        html: the page; ``markdown`` and ``json`` lie beside it.
    """

    title: str
    summary: str
    schedule: str | None
    best_label: str
    rows: tuple[Row, ...]
    costs: tuple[Cost, ...]
    notes: tuple[str, ...]
    failures: tuple[Failure, ...]
    html: Path
    markdown: Path
    json: Path


def write_report(folder: Path) -> Report:
    """Report on the runs in ``folder/<norm>/seed<k>/``: ``report.html``, ``report.md``, ``report.json``, ``figures/``.

    Raises:
        UserError: there are no runs, a file of a finished run is missing or damaged, or the report cannot be written.
    """
    runs = [read_run(path) for path in find_runs(folder)]
    if not runs:
        raise UserError(
            f"there are no runs in {folder}: expected <norm>/seed<k>/ there, as `binorm compare` writes them"
        )
    done = tables.finished(runs)
    report = Report(
        title=str(done[0].config.get("title", folder.name)) if done else folder.name,
        summary=_summary(runs),
        schedule=tables.schedule_label(runs),
        best_label=tables.best_label(runs),
        rows=tables.accuracy_rows(runs),
        costs=tables.costs(runs),
        notes=tables.notes(runs),
        failures=tables.failures(runs),
        html=folder / "report.html",
        markdown=folder / "report.md",
        json=folder / "report.json",
    )
    pictures = {
        "curves": learning_curves(done, report.schedule),
        "histograms": gate_pictures.histograms(done, report.schedule),
        "layers": gate_pictures.layers(done, report.schedule),
        "gate_curves": gate_pictures.curves(done, report.schedule),
        "gate_strips": gate_pictures.strips(done, report.schedule),
        "responses": responses(done),
        "samples": samples(done),
    }
    for picture in (picture for group in pictures.values() for picture in group):
        write_bytes_atomically(folder / "figures" / picture.file, picture.content)
    context = _context(report, runs) | origins(runs) | pictures
    write_text_atomically(report.markdown, environment(markdown=True).get_template("report.md.jinja").render(context))
    write_text_atomically(report.json, json.dumps(_as_json(report, runs), indent=1, allow_nan=False) + "\n")
    write_text_atomically(report.html, environment().get_template("report.html.jinja").render(context))
    return report


def console_table(report: Report) -> Table:
    """The accuracies of a report for the terminal, within 80 columns."""
    table = Table(
        title=Text(report.title), caption=Text(report.schedule) if report.schedule else None, box=box.SIMPLE_HEAD
    )
    table.add_column("top-1, %")
    for heading in ("runs", LAST_EPOCH, f"difference to {BASELINE}\n(95 % interval)", report.best_label):
        table.add_column(heading, justify="right")
    for evaluation in dict.fromkeys(row.evaluation for row in report.rows):
        table.add_section()
        table.add_row(Text(evaluation, style="bold"))
        for row in report.rows:
            if row.evaluation == evaluation:
                table.add_row(
                    Text(f"  {row.norm}"),
                    Text(row.runs_text),
                    Text(row.last.text(), style="bold"),
                    Text(row.difference.text() if row.difference else ""),
                    Text(row.best.text(), style="dim"),
                )
    return table


def _summary(runs: Sequence[Run]) -> str:
    done = tables.finished(runs)
    if not done:
        return f"None of {len(runs)} runs has finished yet."
    lengths = sorted({run.config["epochs"] for run in done})
    machines = {str(run.record.machine.get("gpu") or run.record.machine.get("cpu")) for run in done}
    trained = f"{number(done[0].record.data['train'], 0)} training pictures"
    networks = dict.fromkeys(run.config.get("model", "unknown network") for run in done)
    data = dict.fromkeys(run.record.data.get("name", "unknown data") for run in done)
    return (
        f"{listed(tables.norms_of(runs))} in {listed(networks)} on {listed(data)} ({trained}), "
        f"{listed(lengths)} epoch{'s' * (lengths != [1])}, {seeds_text({run.seed for run in done})}, "
        f"on {listed(sorted(machines))}."
    )


def _context(report: Report, runs: Sequence[Run]) -> dict[str, Any]:
    """What the templates show besides the pictures."""
    done = tables.finished(runs)
    sets = tables.evaluation_sets(runs)
    gates = gate_pictures.gates_by_norm(done)
    return {
        "report": report,
        "tables": {name: [row for row in report.rows if row.evaluation == name] for name in sets},
        "pictures_of": {name: _set_size(done, name) for name in sets},
        "reach": {name: _reach(report, name) for name in sets},
        "explanation": EXPLANATION + ("" if report.best_label == BEST_ON_VALIDATION else FLATTERS),
        "curves_explanation": CURVES_EXPLANATION,
        "gates": gates,
        "gate_summaries": {norm: gate_statistics.summary(groups) for norm, groups in gates.items()},
        "published_gates": {norm: gate_statistics.references(groups) for norm, groups in gates.items()},
        "gates_explanation": GATES_EXPLANATION,
        "published_gates_explanation": PUBLISHED_GATES,
        "development_explanation": DEVELOPMENT_EXPLANATION,
        "responses_explanation": RESPONSES_EXPLANATION,
        "cost_explanation": COST_EXPLANATION,
        "colours": {norm: (light, DARK[light]) for norm, light in norm_colours(tables.norms_of(runs)).items()},
        "baseline": BASELINE,
        "last_epoch": LAST_EPOCH,
        "best_epoch": report.best_label,
    }


def _set_size(runs: Sequence[RunResult], evaluation: str) -> int:
    """The pictures in an evaluation set; 0 where runs disagree, which a note then says."""
    sizes = {run.record.data["evaluation"].get(evaluation) for run in runs}
    return sizes.pop() or 0 if len(sizes) == 1 else 0


def _reach(report: Report, evaluation: str) -> float:
    """The farthest from 0 that an interval of the table goes; 0 without intervals."""
    differences = [row.difference for row in report.rows if row.evaluation == evaluation and row.difference]
    bounds = [abs(bound) for each in differences for bound in (each.low, each.high) if math.isfinite(bound)]
    return max(bounds, default=0.0)


def _as_json(report: Report, runs: Sequence[Run]) -> Any:
    """The report's numbers and those of each run, without paths of this machine; what is not finite becomes null."""
    entries = {key: value for key, value in dataclasses.asdict(report).items() if not isinstance(value, Path)}
    entries["gates"] = {
        norm: {stage: dataclasses.asdict(group) for stage, group in groups.items()}
        for norm, groups in gate_pictures.gates_by_norm(tables.finished(runs)).items()
    }
    entries["runs"] = [
        {
            "norm": run.norm,
            "seed": run.seed,
            "last": {name: run.accuracies(name)[-1] for name in run.evaluation_sets},
            "best": {name: tables.best_accuracy(run, name) for name in run.evaluation_sets},
            "record": dataclasses.asdict(run.record),
        }
        for run in tables.finished(runs)
    ]
    return finite_or_null(entries)
