"""The report of an experiment over several domains: accuracies by task, what norms and methods change, and why."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from binorm.experiments.recipes.domains import BASELINES
from binorm.experiments.report import drawings, texts
from binorm.experiments.report.classification import (
    cost_rows,
    cost_table,
    cost_text,
    costs,
    figure_section,
    measured_costs,
    no_test,
    run_entries,
)
from binorm.experiments.report.data import overlap_sentences, remarks
from binorm.experiments.report.figures.theme import Output
from binorm.experiments.report.notes import failures, origins, run_title, schedule_label
from binorm.experiments.report.page import Block, Details, Figure, Gallery, Heading, Listing, Page, Section, Text
from binorm.experiments.report.parts import domain_gates
from binorm.experiments.report.parts.domain_confusions import Confusions, confusion_figures, confusions
from binorm.experiments.report.parts.domain_features import DRAWN_TASKS, feature_figures
from binorm.experiments.report.parts.domain_gates import GateComparison, gate_comparisons
from binorm.experiments.report.parts.domain_notes import (
    NOUNS,
    batch_statistics,
    domain_notes,
    few_pictures,
    set_overlaps,
    summary,
)
from binorm.experiments.report.parts.domain_rows import (
    DomainRow,
    accuracy_table,
    domain_rows,
    method_comparisons,
    norm_comparisons,
)
from binorm.experiments.report.parts.published_domains import PublishedRow, published_rows
from binorm.experiments.report.parts.shifted import shifted_entries, shifted_rows, shifted_section
from binorm.experiments.report.scores import (
    BEST_ON_VALIDATION,
    LAST_EPOCH,
    Comparison,
    Group,
    Scores,
    best_label,
    finished,
    leading,
    scores_of,
)
from binorm.experiments.report.significance import number, signed
from binorm.experiments.report.table import Cell, Head, Row, Table, drawn, reach
from binorm.experiments.runs.domains import (
    GENERALIZATION,
    MIXED,
    Task,
    kind_of,
    main_runs,
    methods_of,
    read_domain_runs,
    tasks_of,
)
from binorm.experiments.runs.reading import FinishedRun, Run, method_label

COUNTED = 100  # classes: the counts of more would make report.json hard to open


def read_page(folder: Path, classifier: Path | None = None) -> Page:
    """The report on the runs in ``folder``.

    They lie in ``<method>/<task>/<norm>/seed<k>/``, and those of mixed training in ``<norm>/seed<k>/``, with
    ``only-<domain>/<norm>/seed<k>/`` beside them.

    Raises:
        UserError: there are no runs, a file of a finished run is missing or damaged, or runs are of several kinds.
    """
    runs = read_domain_runs(folder)
    done, main, tasks, kind = finished(runs), main_runs(runs), tasks_of(runs), kind_of(runs)
    singles = [run for run in runs if run not in main]
    schedule, label, noun = schedule_label(done), best_label(main), NOUNS[kind]
    rows, single_rows = (domain_rows(each, tasks) if done else () for each in (main, singles))
    data = str(done[0].record.data.get("name", "")) if done else ""
    reported = published_rows(kind, data, [(row.method, row.norm) for row in rows], tasks)
    by_norm, by_method = norm_comparisons(rows, tasks), method_comparisons(rows, tasks, BASELINES.get(kind))
    gates, found = gate_comparisons(runs), confusions(runs, tasks)
    places = [(task.folder, task.evaluation) for task in tasks]
    shifted = shifted_rows(Scores(scores_of(main)), [(row.method, row.norm) for row in rows], places)
    curved = finished(main) if kind == MIXED else []
    sections = [
        Section(
            f"Top-1 accuracy, %, {LAST_EPOCH}",
            [
                *_accuracies(rows, reported, tasks, kind, label == BEST_ON_VALIDATION),
                *map(Text, _untested(by_norm)),
                *_singles(single_rows, tasks, kind, label == BEST_ON_VALIDATION),
                *_about_sets(runs, tasks),
            ],
        ),
        Section("What the norm changes", _comparisons(by_norm, noun, leading(by_norm))),
        Section("What the method changes", _comparisons(by_method, noun, by_method)),
        shifted_section(done, shifted, f"mean of {len(tasks)} {noun}s" if len(tasks) > 1 else ""),
        figure_section("What is taken for what", confusion_figures(found, schedule), texts.CONFUSIONS, "wide"),
        figure_section(
            "Where the pictures of the domains lie", feature_figures(runs, tasks, schedule), _features(tasks, kind)
        ),
        Section("How much style is removed", _gates(gates, schedule)),
        figure_section("Learning curves", drawings.curves(curved, schedule), texts.CURVES),
        figure_section("Samples", _samples(main)),
        Section("Cost", _costs(runs) if done else []),
        *origins(runs),
    ]
    title = run_title(done[0], folder.name) if done else folder.name
    fact, notes, said = batch_statistics(runs), domain_notes(runs, tasks), remarks(runs)
    entries = {
        "title": title,
        "summary": summary(runs, tasks),
        "statistics": fact,
        "kind": kind,
        "schedule": schedule,
        "best_label": label,
        "tasks": tasks,
        "rows": [_row_entries(row, tasks) for row in rows],
        "single_rows": [_row_entries(row, tasks) for row in single_rows],
        "published": reported,
        "norms": by_norm,
        "methods": by_method,
        "shifted": shifted_entries(shifted),
        "gates": gates,
        "costs": {method: costs([run for run in runs if run.method == method]) for method in methods_of(runs)},
        "notes": notes,
        "remarks": said,
        "overlaps": set_overlaps(runs, tasks),
        "failures": failures(runs),
        "confusions": list(map(_confusion_entries, found)),
        "runs": [
            {"method": run.method, "task": run.task, "norm": run.norm, "seed": run.seed} | run_entries(run)
            for run in done
        ],
    }
    return Page(title, summary(runs, tasks), sections, entries, schedule, notes, fact, bool(done), remarks=said)


def print_figures(folder: Path, output: Output) -> tuple[list[Figure], list[FinishedRun]]:
    """What is taken for what, maps of features, gates, and in mixed training learning curves, with the finished runs.

    Raises:
        UserError: as `read_page` does.
    """
    runs = read_domain_runs(folder)
    tasks, gates = tasks_of(runs), gate_comparisons(runs)
    figures = [
        *drawings.curves(finished(main_runs(runs)) if kind_of(runs) == MIXED else [], None, output),
        *confusion_figures(confusions(runs, tasks), None, output),
        *feature_figures(runs, tasks, None, output),
        *domain_gates.depths_and_shares(gates, None, output),
        *domain_gates.histogram_panels(gates, output),
    ]
    return figures, finished(runs)


def _accuracies(
    rows: Sequence[DomainRow], reported: Sequence[PublishedRow], tasks: Sequence[Task], kind: str, validated: bool
) -> list[Block]:
    if not rows:
        return []
    blocks: list[Block] = [Text(f"Small: {texts.CHOSEN[kind]}.", "soft", terminal=True)] if validated else []
    blocks.append(accuracy_table(rows, reported, tasks, NOUNS[kind], validated, f"top-1 %, {LAST_EPOCH}"))
    remarks = [f"In grey: {remark}." for remark in dict.fromkeys(row.remark for row in reported)]
    source = [texts.DOMAINBED] if validated and kind == GENERALIZATION else []
    blocks.append(Text(" ".join([texts.DOMAIN_TABLE, *source, *remarks]), "soft"))
    return blocks


def _untested(comparisons: Sequence[Comparison]) -> list[str]:
    """A sentence where no comparison of norms has two seeds."""
    lacking = dict.fromkeys(each.compared for each in comparisons if each.overall is None)
    return [no_test(list(lacking))] if lacking and all(each.overall is None for each in comparisons) else []


def _about_sets(runs: Sequence[Run], tasks: Sequence[Task]) -> list[Block]:
    """What a picture is worth where a set has few, and which test pictures are among the training pictures."""
    few = few_pictures(main_runs(runs), tasks)
    blocks: list[Block] = [Text(few, terminal=True)] if few else []
    return [*blocks, *map(Text, overlap_sentences(set_overlaps(runs, tasks)))]


def _singles(rows: Sequence[DomainRow], tasks: Sequence[Task], kind: str, validated: bool) -> list[Block]:
    if not rows:
        return []
    terminal = f"top-1 %, {LAST_EPOCH}, trained on a single domain"
    table = accuracy_table(rows, (), tasks, NOUNS[kind], validated, terminal)
    return [Heading("Trained on a single domain"), table, Text(texts.SINGLE_DOMAINS, "soft")]


def _comparisons(comparisons: Sequence[Comparison], noun: str, main: Sequence[Comparison]) -> list[Block]:
    """Some in words, a table of all, and below it one for each pair of norms or methods with a row for each task."""
    if not comparisons:
        return []
    scale = reach([each.overall for each in comparisons])
    columns = (
        Head("mean", ("95 % interval",)),
        Head(drawn=True),
        Head("verdict"),
        Head(f"{noun}s", ("where higher",)),
    )
    table = Table("difference", columns, tuple(_comparison_row(each, scale) for each in comparisons))
    blocks: list[Block] = [Listing([each.sentence(noun) for each in main], terminal=True)]
    blocks += [table, Text(texts.DOMAIN_DIFFERENCES, "soft")]
    if len(comparisons[0].tasks) > 1:
        by_label: dict[str, list[Comparison]] = {}
        for each in comparisons:
            by_label.setdefault(each.label, []).append(each)
        tables = [_task_table(label, group) for label, group in by_label.items()]
        blocks.append(Details(f"By {noun}", [Text(texts.BY_TASK, "soft"), *tables]))
    return blocks


def _comparison_row(each: Comparison, scale: float) -> Row:
    test = each.overall
    p_values = "; ".join(filter(None, (test.p_text(), each.holm_text))) if test and test.p_text() else ""
    lower = ", ".join(filter(None, (f"lower in {each.signs.below}", each.signs.p_text())))
    cells = (
        Cell(signed(each.mean, 2), (test.interval_text(),) if test else ()),
        drawn(test, scale),
        Cell(each.verdict, (p_values,)),
        Cell(f"{each.signs.above} of {each.paired}", (lower,)),
    )
    return Row(Head(each.label, (f"with {each.within}",) if each.within else ()), cells)


def _task_table(label: str, group: Sequence[Comparison]) -> Table:
    scale = reach([task.test for each in group for task in each.tasks])
    heads = [head for each in group for head in (Head(f"with {each.within}" if each.within else ""), Head(drawn=True))]
    rows = []
    for tasks in zip(*(each.tasks for each in group), strict=True):
        cells = []
        for task in tasks:
            small = (task.test.interval_text(), task.holm_text) if task.test else ()
            cells += [Cell(signed(task.mean, 2) if task.pairs else "–", small), drawn(task.test, scale)]
        rows.append(Row(Head(tasks[0].label), tuple(cells)))
    return Table(label, tuple(heads), tuple(rows), "tasks")


def _features(tasks: Sequence[Task], kind: str) -> str:
    limited = kind != MIXED and len(tasks) > DRAWN_TASKS
    return texts.FEATURES + f" Only the first {DRAWN_TASKS} {NOUNS[kind]}s are drawn." * limited


def _gates(comparisons: Sequence[GateComparison], schedule: str | None) -> list[Block]:
    if not comparisons:
        return []
    blocks: list[Block] = [
        Text(sentence, terminal=bool(found.motionless)) for found in comparisons for sentence in found.sentences()
    ]
    blocks += [Text(texts.DOMAIN_GATES, "soft"), Gallery(domain_gates.depths_and_shares(comparisons, schedule))]
    for found in comparisons:
        small = "share of gates below 0.5 in %, mean ± std over runs; small: mean gate"
        blocks += [Heading(found.norm, small, found.norm), _gate_table(found)]
    outlines = [f" Outlines: {found.reference.label}." for found in comparisons if found.reference][:1]
    small_print = Text(texts.GATE_SHARES + "".join(outlines), "soft")
    figures = Gallery(domain_gates.histograms(comparisons, schedule), "small")
    return [*blocks, Details("Histograms of gates", [small_print, figures])]


def _gate_table(found: GateComparison) -> Table:
    stages = list(found.groups[0].shares)
    rows = []
    for group in found.groups:
        cells = [
            Cell(group.below[stage].text(1), (number(group.shares[stage].mean, 2),))
            if stage in group.shares
            else Cell("–")
            for stage in stages
        ]
        rows.append(Row(Head(group.label, (drawings.runs_text(group.runs),)), tuple(cells)))
    return Table("trained as", tuple(map(Head, stages)), tuple(rows))


def _samples(runs: Sequence[Run]) -> list[Figure]:
    """Samples of every domain: the training pictures of the first run only where their domain has no other sheet."""
    done = finished(runs)
    evaluated = {name for run in done for name in run.evaluation_sets}
    trained = {source for run in runs for source in run.sources}
    sheets = drawings.samples(done)
    return [sheet for sheet in sheets if sheet.file != "samples-train.png" or not trained <= evaluated]


def _costs(runs: Sequence[Run]) -> list[Block]:
    table = cost_table(runs)
    rows = [
        row
        for method in methods_of(runs)
        for row in cost_rows([run for run in runs if run.method == method], method_label(method), measured_costs(runs))
    ]
    return [Text(cost_text(runs), "soft"), replace(table, rows=tuple(rows))]


def _row_entries(row: DomainRow, tasks: Sequence[Task]) -> dict[str, Any]:
    scores = {task.label: _group_entries(cell) for task, cell in zip(tasks, row.cells, strict=True)}
    mean = _group_entries(row.mean) if row.mean else None
    return {"method": row.method, "norm": row.norm, "tasks": scores, "mean": mean}


def _group_entries(group: Group) -> dict[str, Any]:
    return {
        "started": group.started,
        "last": group.last_spread,
        "best": group.best_spread,
        "last_by_seed": group.last,
        "best_by_seed": group.best,
    }


def _confusion_entries(each: Confusions) -> dict[str, Any]:
    return {
        "method": each.method,
        "domain": each.domain,
        "tasks": each.tasks,
        "classes": each.classes,
        "recognized": {norm: each.percent(norm).diagonal() for norm in each.counts},
        "counts": each.counts if len(each.classes) <= COUNTED else None,
    }
