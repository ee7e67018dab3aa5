"""The report of one recipe that trains a classifier: norms beside each other on every evaluation set."""

import math
import textwrap
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from binorm.experiments.common.text import listed, seeds_text
from binorm.experiments.recipes.base import VALIDATION
from binorm.experiments.report import drawings, gates
from binorm.experiments.report.data import overlap_sentences, overlaps, remarks, step_text
from binorm.experiments.report.figures.theme import Output
from binorm.experiments.report.gates import Shares, share_text
from binorm.experiments.report.movement import still_norms
from binorm.experiments.report.notes import failures, machines, notes, origins, run_title, schedule_label
from binorm.experiments.report.page import Block, Figure, Gallery, Heading, Page, Section, Text
from binorm.experiments.report.parts.shifted import ShiftedRow, shifted_entries, shifted_rows, shifted_section
from binorm.experiments.report.scores import (
    BASELINE,
    BEST_ON_VALIDATION,
    JOULES,
    LAST_EPOCH,
    OPERATIONS,
    SECONDS,
    SPEED,
    Scores,
    best_accuracy,
    best_label,
    corrected_verdict,
    evaluation_sets,
    finished,
    holm_of,
    norms_of,
    row_entries,
    scores_of,
    to_baseline,
)
from binorm.experiments.report.significance import number, signed, spread
from binorm.experiments.report.table import Cell, Head, Row, Table, drawn, reach
from binorm.experiments.report.texts import (
    COST,
    COUNTED_OPERATIONS,
    CURVES,
    DEVELOPMENT,
    FLATTERS,
    GATE_SHARES,
    PUBLISHED_GATES,
    RESPONSES,
    SPREAD,
)
from binorm.experiments.runs.reading import FinishedRun, Run, read_runs


def read_page(folder: Path, classifier: Path | None = None) -> Page:
    """The report on the runs in ``folder/<norm>/seed<k>/``.

    Raises:
        UserError: there are no runs, or a file of a finished run is missing or damaged.
    """
    runs = read_runs(folder)
    done, schedule = finished(runs), schedule_label(runs)
    shifted = _shifted_rows(runs)
    sections = [
        Section("Top-1 accuracy, %", _accuracies(runs, schedule)),
        shifted_section(done, shifted),
        Section("Cost", [Text(cost_text(runs), "soft"), cost_table(runs)] if done else []),
        figure_section("Learning curves", drawings.curves(done, schedule), CURVES),
        *_gate_sections(done, schedule),
        figure_section("What the channels with the lowest gates see", drawings.responses(done), RESPONSES),
        figure_section("Samples", drawings.samples(done), look="own"),
        *origins(runs),
    ]
    title = run_title(done[0], folder.name) if done else folder.name
    entries = {"title": title, "summary": _summary(runs), "schedule": schedule, "best_label": best_label(runs)}
    return Page(
        title,
        _summary(runs),
        sections,
        entries | _entries(runs) | {"shifted": shifted_entries(shifted)},
        schedule,
        notes(runs),
        remarks=remarks(runs),
        finished=bool(done),
    )


def print_figures(folder: Path, output: Output) -> tuple[list[Figure], list[FinishedRun]]:
    """Learning curves, and gates as `gate_figures` draws them, with the finished runs that they show."""
    runs = finished(read_runs(folder))
    moved = [run for run in runs if run.norm not in still_norms(runs)]
    return [*drawings.curves(runs, None, output), *gate_figures(moved, output)], runs


def gate_figures(runs: Sequence[FinishedRun], output: Output) -> list[Figure]:
    """For print: histograms beside the paper's, means by layer and stage, and their development."""
    return [
        *drawings.histogram_panels(runs, output),
        *drawings.gate_layers(runs, None, output),
        *drawings.gate_means(runs, None, output),
        *drawings.gate_strips(runs, None, output),
    ]


def _summary(runs: Sequence[Run]) -> str:
    done = finished(runs)
    if not done:
        return f"None of {len(runs)} runs has finished yet."
    lengths = sorted({run.config["epochs"] for run in done})
    networks = dict.fromkeys(run.config.get("model", "unknown network") for run in done)
    data = dict.fromkeys(run.data_label for run in done)
    return (
        f"{listed(norms_of(runs))} in {listed(networks)} on {listed(data)} "
        f"({number(done[0].record.data['train'], 0)} training pictures), "
        f"{listed(lengths)} epoch{'s' * (lengths != [1])}, {seeds_text({run.seed for run in done})}, {machines(done)}."
    )


def _accuracies(runs: Sequence[Run], schedule: str | None) -> list[Block]:
    """A table for each evaluation set."""
    scores, label = Scores(scores_of(runs)), best_label(runs)
    blocks: list[Block] = []
    for data in evaluation_sets(runs):
        # The number of pictures, unless runs disagree, which a note then says.
        sizes = {run.record.evaluation.get(data, 0) for run in finished(runs)}
        size = f"{number(next(iter(sizes)), 0)} pictures" if len(sizes) == 1 and all(sizes) else ""
        step = step_text(sizes.pop()) if len(sizes) == 1 else ""
        blocks.append(Heading(data, " · ".join(filter(None, (size, step, schedule)))))
        blocks.append(_accuracy_table(scores, norms_of(runs), data, label, f"{size}: {step}" if step else ""))
        blocks += [Text(each) for each in _untested(scores, norms_of(runs), data)]
    if blocks:
        blocks += [Text(each) for each in overlap_sentences(overlaps(runs))]
        blocks.append(Text(SPREAD + ("" if label == BEST_ON_VALIDATION else FLATTERS), "soft"))
    return blocks


def _untested(scores: Scores, norms: Sequence[str], data: str) -> list[str]:
    """A sentence where norms that have finished cannot be tested against the baseline."""
    others = [norm for norm in norms if norm != BASELINE and scores.group(norm, data).last]
    lacking = [norm for norm in others if to_baseline(scores, norm, data) is None]
    return [no_test(lacking)] if lacking and scores.group(BASELINE, data).last else []


def _shifted_rows(runs: Sequence[Run]) -> tuple[ShiftedRow, ...]:
    """A row a norm, over all evaluation sets but the one to choose by."""
    places = [("", data) for data in evaluation_sets(runs) if data != VALIDATION]
    return shifted_rows(Scores(scores_of(runs)), [("", norm) for norm in norms_of(runs)], places)


def no_test(norms: Sequence[str]) -> str:
    """That norms have too few runs beside the baseline's."""
    return f"Fewer than two seeds have finished with {BASELINE} and with {listed(norms)}: no test is possible."


def _accuracy_table(scores: Scores, norms: Sequence[str], data: str, label: str, few: str) -> Table:
    """One row a norm; ``few`` says what a picture is worth where there are few."""
    tests = {norm: to_baseline(scores, norm, data) for norm in norms}
    p_values = dict(zip(tests, holm_of(list(tests.values())), strict=True))
    scale = reach(list(tests.values()))
    columns = (
        Head(LAST_EPOCH),
        Head(drawn=True),
        Head(f"difference to {BASELINE}", (f"{LAST_EPOCH}, 95 % interval",)),
        Head(*_lines(label), quiet=True),
    )
    rows = []
    for norm, test in tests.items():
        group = scores.group(norm, data)
        words = ", ".join(filter(None, (corrected_verdict(test, p_values[norm]), test.p_text()))) if test else ""
        difference = Cell(signed(test.mean, 2), (test.interval_text(), words)) if test else Cell()
        last, best = Cell(group.last_spread.text(), strong=True), Cell(group.best_spread.text(), quiet=True)
        rows.append(Row(Head(norm, (group.runs_text,), norm=norm), (last, drawn(test, scale), difference, best)))
    return Table("norm", columns, tuple(rows), "cards", terminal=", ".join(filter(None, (data, few, "top-1 %"))))


def _lines(label: str) -> tuple[str, tuple[str, ...]]:
    """A label in lines that leave room for the other columns of a terminal."""
    first, *rest = textwrap.wrap(label, 14)
    return first, tuple(rest)


def costs(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """What each norm with a finished run takes: training pictures a second in the median epoch, and by run the rest."""
    scores = Scores(scores_of(runs))
    found = []
    for norm in norms_of(runs):
        for first in finished(runs, norm)[:1]:
            record = first.record
            found.append({"norm": norm, "parameters": record.parameters, "gates": record.gates})
            for name, metric in _COSTS.items():
                if values := scores.all_values(metric, norm):
                    found[-1][name] = spread(values)
    return found


_COSTS = {"images_per_second": SPEED, "seconds": SECONDS, "operations": OPERATIONS, "joules": JOULES}
_UNITS = {  # heading, unit, size of the unit
    "operations": ("operations", "10¹² a run", 1e12),
    "joules": ("CPU energy", "kJ a run", 1e3),
}


def cost_table(runs: Sequence[Run], group: str = "") -> Table:
    """Parameters, gates, speed and time by norm; operations and energy where runs say them."""
    heads = [Head("parameters"), Head("gates"), Head("training", ("pictures/s",)), Head("seconds", ("a run",))]
    heads += [Head(heading, (unit,)) for name, (heading, unit, _) in _UNITS.items() if name in measured_costs(runs)]
    return Table("norm", tuple(heads), tuple(cost_rows(runs, group, measured_costs(runs))), "full")


def cost_rows(runs: Sequence[Run], group: str = "", measured: Collection[str] = ()) -> list[Row]:
    """One row a norm; ``group`` stands above them, and ``measured`` says what of `_UNITS` has a column."""
    rows = []
    for cost in costs(runs):
        counts = [number(cost[name], 0) for name in ("parameters", "gates")]
        seconds = cost["seconds"].text(0 if cost["seconds"].mean >= 100 else 1)
        texts = [*counts, cost["images_per_second"].text(0), seconds]
        for name, (_, _, unit) in _UNITS.items():
            if name in measured:
                mean = cost[name].mean / unit if name in cost else math.nan
                texts.append("–" if math.isnan(mean) else number(mean, 0 if mean >= 100 else 1))
        rows.append(Row(Head(cost["norm"], norm=cost["norm"], group=group), tuple(map(Cell, texts))))
    return rows


def cost_text(runs: Sequence[Run]) -> str:
    """What the table of costs shows."""
    return COST + COUNTED_OPERATIONS * bool(measured_costs(runs))


def measured_costs(runs: Sequence[Run]) -> set[str]:
    """What of operations and energy any run says."""
    return {name for cost in costs(runs) for name in _UNITS if name in cost}


def _gate_sections(runs: Sequence[FinishedRun], schedule: str | None) -> list[Section]:
    by_norm, motionless = gates.gates_by_norm(runs), still_norms(runs)
    if not by_norm:
        return []
    paper = f" {PUBLISHED_GATES}" if any(map(gates.references, by_norm.values())) else ""
    blocks: list[Block] = [Text(GATE_SHARES + paper, "soft")]
    for norm, groups in by_norm.items():
        said = motionless.get(norm)
        text = Text(f"{norm}: {said}", terminal=True) if said else Text(gates.summary(groups))
        blocks += [Heading(norm, norm=norm), text, _gate_table(groups)]
    moved = [run for run in runs if run.norm not in motionless]
    blocks.append(Gallery(drawings.histograms(moved, schedule), "small"))
    draws = (drawings.gate_layers, drawings.gate_means, drawings.gate_strips)
    return [
        Section("Gates at the end of training", blocks),
        figure_section(
            "Gates by layer and over training", [each for draw in draws for each in draw(moved, schedule)], DEVELOPMENT
        ),
    ]


def _gate_table(groups: Mapping[str, Shares]) -> Table:
    """One row a stage, with the paper's figures in small letters."""
    heads = ("gates", "mean", "0 to 0.1", "0.9 to 1", "these two together")
    paper = gates.references(groups)
    rows = []
    for stage, group in groups.items():
        beside = _share_texts(paper[stage].shares) if stage in paper else [""] * 4
        cells = [Cell(text, (small,)) for text, small in zip(_share_texts(group), beside, strict=True)]
        head = Head(stage, (f"paper, {paper[stage].label}",) if stage in paper else ())
        rows.append(Row(head, (Cell(number(group.count, 0)), *cells)))
    return Table("stage", tuple(map(Head, heads)), tuple(rows), "full")


def _share_texts(group: Shares) -> list[str]:
    return [number(group.mean, 2), *map(share_text, (group.fractions[0], group.fractions[-1], group.ends))]


def figure_section(heading: str, figures: Sequence[Figure], explanation: str = "", look: str = "") -> Section:
    """Figures under a heading; nothing without any."""
    text = [Text(explanation, "soft")] if explanation else []
    return Section(heading, [*text, Gallery(figures, look)] if figures else [])


def _entries(runs: Sequence[Run]) -> dict[str, Any]:
    """For report.json."""
    scores, done = Scores(scores_of(runs)), finished(runs)
    return {
        "rows": [row_entries(scores, norm, data) for data in evaluation_sets(runs) for norm in norms_of(runs)],
        "costs": costs(runs),
        "notes": notes(runs),
        "remarks": remarks(runs),
        "overlaps": overlaps(runs),
        "failures": failures(runs),
        "gates": gates.gates_by_norm(done),
        "motionless_gates": still_norms(done),
        "runs": [{"norm": run.norm, "seed": run.seed} | run_entries(run) for run in done],
    }


def run_entries(run: FinishedRun) -> dict[str, Any]:
    """The accuracies and the record of one run, for report.json."""
    return {
        "last": {name: run.accuracies(name)[-1] for name in run.evaluation_sets},
        "best": {name: best_accuracy(run, name) for name in run.evaluation_sets},
        "record": run.record,
    }
