"""A table like the paper's over several recipes: norms by networks and data sets, published values beside ours."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.files import write_text_atomically
from binorm.experiments.common.text import duration
from binorm.experiments.report import tables
from binorm.experiments.report.figures.theme import DARK, norm_colours
from binorm.experiments.report.paper_columns import COMPARED, Column, Overall, by_data, overall, read_columns
from binorm.experiments.report.published import PROTOCOL
from binorm.experiments.report.rendering import environment, finite_or_null, listed, seeds_text
from binorm.experiments.report.statistics import p_text, signed
from binorm.experiments.report.tables import BASELINE, BEST_ON_EITHER, BEST_ON_TEST, BEST_ON_VALIDATION, LAST_EPOCH

# So many columns fit a page; with more there is one block, or several, for each data set.
PAGE_COLUMNS = 8
CONSOLE_COLUMNS = 5
DIFFERENCE_LABELS = (f"{COMPARED} − {BASELINE}", "  95 %", "  p", "  pairs")
EXPLANATION = (
    "Mean ± sample standard deviation over runs after the last epoch; in grey what the paper reports. Bold is the "
    "highest mean of its column, by chance or not. Differences are paired by seed; their 95 % intervals and p-values "
    "are those of the paired t-test, and Holm's correction is for the number of columns."
)
_FLATTERS = (
    "A best epoch that is chosen on the test set knows the labels it is measured on, so it flatters; the paper's "
    "figures are chosen that way as well, as far as its authors' code tells."
)
BEST_EXPLANATIONS = {
    BEST_ON_TEST: _FLATTERS,
    BEST_ON_EITHER: _FLATTERS,
    BEST_ON_VALIDATION: (
        "The epoch is chosen by training pictures that were held out; the paper's figures are chosen on the test set, "
        "as far as its authors' code tells."
    ),
}


@dataclass(frozen=True)
class PaperTable:
    """What `write_table` wrote.

    Attributes:
        title: one line.
        norms: the rows, in the order of display.
        columns: one a recipe, those of one data set side by side.
        overall: BIN against BN over all columns; None where fewer than two columns have a pair.
        caption: by heading: data, schedule, seeds, settings, machine, versions, training time, published values.
        notes: what a reader must know before believing the table.
        html: the page; ``markdown`` and ``json`` lie beside it.
    """

    title: str
    norms: tuple[str, ...]
    columns: tuple[Column, ...]
    overall: Overall | None
    caption: Mapping[str, str]
    notes: tuple[str, ...]
    html: Path
    markdown: Path
    json: Path


def write_table(folders: Sequence[Path], out: Path) -> PaperTable:
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
    if not any(tables.finished(column.runs) for column in columns):
        names = ", ".join(map(str, folders))
        raise UserError(f"no run in {names} has finished: wait, or take them up again with the command that began them")
    table = PaperTable(
        title=f"Top-1 accuracy on {listed(by_data(columns))}" if len(by_data(columns)) < 4 else "Top-1 accuracy",
        norms=tuple(columns[0].cells),
        columns=columns,
        overall=overall(columns),
        caption=_caption(columns),
        notes=tuple(f"{note} ({names})" for note, names in _grouped(columns, lambda column: column.notes).items()),
        html=out / "table.html",
        markdown=out / "table.md",
        json=out / "table.json",
    )
    context = _context(table)
    write_text_atomically(table.markdown, environment(markdown=True).get_template("table.md.jinja").render(context))
    write_text_atomically(table.json, json.dumps(_as_json(table), indent=1, allow_nan=False) + "\n")
    write_text_atomically(table.html, environment().get_template("table.html.jinja").render(context))
    return table


def blocks(columns: Sequence[Column], width: int) -> list[list[Column]]:
    """All columns in one block where they fit into ``width``, else the columns of each data set in equal parts."""
    if len(columns) <= width:
        return [list(columns)]
    parts = []
    for group in by_data(columns).values():
        count = -(-len(group) // width)
        size = -(-len(group) // count)
        parts += [group[start : start + size] for start in range(0, len(group), size)]
    return parts


def console_paper_table(table: PaperTable) -> Table:
    """The table for the terminal, in blocks of some 100 columns."""
    grid = Table.grid(padding=(0, 0, 1, 0))
    for block in blocks(table.columns, CONSOLE_COLUMNS):
        grid.add_row(_console_block(table, block))
    for sentence in overall_sentences(table.overall):
        grid.add_row(Text(sentence))
    for note in table.notes:
        grid.add_row(Text(f"Note: {note}", style="yellow"))
    return grid


def _console_block(table: PaperTable, block: Sequence[Column]) -> Group:
    one_data_set = len(by_data(block)) == 1
    title = f"{block[0].data}, top-1 %, {LAST_EPOCH}" if one_data_set else f"top-1 %, {LAST_EPOCH}"
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column("")
    for column in block:
        heading = column.network if one_data_set else f"{column.data}\n{column.network}"
        shown.add_column(Text(f"{heading}\n{column.budget}"), justify="right", vertical="bottom")
    for norm in table.norms:
        cells = [column.cells[norm] for column in block]
        shown.add_row(
            Text(norm, style="bold"), *(Text(cell.last, style="bold" if cell.highest else "") for cell in cells)
        )
        shown.add_row(Text("  runs", style="dim"), *(Text(cell.runs, style="dim") for cell in cells))
        if any(cell.published for cell in cells):
            shown.add_row(Text("  paper", style="dim"), *(Text(cell.published_text, style="dim") for cell in cells))
    if any(column.difference.pairs for column in block):
        shown.add_section()
        for label, texts in zip(DIFFERENCE_LABELS, zip(*map(difference_texts, block), strict=True), strict=True):
            shown.add_row(Text(label), *(Text(text.replace("; ", ";\n")) for text in texts))
    return Group(Text(title, style="italic"), shown)


def difference_texts(column: Column) -> tuple[str, str, str, str]:
    """Mean, interval, p-values and pairs of a column's difference, each as a cell shows it."""
    difference = column.difference
    if not difference.pairs:
        return "–", "", "", ""
    pairs = f"{difference.pairs} pair{'s' * (difference.pairs != 1)}"
    if difference.test is None:
        return signed(difference.mean, 2), "no interval", "", pairs
    p_values = "; ".join(filter(None, (difference.test.p_text(), p_text(difference.p_holm, "Holm"))))
    return signed(difference.mean, 2), difference.test.interval_text(), p_values, pairs


def overall_sentences(result: Overall | None) -> list[str]:
    """What the comparison over all columns says, and what it does not."""
    if result is None:
        return []
    test, signs = result.difference, result.signs
    if test is None:
        mean = "Fewer than two seeds have finished with both norms in all columns, so there is no overall interval."
    else:
        p_value = f", {test.p_text()}" if test.p_text() else ""
        mean = (
            f"Over {result.columns} columns, {COMPARED} − {BASELINE} is {signed(test.mean, 2)} points on average "
            f"(95 % interval {test.interval_text()} over the {test.pairs} seeds that all of them have{p_value})."
        )
    p_value = f" (exact sign test: {signs.p_text()})" if signs.p_text() else ""
    return [
        mean,
        f"{COMPARED} is higher in {signs.above} of {result.columns} columns and lower in {signs.below}{p_value}.",
        "The interval is about other seeds on these columns, not about other data; the sign test takes columns as "
        "independent, which networks on one data set are not.",
    ]


def _caption(columns: Sequence[Column]) -> dict[str, str]:
    seconds = sum(run.record.seconds for column in columns for run in column.runs if run.record is not None)
    caption = {
        "Data": _by_value(columns, _data),
        "Schedule": _by_value(columns, _schedule),
        "Seeds": _by_value(columns, _finished_seeds),
    }
    for heading in ("Settings", "Machine", "Versions"):
        caption[heading] = _by_value(columns, partial(_provenance, heading))
    caption["Training time"] = f"{duration(seconds)} for {sum(len(column.runs) for column in columns)} runs"
    if any(cell.published for column in columns for cell in column.cells.values()):
        remarks = _grouped(columns, lambda column: column.remarks)
        caption["Published values"] = " ".join(
            [PROTOCOL, *(f"{remark[:1].upper()}{remark[1:]} ({names})." for remark, names in remarks.items())]
        )
    return caption


def _finished_seeds(column: Column) -> str:
    done = tables.finished(column.runs)
    return seeds_text({run.seed for run in done}) if done else ""


def _data(column: Column) -> str:
    done = tables.finished(column.runs)
    if not done or column.evaluation is None:
        return ""
    data = done[0].record.data
    tested = data["evaluation"].get(column.evaluation, 0)
    return f"trained on {data['train']:,} pictures, evaluated on the {tested:,} of {column.evaluation!r}"


def _schedule(column: Column) -> str:
    done = tables.finished(column.runs)
    if not done:
        return ""
    config = done[0].config
    texts = {
        "schedule": "{} schedule",
        "batch_size": "batch {}",
        "lr": "learning rate {}",
        "weight_decay": "weight decay {}",
    }
    return ", ".join([column.budget, *(text.format(config[name]) for name, text in texts.items() if name in config)])


def _provenance(heading: str, column: Column) -> str:
    return "; ".join(f"{key} {value}" for key, value in tables.provenance(column.runs)[heading].items())


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


def _context(table: PaperTable) -> dict[str, Any]:
    """What the templates show."""
    runs = [run for column in table.columns for run in column.runs]
    best_epoch = tables.best_label(runs)
    return {
        "table": table,
        "blocks": [by_data(block) for block in blocks(table.columns, PAGE_COLUMNS)],
        "colours": {norm: (light, DARK[light]) for norm, light in norm_colours(table.norms).items()},
        "baseline": BASELINE,
        "compared": COMPARED,
        "last_epoch": LAST_EPOCH,
        "best_epoch": best_epoch,
        "explanation": EXPLANATION,
        "best_explanation": BEST_EXPLANATIONS[best_epoch],
        "sentences": overall_sentences(table.overall),
        "texts": {column.recipe: difference_texts(column) for column in table.columns},
        "commands": list(dict.fromkeys(run.record.command for run in runs if run.record)),
    }


def _as_json(table: PaperTable) -> Any:
    """The table's numbers, without paths of this machine; what is not finite becomes null."""
    plain = dataclasses.replace(table, columns=tuple(dataclasses.replace(column, runs=()) for column in table.columns))
    entries = {key: value for key, value in dataclasses.asdict(plain).items() if not isinstance(value, Path)}
    for column in entries["columns"]:
        del column["runs"]
    return finite_or_null(entries)
