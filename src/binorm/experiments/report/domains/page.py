"""The report of an experiment over several domains: one page, its Markdown twin and the numbers as JSON."""

import dataclasses
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from binorm.experiments.common.files import write_bytes_atomically, write_text_atomically
from binorm.experiments.recipes.domains import BASELINES
from binorm.experiments.report import tables
from binorm.experiments.report.domains import explanations, gate_pictures
from binorm.experiments.report.domains import notes as remarks
from binorm.experiments.report.domains.comparisons import Comparison, leading, method_comparisons, norm_comparisons
from binorm.experiments.report.domains.confusions import Confusions, confusions
from binorm.experiments.report.domains.gates import GateComparison, gate_comparisons
from binorm.experiments.report.domains.grid import PAGE_TASKS, Grid, grid
from binorm.experiments.report.domains.notes import NOUNS
from binorm.experiments.report.domains.pictures import confusion_pictures, feature_pictures
from binorm.experiments.report.domains.published import PublishedRow, published_rows
from binorm.experiments.report.domains.rows import DomainRow, Scores, domain_rows
from binorm.experiments.report.figure_style import DARK, norm_colours
from binorm.experiments.report.origins import origins
from binorm.experiments.report.page import COST_EXPLANATION, CURVES_EXPLANATION
from binorm.experiments.report.pictures import Picture, learning_curves, samples
from binorm.experiments.report.rendering import environment, finite_or_null
from binorm.experiments.report.statistics import PairedDifference
from binorm.experiments.report.tables import BEST_ON_VALIDATION, LAST_EPOCH, Cost, Failure
from binorm.experiments.runs.domains import (
    MIXED,
    DomainRun,
    Task,
    kind_of,
    main_runs,
    method_label,
    methods_of,
    of,
    read_domain_runs,
    single_runs,
    tasks_of,
)
from binorm.experiments.runs.reading import RunResult

COUNTED = 100  # classes: the counts of more would make report.json hard to open


@dataclass(frozen=True)
class DomainReport:
    """What `write_domain_report` wrote.

    Attributes:
        title: of the recipe.
        summary: one sentence: what was compared, on what.
        statistics: one sentence: how batch statistics were formed; empty before a run has finished.
        kind: ``"adaptation"``, ``"generalization"`` or ``"mixed"``.
        schedule: ``"short schedule: 5 of 164 epochs"`` where runs are shorter than their recipe, else None.
        best_label: what the best epoch is called, by what chose it.
        tasks: the columns.
        rows: the accuracies, by method and norm.
        single_rows: those of networks of single domains, beside mixed training.
        published: what others report of the same tasks and methods.
        norms: every norm against batch norm, for each method; BIN first.
        methods: every method against the baseline, for each norm.
        gates: how much style the networks take out, by norm.
        costs: by method, then norm.
        notes: what a reader must know before believing the table.
        failures: the runs that did not finish.
        html: the page; ``markdown`` and ``json`` lie beside it.
    """

    title: str
    summary: str
    statistics: str
    kind: str
    schedule: str | None
    best_label: str
    tasks: tuple[Task, ...]
    rows: tuple[DomainRow, ...]
    single_rows: tuple[DomainRow, ...]
    published: tuple[PublishedRow, ...]
    norms: tuple[Comparison, ...]
    methods: tuple[Comparison, ...]
    gates: tuple[GateComparison, ...]
    costs: dict[str, tuple[Cost, ...]]
    notes: tuple[str, ...]
    failures: tuple[Failure, ...]
    html: Path
    markdown: Path
    json: Path

    @property
    def validated(self) -> bool:
        """Whether the best epochs know nothing of the pictures that they are measured on, so that they are shown."""
        return self.best_label == BEST_ON_VALIDATION

    def grid(self, transposed: bool, singles: bool = False) -> Grid:
        """The table, or that of the networks of single domains, with tasks as columns or as rows."""
        rows, published = (self.single_rows, ()) if singles else (self.rows, self.published)
        return grid(rows, published, self.tasks, NOUNS[self.kind], self.validated, transposed)


def write_domain_report(folder: Path) -> DomainReport:
    """Report on the runs in ``folder``: ``report.html``, ``report.md``, ``report.json`` and ``figures/``.

    They lie in ``<method>/<task>/<norm>/seed<k>/``, and those of mixed training in ``<norm>/seed<k>/``, with
    ``only-<domain>/<norm>/seed<k>/`` beside them.

    Raises:
        UserError: there are no runs, a file of a finished run is missing or damaged, runs are of several kinds, or the
            report cannot be written.
    """
    runs = read_domain_runs(folder)
    report = _report(folder, runs)
    found = confusions(runs, report.tasks)
    plain = [each.run for each in main_runs(runs)]
    pictures = {
        "confusions": confusion_pictures(found, report.schedule),
        "features": feature_pictures(runs, report.tasks, report.schedule),
        "gate_lines": gate_pictures.depths_and_shares(report.gates, report.schedule),
        "histograms": gate_pictures.histograms(report.gates, report.schedule),
        "curves": learning_curves(tables.finished(plain), report.schedule) if report.kind == MIXED else [],
        "samples": _samples(runs),
    }
    for picture in (picture for group in pictures.values() for picture in group):
        write_bytes_atomically(folder / "figures" / picture.file, picture.content)
    context = _context(report) | origins([each.run for each in runs]) | pictures
    write_text_atomically(report.markdown, environment(markdown=True).get_template("domains.md.jinja").render(context))
    write_text_atomically(report.json, json.dumps(_as_json(report, runs, found), indent=1, allow_nan=False) + "\n")
    write_text_atomically(report.html, environment().get_template("domains.html.jinja").render(context))
    return report


def _samples(runs: Sequence[DomainRun]) -> list[Picture]:
    """Samples of every domain: the training pictures of the first run only where their domain has no other sheet."""
    done = tables.finished(each.run for each in main_runs(runs))
    shown = {name for run in done for name in run.evaluation_sets}
    trained = {source for each in main_runs(runs) for source in each.sources}
    return [picture for picture in samples(done) if picture.file != "samples-train.png" or not trained <= shown]


def _report(folder: Path, runs: Sequence[DomainRun]) -> DomainReport:
    done = tables.finished(each.run for each in runs)
    kind, tasks, main = kind_of(runs), tasks_of(runs), main_runs(runs)
    rows = domain_rows(main, tasks) if done else ()
    data = str(done[0].record.data.get("name", "")) if done else ""
    return DomainReport(
        title=str(done[0].config.get("title", folder.name)) if done else folder.name,
        summary=remarks.summary(runs, tasks),
        statistics=remarks.statistics_sentence(runs),
        kind=kind,
        schedule=tables.schedule_label(done),
        best_label=tables.best_label([each.run for each in main]),
        tasks=tasks,
        rows=rows,
        single_rows=domain_rows(single_runs(runs), tasks) if done else (),
        published=published_rows(kind, data, [(row.method, row.norm) for row in rows], tasks),
        norms=norm_comparisons(rows, tasks),
        methods=method_comparisons(rows, tasks, BASELINES.get(kind)),
        gates=gate_comparisons(runs),
        costs={method: tables.costs(of(runs, method)) for method in methods_of(runs)},
        notes=remarks.notes(runs, tasks),
        failures=remarks.failures(runs),
        html=folder / "report.html",
        markdown=folder / "report.md",
        json=folder / "report.json",
    )


def _context(report: DomainReport) -> dict[str, Any]:
    """What the templates show besides the pictures."""
    transposed = len(report.tasks) > PAGE_TASKS
    rows = (*report.rows, *report.single_rows)
    norms = list(dict.fromkeys(row.norm for row in rows))
    return {
        "report": report,
        "grid": report.grid(transposed) if report.rows else None,
        "single_grid": report.grid(transposed, singles=True) if report.single_rows else None,
        "comparisons": {
            "What the norm changes": report.norms,
            "What the method changes": report.methods,
        },
        "sentences": [each.sentence(NOUNS[report.kind]) for each in leading(report.norms)],
        "by_label": _by_label,
        "reach": _reach,
        "explanations": explanations,
        "cost_explanation": COST_EXPLANATION,
        "curves_explanation": CURVES_EXPLANATION,
        "method_label": method_label,
        "remarks": list(dict.fromkeys(row.remark for row in report.published)),
        "noun": NOUNS[report.kind],
        "colours": {norm: (light, DARK[light]) for norm, light in norm_colours(norms).items()},
        "last_epoch": LAST_EPOCH,
    }


def _by_label(comparisons: Sequence[Comparison]) -> dict[str, list[Comparison]]:
    """Those of the same two norms side by side, or of the same two methods."""
    groups: dict[str, list[Comparison]] = {}
    for each in comparisons:
        groups.setdefault(each.label, []).append(each)
    return groups


def _reach(tests: Iterable[PairedDifference | None]) -> float:
    """The farthest from 0 that an interval goes; 0 without intervals."""
    bounds = [abs(bound) for test in tests if test for bound in (test.low, test.high) if math.isfinite(bound)]
    return max(bounds, default=0.0)


def _as_json(report: DomainReport, runs: Sequence[DomainRun], found: Sequence[Confusions]) -> Any:
    """The report's numbers and those of each run, without paths of this machine; what is not finite becomes null."""
    entries = {key: value for key, value in dataclasses.asdict(report).items() if not isinstance(value, Path)}
    for name in ("rows", "single_rows"):
        entries[name] = [_row_as_json(row, report.tasks) for row in getattr(report, name)]
    entries["confusions"] = [
        {
            "method": each.method,
            "domain": each.domain,
            "tasks": each.tasks,
            "classes": each.classes,
            "recognized": {norm: each.percent(norm).diagonal().tolist() for norm in each.counts},
            "counts": {norm: counts.tolist() for norm, counts in each.counts.items()}
            if len(each.classes) <= COUNTED
            else None,
        }
        for each in found
    ]
    entries["runs"] = [_run_as_json(each, each.run) for each in runs if isinstance(each.run, RunResult)]
    return finite_or_null(entries)


def _row_as_json(row: DomainRow, tasks: Sequence[Task]) -> dict[str, Any]:
    scores = {task.label: _scores_as_json(cell) for task, cell in zip(tasks, row.cells, strict=True)}
    mean = _scores_as_json(row.mean) if row.mean else None
    return {"method": row.method, "norm": row.norm, "tasks": scores, "mean": mean}


def _scores_as_json(scores: Scores) -> dict[str, Any]:
    return {
        "started": scores.started,
        "last": dataclasses.asdict(scores.last_spread),
        "best": dataclasses.asdict(scores.best_spread),
        "last_by_seed": scores.last,
        "best_by_seed": scores.best,
    }


def _run_as_json(each: DomainRun, run: RunResult) -> dict[str, Any]:
    return {
        "method": each.method,
        "task": each.task,
        "norm": run.norm,
        "seed": run.seed,
        "last": {name: run.accuracies(name)[-1] for name in run.evaluation_sets},
        "best": {name: tables.best_accuracy(run, name) for name in run.evaluation_sets},
        "record": dataclasses.asdict(run.record),
    }
