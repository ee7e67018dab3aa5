"""A table like the paper's over several recipes: norms by networks and data sets, published values beside ours."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.text import duration, listed, seeds_text
from binorm.experiments.report import notes, texts
from binorm.experiments.report.data import overlap_sentences, overlaps, remarks, step_text
from binorm.experiments.report.page import Block, Command, Details, Facts, Page, Section, Text
from binorm.experiments.report.parts.paper_columns import Column, by_data, read_columns
from binorm.experiments.report.published import PROTOCOL
from binorm.experiments.report.scores import (
    BASELINE,
    BEST_ON_VALIDATION,
    COMPARED,
    LAST_EPOCH,
    Comparison,
    Difference,
    best_label,
    compare,
    finished,
)
from binorm.experiments.report.significance import number, signed
from binorm.experiments.report.table import Cell, Head, Row, Table
from binorm.experiments.report.written import Written, write_page
from binorm.experiments.runs.reading import Run

PAGE_COLUMNS = 8  # so many fit a page; with more there is one block, or several, for each data set


def write_table(folders: Sequence[Path], out: Path) -> Written:
    """Write ``table.html``, ``table.md`` and ``table.json`` to ``out``, of one recipe's comparison in each folder.

    Args:
        folders: such as ``runs/icdar2003-resnet8``, holding ``<norm>/seed<k>/``.
        out: made where it is missing.

    Raises:
        UserError: no folder is given, one holds no runs or a damaged one, two hold the same recipe, no run at all has
            finished, or ``out`` cannot be written.
    """
    if not folders:
        raise UserError("there are no folders to make a table of: expected some, such as runs/digits")
    columns = read_columns(folders)
    if not any(finished(column.runs) for column in columns):
        names = ", ".join(map(str, folders))
        raise UserError(f"no run in {names} has finished: wait, or take them up again with the command that began them")
    return write_page(table_page(columns), out, "table")


def blocks(columns: Sequence[Column], width: int = PAGE_COLUMNS) -> list[list[Column]]:
    """All columns in one block where they fit into ``width``, else the columns of each data set in equal parts."""
    if len(columns) <= width:
        return [list(columns)]
    parts = []
    for group in by_data(columns).values():
        size = -(-len(group) // -(-len(group) // width))
        parts += [group[start : start + size] for start in range(0, len(group), size)]
    return parts


def comparison_of(columns: Sequence[Column]) -> Comparison:
    """BIN against BN over all columns."""
    return compare(COMPARED, BASELINE, {each.recipe: (each.last(COMPARED), each.last(BASELINE)) for each in columns})


def table_page(columns: Sequence[Column]) -> Page:
    """The page of the table."""
    found = comparison_of(columns)
    differences = {each.label: each for each in found.tasks}
    norms, runs = list(columns[0].reported), [run for column in columns for run in column.runs]
    label, caption = best_label(runs), _caption(columns)
    parts: list[Block] = [_last_table(block, norms, differences) for block in blocks(columns)]
    sentences = overall_sentences(found)
    parts += [Text(sentence, "" if sentence != sentences[-1] else "soft", terminal=True) for sentence in sentences]
    facts = {key: text for key, text in caption.items() if text}
    parts += [Text(texts.PAPER_TABLE, "soft"), Facts("", facts, wide=True)]
    best = texts.PAPER_BEST_ON_VALIDATION if label == BEST_ON_VALIDATION else texts.PAPER_BEST_ON_TEST
    tables = [_best_table(block, norms) for block in blocks(columns)]
    parts.append(Details(f"{label.capitalize()}, top-1 %", [Text(best, "soft"), *tables]))
    parts.append(Details("Commands", [Command(each) for each in dict.fromkeys(_commands(runs))]))
    said = tuple(f"{note} ({names})" for note, names in _grouped(columns, lambda column: column.notes).items())
    about = remarks(runs)
    title = f"Top-1 accuracy on {listed(by_data(columns))}" if len(by_data(columns)) < 4 else "Top-1 accuracy"
    entries: dict[str, Any] = {
        "title": title,
        "norms": norms,
        "columns": [_entries(each, norms, differences) for each in columns],
    }
    overall = {"columns": found.paired, "difference": found.overall, "signs": found.signs} if found.paired > 1 else None
    entries |= {"overall": overall, "caption": caption, "notes": said, "remarks": about}
    sections = [Section(f"Top-1 accuracy, %, {LAST_EPOCH}", parts)]
    return Page(title, "", sections, entries, notes=said, wide=True, remarks=about)


def overall_sentences(found: Comparison) -> list[str]:
    """What the comparison over all columns says, and what it does not; nothing of fewer than two columns."""
    if found.paired < 2:
        return []
    test, signs = found.overall, found.signs
    if test is None:
        mean = "Fewer than two seeds have finished with both norms in all columns, so there is no overall interval."
    else:
        p_value = f", {test.p_text()}" if test.p_text() else ""
        mean = (
            f"Over {found.paired} columns, {found.label} is {signed(test.mean, 2)} points on average "
            f"(95 % interval {test.interval_text()} over the {test.pairs} seeds that all of them have{p_value})."
        )
    p_value = f" (exact sign test: {signs.p_text()})" if signs.p_text() else ""
    return [
        mean,
        f"{COMPARED} is higher in {signs.above} of {found.paired} columns and lower in {signs.below}{p_value}.",
        "The interval is about other seeds on these columns, not about other data; the sign test takes columns as "
        "independent, which networks on one data set are not.",
    ]


def _heads(block: Sequence[Column]) -> tuple[Head, ...]:
    return tuple(Head(column.network, (column.budget,), group=column.data) for column in block)


def _last_table(block: Sequence[Column], norms: Sequence[str], differences: Mapping[str, Difference]) -> Table:
    """Norms and, below them, the difference of BIN to BN."""
    flags = {column.recipe: column.leaders() for column in block}
    rows = []
    for norm in norms:
        cells = []
        for column in block:
            group = column.groups.get(norm)
            small = (group.runs_text if group else "", _published(column, norm))
            strong = flags[column.recipe].get(norm, False)
            cells.append(Cell(group.last_spread.text() if group else "–", small, strong))
        rows.append(Row(Head(norm, norm=norm), tuple(cells)))
    below = [_difference_cell(differences[column.recipe], column.published_difference) for column in block]
    rows.append(Row(Head(f"{COMPARED} − {BASELINE}", total=True), tuple(below)))
    return Table("norm", _heads(block), tuple(rows), terminal=f"top-1 %, {LAST_EPOCH}")


def _best_table(block: Sequence[Column], norms: Sequence[str]) -> Table:
    rows = []
    for norm in norms:
        texts = [column.groups[norm].best_spread.text() if norm in column.groups else "–" for column in block]
        cells = [Cell(text, (_published(column, norm),)) for text, column in zip(texts, block, strict=True)]
        rows.append(Row(Head(norm, norm=norm), tuple(cells)))
    return Table("norm", _heads(block), tuple(rows))


def _published(column: Column, norm: str) -> str:
    """``"paper 64.98 ± 0.63"``, or nothing."""
    found = column.reported[norm]
    if found is None:
        return ""
    return f"paper {number(found.mean, 2)}" + ("" if found.std is None else f" ± {number(found.std, 2)}")


def _difference_cell(found: Difference, reported: float | None) -> Cell:
    """Mean, interval, p-values and pairs, and the difference of the published means."""
    paper = "" if reported is None else f"paper {signed(reported, 2)}"
    if not found.pairs:
        return Cell("–", (paper,))
    pairs = f"{found.pairs} pair{'s' * (found.pairs != 1)}"
    if found.test is None:
        return Cell(signed(found.mean, 2), ("no interval", pairs, paper))
    lines = (found.test.interval_text(), found.test.p_text(), found.holm_text, pairs, paper)
    return Cell(signed(found.mean, 2), lines)


def _caption(columns: Sequence[Column]) -> dict[str, str]:
    """By heading: data, schedule, seeds, settings, machine, versions, training time, published values."""
    runs = [run for column in columns for run in column.runs]
    caption = {"Data": _by_value(columns, _data), "Schedule": _by_value(columns, _schedule)}
    caption["Test pictures"] = _by_value(columns, lambda column: " ".join(overlap_sentences(overlaps(column.runs))))
    caption["Seeds"] = _by_value(columns, _finished_seeds)
    for heading in ("Settings", "Machine", "Versions"):
        caption[heading] = _by_value(columns, partial(_provenance, heading))
    seconds = sum(run.record.seconds for run in runs if run.record is not None)
    caption["Training time"] = f"{duration(seconds)} for {len(runs)} runs"
    if any(each for column in columns for each in column.reported.values()):
        remarks = _grouped(columns, lambda column: column.remarks)
        sentences = (f"{remark[:1].upper()}{remark[1:]} ({names})." for remark, names in remarks.items())
        caption["Published values"] = " ".join((PROTOCOL, *sentences))
    return caption


def _finished_seeds(column: Column) -> str:
    done = finished(column.runs)
    return seeds_text({run.seed for run in done}) if done else ""


def _data(column: Column) -> str:
    done = finished(column.runs)
    if not done or column.evaluation is None:
        return ""
    data = done[0].record.data
    tested = data["evaluation"].get(column.evaluation, 0)
    text = f"trained on {data['train']:,} pictures, evaluated on the {tested:,} of {column.evaluation!r}"
    return f"{text}: {step_text(tested)}" if step_text(tested) else text


def _schedule(column: Column) -> str:
    done = finished(column.runs)
    if not done:
        return ""
    config = done[0].config
    fields = {"schedule": "{} schedule", "batch_size": "batch {}", "lr": "learning rate {}"}
    fields["weight_decay"] = "weight decay {}"
    return ", ".join([column.budget, *(text.format(config[name]) for name, text in fields.items() if name in config)])


def _provenance(heading: str, column: Column) -> str:
    return "; ".join(f"{key} {value}" for key, value in notes.provenance(column.runs)[heading].items())


def _by_value(columns: Sequence[Column], text: Callable[[Column], str]) -> str:
    """One text where all columns agree, else every text with the columns that it holds for."""
    groups = _grouped(columns, lambda column: (text(column),) if text(column) else ())
    return "; ".join(groups) if len(groups) == 1 else "; ".join(f"{text} ({names})" for text, names in groups.items())


def _grouped(columns: Sequence[Column], texts: Callable[[Column], Sequence[str]]) -> dict[str, str]:
    """Each text of any column with the names of its columns; a data set stands for all of its own."""
    holders: dict[str, list[Column]] = {}
    for column in columns:
        for text in texts(column):
            holders.setdefault(text, []).append(column)
    return {text: _named(holding, columns) for text, holding in holders.items()}


def _named(holding: Sequence[Column], columns: Sequence[Column]) -> str:
    if len(holding) == len(columns) > 1:
        return "all columns"
    whole, held = by_data(columns), by_data(holding)
    return ", ".join(
        name
        for data, group in held.items()
        for name in ([data] if len(group) == len(whole[data]) > 1 else [column.label for column in group])
    )


def _commands(runs: Sequence[Run]) -> list[str]:
    return [run.record.command for run in runs if run.record]


def _entries(column: Column, norms: Sequence[str], differences: Mapping[str, Difference]) -> dict[str, Any]:
    """For table.json."""
    found, flags = differences[column.recipe], column.leaders()
    cells = {
        norm: {
            "row": column.entries.get(norm),
            "published": column.reported[norm],
            "highest": flags.get(norm, False),
        }
        for norm in norms
    }
    difference = {"pairs": found.pairs, "mean": found.mean, "test": found.test, "p_holm": found.p_holm}
    return {
        "recipe": column.recipe,
        "data": column.data,
        "network": column.network,
        "budget": column.budget,
        "evaluation": column.evaluation,
        "cells": cells,
        "last": {norm: group.last for norm, group in column.groups.items()},
        "difference": difference | {"published": column.published_difference},
        "remarks": column.remarks,
        "notes": column.notes,
    }
