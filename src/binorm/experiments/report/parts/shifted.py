"""Clean and shifted test pictures: what each norm loses where pictures look otherwise."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from binorm.experiments.common.text import counted, listed
from binorm.experiments.report.page import Block, Details, Section, Text
from binorm.experiments.report.scores import (
    BASELINE,
    CLEAN,
    COMPARED,
    Scores,
    corrected_verdict,
    holm_of,
    shifted_metric,
)
from binorm.experiments.report.significance import (
    MINUS,
    PairedDifference,
    mean_by_seed,
    paired_difference,
    signed,
    spread,
)
from binorm.experiments.report.table import Cell, Head, Row, Table, drawn, reach
from binorm.experiments.report.texts import SHIFTED, SHIFTED_MEANS
from binorm.experiments.runs.reading import FinishedRun, method_label
from binorm.experiments.shifts.catalog import GROUPS, SHIFTS


@dataclass(frozen=True)
class ShiftedRow:
    """One norm with one method: accuracies by metric and seed, each the mean over all evaluation sets.

    Attributes:
        method: as in `binorm.experiments.runs.reading.Run`.
        norm: its name.
        values: by metric (`CLEAN`, `shifted_metric`) and seed, in percent.
    """

    method: str
    norm: str
    values: Mapping[str, Mapping[int, float]]

    def against(self, base: "ShiftedRow | None", metric: str) -> PairedDifference | None:
        """The paired difference to another norm; None to itself and below two seeds."""
        if base is None or base is self:
            return None
        return paired_difference(self.values[metric], base.values[metric])


def shifted_rows(
    scores: Scores, rows: Sequence[tuple[str, str]], places: Sequence[tuple[str, str | None]]
) -> tuple[ShiftedRow, ...]:
    """Rows with their seeds, so far as they have all shifts of the groups that are shown, in every place.

    Shown are the groups of shifts that every row has a seed with; where there is no such group, the one that most rows
    have, and these rows. So all means are over the same shifts, whatever was measured of which run.

    Args:
        scores: of all runs.
        rows: method and norm of each.
        places: task and evaluation set of each.
    """
    found = {row: _by_shift(scores, *row, places) for row in rows}
    known = {shift for by_shift in found.values() for shift, values in by_shift.items() if values}
    shifts = {group: [name for name in SHIFTS if name in known and SHIFTS[name].group == group] for group in GROUPS}
    whole = {
        group: {row: seeds for row in found if (seeds := _common([found[row][name] for name in names]))}
        for group, names in shifts.items()
        if names
    }
    measured = {row for seeds in whole.values() for row in seeds}
    groups = [group for group, seeds in whole.items() if seeds.keys() == measured]
    if not groups and whole:
        groups = [max(whole, key=lambda group: len(whole[group]))]
    made = []
    for row in rows if groups else ():
        if seeds := set.intersection(*(whole[group].get(row, set()) for group in groups)):
            clean = mean_by_seed([scores.by_seed(CLEAN, row[1], data, task, row[0]) for task, data in places])
            made.append(ShiftedRow(*row, _values(clean, found[row], {group: shifts[group] for group in groups}, seeds)))
    return tuple(made)


def _by_shift(
    scores: Scores, method: str, norm: str, places: Sequence[tuple[str, str | None]]
) -> dict[str, dict[int, float]]:
    """Of each shift the mean over all places, for the seeds that have it everywhere."""
    return {
        shift: mean_by_seed([scores.by_seed(shifted_metric(shift), norm, data, task, method) for task, data in places])
        for shift in SHIFTS
    }


def _common(values: Sequence[Mapping[int, float]]) -> set[int]:
    return set.intersection(*(set(each) for each in values))


def _values(
    clean: Mapping[int, float],
    by_shift: Mapping[str, Mapping[int, float]],
    shifts: Mapping[str, Sequence[str]],
    seeds: Set[int],
) -> dict[str, dict[int, float]]:
    """By metric and seed: clean, the mean of all shifts, that of each group, and each shift."""
    names = [name for group in shifts.values() for name in group]
    wanted = {shifted_metric(): names} | {shifted_metric(group): members for group, members in shifts.items()}
    wanted |= {shifted_metric(name): [name] for name in names}
    means = {
        metric: {seed: fmean([by_shift[name][seed] for name in members]) for seed in sorted(seeds)}
        for metric, members in wanted.items()
    }
    return {CLEAN: {seed: clean[seed] for seed in sorted(seeds)}} | means


def shifted_section(runs: Sequence[FinishedRun], rows: Sequence[ShiftedRow], where: str = "") -> Section:
    """The table of all rows, and below it every shift; nothing without any.

    Args:
        runs: that they are of.
        rows: from `shifted_rows`.
        where: what the means are over, in words.
    """
    if not rows:
        return Section("Clean and shifted pictures", [])
    counts = [found.pictures for run in runs for found in run.record.shifted.values()]
    pictures = (
        counted(min(counts), "picture") if len(set(counts)) == 1 else f"{min(counts):,} to {max(counts):,} pictures"
    )
    shifts = [shift for shift in SHIFTS if shifted_metric(shift) in rows[0].values]
    blocks: list[Block] = [
        _table(rows, shifts, ", ".join(filter(None, (where, f"{pictures} of each test set")))),
        Text(_explanation(rows), "soft"),
        Details("By shift", [_shift_table(rows, shifts)]),
    ]
    return Section("Clean and shifted pictures", blocks)


def _explanation(rows: Sequence[ShiftedRow]) -> str:
    kinds = listed(text for group, text in SHIFTED.items() if shifted_metric(group) in rows[0].values)
    return (
        "Top-1 % on test pictures as they are (clean) and as they would look elsewhere, each at one of five severities "
        f"in turn: {kinds}. {SHIFTED_MEANS}"
    )


def shifted_entries(rows: Sequence[ShiftedRow]) -> list[dict[str, Any]]:
    """For report.json."""
    return [
        {
            "method": row.method,
            "norm": row.norm,
            "by_seed": row.values,
            "difference": {metric: row.against(base, metric) for metric in row.values} if base else {},
        }
        for row in rows
        for base in [_base(rows, row)]
    ]


def _table(rows: Sequence[ShiftedRow], shifts: Sequence[str], what: str) -> Table:
    groups = [group for group in GROUPS if shifted_metric(group) in rows[0].values]
    main = shifted_metric()
    tests = [row.against(_base(rows, row), main) for row in rows]
    scale, p_values = reach(tests), holm_of(tests)
    columns = [Head("clean"), Head("shifted", (counted(len(shifts), "shift"),))]
    if len(groups) > 1:
        for group in groups:
            count = sum(SHIFTS[shift].group == group for shift in shifts)
            columns.append(Head(f"{GROUPS[group]}s", (counted(count, "shift"),), quiet=True))
    columns += [Head(drawn=True), Head(f"difference to {BASELINE}", ("shifted, 95 % interval",))]
    lines = []
    for row, test, p_value in zip(rows, tests, p_values, strict=True):
        figures = [CLEAN, main, *(map(shifted_metric, groups) if len(groups) > 1 else ())]
        cells = [
            Cell(spread(list(row.values[metric].values())).text(), strong=metric == main, quiet=place > 1)
            for place, metric in enumerate(figures)
        ]
        words = ", ".join(filter(None, (corrected_verdict(test, p_value), test.p_text()))) if test else ""
        difference = Cell(signed(test.mean, 2), (test.interval_text(), words)) if test else Cell()
        head = Head(row.norm, (counted(len(row.values[main]), "seed"),), group=method_label(row.method), norm=row.norm)
        lines.append(Row(head, (*cells, drawn(test, scale), difference)))
    return Table("norm", tuple(columns), tuple(lines), "full", terminal=f"clean and shifted, top-1 %: {what}")


def _shift_table(rows: Sequence[ShiftedRow], shifts: Sequence[str]) -> Table:
    """A row a shift: every norm's mean, and what BIN differs by from BN."""
    heads = [Head(row.norm, group=method_label(row.method), norm=row.norm) for row in rows]
    compared = [row for row in rows if row.norm == COMPARED and _base(rows, row) is not None]
    heads += [Head(f"{COMPARED} {MINUS} {BASELINE}", group=method_label(row.method)) for row in compared]
    lines = []
    for shift in shifts:
        metric = shifted_metric(shift)
        cells = [Cell(spread(list(row.values.get(metric, {}).values())).text(1)) for row in rows]
        for row in compared:
            test = row.against(_base(rows, row), metric)
            cells.append(Cell(signed(test.mean, 1), (test.interval_text(1),)) if test else Cell("–"))
        lines.append(Row(Head(shift.replace("_", " "), group=f"{GROUPS[SHIFTS[shift].group]}s"), tuple(cells)))
    return Table("shift", tuple(heads), tuple(lines), "soft")


def _base(rows: Sequence[ShiftedRow], row: ShiftedRow) -> ShiftedRow | None:
    return next((each for each in rows if each.method == row.method and each.norm == BASELINE), None)
