"""The report on how networks and methods stand up to shifted pictures, from the results' folder alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from binorm.experiments.common.text import counted, listed
from binorm.experiments.report.data import step_text
from binorm.experiments.report.drawings import file_name
from binorm.experiments.report.figures.robustness import Block as MapBlock
from binorm.experiments.report.figures.robustness import Curve, difference_map, severity_curves
from binorm.experiments.report.figures.theme import series_colours
from binorm.experiments.report.notes import merge
from binorm.experiments.report.page import Block, Command, Details, Facts, Figure, Gallery, Heading, Page, Section, Text
from binorm.experiments.report.parts.robustness_scores import Group, Robustness, each_group
from binorm.experiments.report.significance import PairedDifference, holm, number, p_text, signed
from binorm.experiments.report.table import Cell, Head, Row, Table, drawn, reach
from binorm.experiments.report.texts import (
    ROBUSTNESS_CALIBRATION,
    ROBUSTNESS_COST,
    ROBUSTNESS_DIFFERENCES,
    ROBUSTNESS_MAP,
    ROBUSTNESS_SEVERITIES,
    ROBUSTNESS_TOP1,
)
from binorm.experiments.report.written import Written, write_page
from binorm.experiments.rescue.regimes import REGIMES
from binorm.experiments.rescue.robustness_folder import CLEAN
from binorm.experiments.shifts.catalog import GROUPS, SHIFTS

_BASELINE_COLOUR = "#6b6b6b"


def write_robustness(folder: Path, baseline: str | None = None) -> Written:
    """Write ``report.html``, ``report.md``, ``report.json`` and ``figures/`` into a folder of results.

    Args:
        folder: that `binorm robustness` wrote.
        baseline: ``model:method`` that all are held against; each network as it was trained unless it is given.

    Raises:
        UserError: if there are no results, a file is damaged, or the baseline is not among the candidates.
    """
    return write_page(robustness_page(Robustness(folder, baseline)), folder)


def robustness_page(measured: Robustness) -> Page:
    """The report of `write_robustness`."""
    sections = [
        Section("Top-1 accuracy, %", [top1_table(measured), Text(ROBUSTNESS_TOP1, "soft")]),
        Section("Differences to the baseline", _difference_blocks(measured)),
        Section("Where the differences come from", _figure_blocks(measured)),
        Section("Calibration and cost", [cost_table(measured), Text(ROBUSTNESS_CALIBRATION + ROBUSTNESS_COST, "soft")]),
        Section("Every shift", _shift_tables(measured)),
        Section("Methods", [Facts("", _method_texts(measured), wide=True)]),
        Section("How this was made", _origin_blocks(measured)),
    ]
    return Page(
        title=f"Robustness: {', '.join(measured.models)}",
        summary=_summary(measured),
        sections=sections,
        entries=_entries(measured),
        notes=_notes(measured),
        wide=True,
        remarks=[str(each) for each in measured.record.get("remarks", ())],
    )


def _summary(measured: Robustness) -> str:
    shifts = [counted(len(measured.shifts(kind)), GROUPS[kind]) for kind in measured.kinds]
    severity = "each picture at one severity in turn" if measured.severities is None else (
        f"{'severity' if len(measured.severities) == 1 else 'severities'} {listed(measured.severities)}"
    )  # fmt: skip
    what = f"{listed(shifts)}, {severity}" if shifts else "no shifts"
    methods = counted(len({group.method for group in measured.groups}), "method")
    return f"{methods} on {counted(len(measured.labels), 'labelled picture')}: {what}."


def top1_table(measured: Robustness) -> Table:
    """Means over shifts, a row a network and method."""
    columns = [Head(*_column_name(measured, name)) for name in measured.columns]
    has_mce = bool(measured.shifts("corruption"))
    columns += [Head("mCE", ("%",))] if has_mce else []
    best = {
        name: max(measured.top1(group, shifts).mean for group in measured.groups)
        for name, shifts in measured.columns.items()
    }
    rows = []
    for group in measured.groups:
        cells = []
        for name, shifts in measured.columns.items():
            top1 = measured.top1(group, shifts)
            spread = f"± {number(top1.std, 1)}" if top1.count > 1 else ""
            cells.append(Cell(number(top1.mean, 1), (spread,), strong=top1.mean == best[name]))
        cells += [Cell(_number(measured.mce(group)))] if has_mce else []
        rows.append(Row(_head(measured, group), tuple(cells)))
    return Table("", tuple(columns), tuple(rows), "full", terminal="top-1 %, means over shifts")


def _difference_blocks(measured: Robustness) -> list[Block]:
    groups = [group for group in measured.groups if measured.baseline(group) != group]
    if not groups:
        return []
    main = next(iter(measured.kinds), CLEAN)
    tests = {
        name: [measured.difference(group, shifts) for group in groups] for name, shifts in measured.columns.items()
    }
    scale = reach(tests[main])
    columns = [Head(*_column_name(measured, name)) for name in tests]
    columns.insert(0, Head("clean" if main == CLEAN else f"{GROUPS[main]}s", drawn=True))
    corrected = {name: holm([_p(each) for each in those]) for name, those in tests.items()}
    rows = []
    for place, group in enumerate(groups):
        cells = [drawn(tests[main][place], scale)]
        cells += [_difference(those[place], corrected[name][place]) for name, those in tests.items()]
        rows.append(Row(_head(measured, group), tuple(cells)))
    table = Table("", tuple(columns), tuple(rows), "full", terminal="difference to the baseline, points of top-1")
    baselines = dict.fromkeys(measured.baseline(group).id for group in measured.groups)
    return [Text(f"The baseline is {listed(baselines)}."), table, Text(ROBUSTNESS_DIFFERENCES, "soft")]


def _difference(test: PairedDifference | None, p_value: float) -> Cell:
    if test is None:
        return Cell()
    interval = "" if test.low != test.low else f"{signed(test.low, 1)} to {signed(test.high, 1)}"
    return Cell(signed(test.mean, 1), (interval, p_text(p_value)))


def _figure_blocks(measured: Robustness) -> list[Block]:
    blocks: list[Block] = []
    maps: list[Figure] = []
    curves: list[Figure] = []
    for model in measured.models if measured.kinds else []:
        groups = [group for group in measured.groups if group.model == model]
        others = [group for group in groups if measured.baseline(group) != group]
        if others:
            maps.append(_map(measured, model, others, maps))
        for kind in measured.kinds:
            colours = series_colours([each.id for each in groups], measured.baseline(groups[0]).id, _BASELINE_COLOUR)
            lines = [Curve(each.title, colours[each.id], measured.by_severity(each, kind)) for each in groups]
            name = f"{GROUPS[kind]}s, {model}"
            content = severity_curves(name, lines)
            file = file_name("severities", f"{kind} {model}", ".svg", curves)
            mean = f"mean of {counted(len(measured.shifts(kind)), GROUPS[kind])}"
            curves.append(Figure(file, f"Top-1 by severity, {mean}, {model}", content))
    if maps:
        blocks += [Gallery(maps, "wide"), Text(ROBUSTNESS_MAP, "soft")]
    if curves:
        blocks += [Heading("By severity"), Gallery(curves), Text(ROBUSTNESS_SEVERITIES, "soft")]
    return blocks


def _map(measured: Robustness, model: str, groups: Sequence[Group], earlier: Sequence[Figure]) -> Figure:
    def row(shifts: Sequence[str]) -> list[float]:
        return [measured.top1(group, shifts).mean - measured.top1(measured.baseline(group), shifts).mean
                for group in groups]  # fmt: skip

    blocks = [MapBlock("as they are", {CLEAN: row([CLEAN])})]
    for kind in measured.kinds:
        rows = {_readable(shift): row([shift]) for shift in measured.shifts(kind)}
        blocks.append(MapBlock(f"{GROUPS[kind]}s", {**rows, "mean": row(measured.shifts(kind))}))
    base = measured.baseline(groups[0])
    title = f"{model}: points above {base.title if base.model == model else base.id}"
    content = difference_map(title, [group.title for group in groups], blocks)
    return Figure(file_name("differences", model, ".svg", earlier), f"Differences by shift, {title}", content)


def cost_table(measured: Robustness) -> Table:
    """Calibration error, and what a picture costs."""
    shifts = list(measured.shifted)
    columns = [Head("ECE", ("clean",)), *([Head("ECE", ("shifted",))] if shifts else [])]
    columns += [Head("ms", ("a picture",)), Head("batch"), Head("seconds", ("beforehand",))]
    rows = []
    for group in measured.groups:
        cells = [Cell(_number(measured.calibration_error(group, [CLEAN])))]
        cells += [Cell(_number(measured.calibration_error(group, shifts)))] if shifts else []
        cells += [Cell(number(measured.milliseconds(group), 1)), Cell(str(group.batch))]
        cells.append(Cell(number(measured.preparing(group), 1)))
        rows.append(Row(_head(measured, group), tuple(cells)))
    return Table("", tuple(columns), tuple(rows), "full", terminal="calibration error in points, and time")


def _shift_tables(measured: Robustness) -> list[Block]:
    """For each network a table of every shift, a column a method."""
    tables: list[Block] = []
    for model in measured.models if measured.shifted else []:
        groups = [group for group in measured.groups if group.model == model]
        rows = []
        for kind in measured.kinds:
            for shift in measured.shifts(kind):
                cells = tuple(Cell(number(measured.top1(group, [shift]).mean, 1)) for group in groups)
                rows.append(Row(Head(_readable(shift), group=f"{GROUPS[kind]}s"), cells))
        heads = tuple(Head(group.title) for group in groups)
        tables.append(Details(f"{model}: top-1 % by shift", [Table("shift", heads, tuple(rows), "soft")]))
    return tables


def _method_texts(measured: Robustness) -> dict[str, str]:
    texts = {}
    for each in measured.methods:
        source = str(each.get("source", "")).translate(str.maketrans("", "", "*`"))
        texts[f"{each.get('title')} ({each.get('name')})"] = " ".join(
            filter(None, (str(each.get("summary", "")), source and f"{source}."))
        )
    return texts


def _origin_blocks(measured: Robustness) -> list[Block]:
    record, setting = measured.record, measured.record["setting"]
    regime = REGIMES.get(setting.get("regime", ""))
    settings = {
        "regime": f"{setting.get('regime')}: {regime.summary}" if regime else str(setting.get("regime")),
        "batch": f"{setting.get('batch')} for methods to which it matters",
        "precision": f"{setting.get('precision')}, on {record.get('device')}; the same for all",
        "to calibrate with": str(record.get("calibration", "")),
        "most memory": f"{number(measured.memory, 0)} MiB of the process with all candidates",
    }
    blocks: list[Block] = [Command(str(record.get("command", "")))]
    blocks += [Facts("Settings", settings, wide=True), Facts("Data", merge([record.get("data", {})]))]
    blocks += [Facts(str(each.get("name")), merge([each])) for each in record.get("models", ())]
    return [*blocks, Facts("Machine", merge([record.get("machine", {})])),
            Facts("Versions", merge([record.get("versions", {})]))]  # fmt: skip


def _notes(measured: Robustness) -> list[str]:
    found = []
    if few := step_text(len(measured.labels)):
        found.append(f"Few test pictures: on clean ones, {few}; the intervals say what that leaves of a difference.")
    for kind in measured.kinds:
        there, whole = len(measured.shifts(kind)), sum(each.group == kind for each in SHIFTS.values())
        if there < whole:
            names = listed(map(_readable, measured.shifts(kind)))
            found.append(f"Means are over {there} of the {whole} {GROUPS[kind]}s: {names}.")
    for name, count in measured.failing.items():
        found.append(f"{name}: {count:,} answers are not numbers, and count as wrong.")
    return found


def _entries(measured: Robustness) -> dict[str, Any]:
    """For report.json."""
    columns = measured.columns | {name: [name] for name in measured.shifted}
    return {
        "record": measured.record,
        "baseline": each_group(measured, lambda group: measured.baseline(group).id),
        "top1": each_group(measured, lambda group: {n: measured.top1(group, s) for n, s in columns.items()}),
        "difference": each_group(
            measured, lambda group: {n: measured.difference(group, s) for n, s in measured.columns.items()}
        ),
        "mce": each_group(measured, measured.mce) if measured.shifts("corruption") else {},
        "calibration_error": each_group(
            measured, lambda group: {n: measured.calibration_error(group, s) for n, s in measured.columns.items()}
        ),
        "by_severity": each_group(
            measured, lambda group: {kind: measured.by_severity(group, kind) for kind in measured.kinds}
        ),
        "milliseconds": each_group(measured, measured.milliseconds),
        "seconds_beforehand": each_group(measured, measured.preparing),
        "memory_mib": measured.memory,
        "not_numbers": measured.failing,
    }


def _column_name(measured: Robustness, name: str) -> tuple[str, tuple[str, ...]]:
    if name == CLEAN:
        return "clean", ("",)
    count, *words = counted(len(measured.shifts(name)), GROUPS[name]).split()
    return count, tuple(words)


def _head(measured: Robustness, group: Group) -> Head:
    seeds = counted(len(group.ids), "seed") if len(group.ids) > 1 else ""
    return Head(group.title, (seeds,), group=group.model if len(measured.models) > 1 else "")


def _number(value: float) -> str:
    return "–" if value != value else number(value, 1)


def _p(test: PairedDifference | None) -> float:
    return float("nan") if test is None else test.p_value


def _readable(shift: str) -> str:
    return shift.replace("_", " ")
