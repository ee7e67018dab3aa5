"""BIN against BN in many comparisons at once: one figure, one table, from the ``report.json`` of each."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Any

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.text import all_printable, counted
from binorm.experiments.models.norms import NORMS
from binorm.experiments.recipes.base import VALIDATION
from binorm.experiments.report.figures.forest import ForestRow, forest
from binorm.experiments.report.page import Block, Figure, Gallery, Heading, Page, Section, Text
from binorm.experiments.report.scores import BASELINE, COMPARED, shifted_metric
from binorm.experiments.report.significance import MINUS, PairedDifference, number, p_text, signed
from binorm.experiments.report.table import Cell, Head, Row, Table
from binorm.experiments.report.texts import OVERVIEW
from binorm.experiments.report.written import Written, write_page

LABEL = f"{COMPARED} {MINUS} {BASELINE}"
OWN, DOMAINS, SHIFTED = "Test pictures of the same kind", "Several domains", "The same test pictures, shifted"


@dataclass(frozen=True)
class Compared:
    """BIN against BN in one experiment.

    Attributes:
        folder: its name, below that of all.
        group: ``OWN``, ``DOMAINS`` or ``SHIFTED``.
        label: what was trained on what.
        schedule: ``"15 of 60 epochs"`` where it is short, else nothing.
        baseline: mean top-1 of BN in percent; nan where the report has none.
        compared: that of BIN.
        test: their difference, paired by seed.
    """

    folder: str
    group: str
    label: str
    schedule: str
    baseline: float
    compared: float
    test: PairedDifference

    @property
    def name(self) -> str:
        """With the length of a short schedule."""
        return f"{self.label} ({self.schedule})" if self.schedule else self.label

    @property
    def short_name(self) -> str:
        """The same in fewer letters: ``(15/60 epochs)``."""
        return re.sub(r"([\d,]+) of ([\d,]+) (\w+)(?: each)?", r"\1/\2 \3", self.name)


def write_overview(folders: Sequence[Path], out: Path) -> Written:
    """Write ``overview.html``, ``.md``, ``.json`` and ``figures/forest.svg`` of the reports in these folders.

    Raises:
        UserError: where no report compares BIN with BN over two seeds, or one is damaged.
    """
    found = [each for folder in folders for each in read_compared(folder)]
    if not found:
        raise UserError(
            f"none of {counted(len(folders), 'report')} compares {COMPARED} with {BASELINE} over two seeds or more: "
            "there is nothing to put beside each other"
        )
    return write_page(overview_page(found), out, "overview")


def overview_page(found: Sequence[Compared]) -> Page:
    """The page of it."""
    ordered = [each for group in (OWN, DOMAINS, SHIFTED) for each in found if each.group == group]
    rows = [ForestRow(each.group, each.short_name, each.test, quiet=bool(each.schedule)) for each in ordered]
    title = f"{LABEL}, top-1 in points"
    content = forest(title, rows, NORMS[COMPARED].colour, f"{LABEL}, points of top-1, 95 % interval over seeds")
    blocks: list[Block] = [Gallery([Figure("forest.svg", title, content)], "wide"), Text(OVERVIEW, "soft")]
    for name, members in groupby(ordered, lambda each: each.group):
        group = list(members)
        blocks += [Heading(name), overview_table(group), Text(_sentence(group))]
    experiments = counted(len({each.folder for each in found}), "experiment")
    summary = f"Batch-instance norm against batch norm in {experiments}, each from its own report."
    return Page("BIN against BN", summary, [Section("", blocks)], {"rows": ordered}, wide=True)


def overview_table(found: Sequence[Compared]) -> Table:
    """A row for each comparison of one group."""
    heads = (Head(BASELINE), Head(COMPARED), Head(LABEL, ("95 % interval",)), Head("p"), Head("seeds"))
    rows = []
    for each in found:
        test = each.test
        cells = (
            Cell(_percent(each.baseline)),
            Cell(_percent(each.compared)),
            Cell(signed(test.mean, 2), (test.interval_text(),), strong=test.low > 0 or test.high < 0),
            Cell(p_text(test.p_value).removeprefix("p ").removeprefix("= ")),
            Cell(str(test.pairs)),
        )
        rows.append(Row(Head(each.name), cells))
    return Table("experiment", heads, tuple(rows), "full", terminal=f"{found[0].group}: top-1 %, last epoch")


def read_compared(folder: Path) -> Iterator[Compared]:
    """What the report in a folder says of BIN against BN; nothing where it compares others, or one seed.

    Raises:
        UserError: for a report that is missing or damaged.
    """
    path = folder / "report.json"
    try:
        report = all_printable(json.loads(path.read_text(encoding="utf-8")))
        if "period" in report:
            return  # of a style: losses, no accuracies
        domains, schedule = "kind" in report, _length(report.get("schedule"))
        label = ",".join(str(report["title"]).split(",")[:2])  # data and network, or data and what is done with them
        for group, name, pair, entry in _comparisons(report):
            test = _difference(entry)
            if test is not None:
                group = DOMAINS if domains and group == OWN else group
                yield Compared(folder.name, group, label + name, schedule, *pair, test)
    except FileNotFoundError as error:
        raise UserError(f"there is no {path}: expected what 'binorm compare' or 'binorm report' writes") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is damaged ({type(error).__name__}: {error}): write it anew with binorm report"
        ) from error


_Pair = tuple[float, float]


def _comparisons(report: Mapping[str, Any]) -> Iterator[tuple[str, str, _Pair, Any]]:
    """Group, what to add to the label, means of BN and BIN over common seeds, and the entry of their difference."""
    if "kind" in report:
        methods = {row["method"] for row in report["rows"]}
        for each in report["norms"]:
            if (each["compared"], each["baseline"]) == (COMPARED, BASELINE):
                rows = {row["norm"]: row for row in report["rows"] if row["method"] == each["within"]}
                found = [rows[norm].get("mean") or next(iter(rows[norm]["tasks"].values()))
                         for norm in (BASELINE, COMPARED)]  # fmt: skip
                pair = _means(*(one["last_by_seed"] for one in found))
                yield OWN, f", {each['within']}" * (len(methods) > 1), pair, each["overall"]
    else:
        differences = {(row["evaluation"], row["norm"]): row["difference"] for row in report["rows"]}
        sets = [data for data in dict.fromkeys(data for data, _ in differences) if data != VALIDATION]
        for data in sets:
            if {(data, BASELINE), (data, COMPARED)} <= differences.keys():
                by_seed = [{str(run["seed"]): run["last"][data] for run in report["runs"] if run["norm"] == norm}
                           for norm in (BASELINE, COMPARED)]  # fmt: skip
                yield OWN, f", {data}" * (len(sets) > 1), _means(*by_seed), differences[data, COMPARED]
    metric = shifted_metric()
    shifted = {(row["method"], row["norm"]): row for row in report.get("shifted", ())}
    methods = {method for method, _ in shifted}
    for (method, norm), row in shifted.items():
        if norm == COMPARED and (method, BASELINE) in shifted:
            pair = _means(shifted[method, BASELINE]["by_seed"][metric], row["by_seed"][metric])
            yield SHIFTED, f", {method}" * (len(methods) > 1), pair, row["difference"][metric]


def _means(baseline: Mapping[str, float], compared: Mapping[str, float]) -> _Pair:
    """Over the seeds that both have, so that they subtract to the paired difference; nan of none."""
    seeds = baseline.keys() & compared.keys()
    first, second = (
        fmean([float(each[seed]) for seed in seeds]) if seeds else math.nan for each in (baseline, compared)
    )
    return first, second


def _difference(entry: Any) -> PairedDifference | None:
    if entry is None:
        return None
    fields = {name: _number(entry[name]) for name in ("mean", "low", "high", "p_value")}
    return PairedDifference(int(entry["pairs"]), **fields)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else number(value, 2)


def _length(schedule: str | None) -> str:
    """``"15 of 60 epochs"`` of a short one."""
    return re.sub(r"^short schedule: ", "", schedule or "")


def _sentence(group: Sequence[Compared]) -> str:
    """In how many experiments of a group the interval leaves out 0."""
    tests = [each.test for each in group]
    above, below = sum(test.low > 0 for test in tests), sum(test.high < 0 for test in tests)
    return (
        f"The interval is above 0 in {above} of {len(tests)}, below it in {below}, and holds it in "
        f"{len(tests) - above - below}."
    )
