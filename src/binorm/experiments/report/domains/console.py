"""A domain report in the terminal: its table within 100 columns, and what it says of norms and methods."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from binorm.experiments.report.domains.comparisons import leading
from binorm.experiments.report.domains.explanations import CHOSEN
from binorm.experiments.report.domains.grid import Grid, GridCell, Head
from binorm.experiments.report.domains.notes import NOUNS
from binorm.experiments.report.domains.page import DomainReport
from binorm.experiments.report.tables import LAST_EPOCH

WIDTH = 100
_NAME_WIDTH = 34  # of a row's name; longer ones go on below


def console_domain_table(report: DomainReport) -> Table:
    """The accuracies and the comparisons of a report, within 100 columns; tasks are rows where they are many."""
    shown = Table.grid(padding=(0, 0, 1, 0))
    shown.add_column(max_width=WIDTH)
    shown.add_row(Text(report.title, style="bold"))
    if report.schedule:
        shown.add_row(Text(report.schedule, style="yellow"))
    for rows, heading in ((report.rows, ""), (report.single_rows, ", trained on a single domain")):
        if rows:
            shown.add_row(Text(f"top-1 %, {LAST_EPOCH}{heading}", style="italic"))
            for table in _tables(report, singles=rows is report.single_rows):
                shown.add_row(table)
    for text in _sentences(report):
        shown.add_row(Text(text))
    for note in report.notes:
        shown.add_row(Text(f"Note: {note}", style="yellow"))
    return shown


def _sentences(report: DomainReport) -> Iterable[str]:
    noun = NOUNS[report.kind]
    if report.validated and report.rows:
        yield f"Second lines: {CHOSEN[report.kind]}."
    if report.statistics:
        yield report.statistics
    yield from (each.sentence(noun) for each in (*leading(report.norms), *report.methods))


def _tables(report: DomainReport, singles: bool) -> list[Table]:
    """One table with tasks as columns where it fits, else tables of some methods each with tasks as rows."""
    upright = report.grid(transposed=False, singles=singles)
    table = _table(upright, range(len(upright.columns)))
    if _width(table) <= WIDTH:
        return [table]
    turned = report.grid(transposed=True, singles=singles)
    return [_table(turned, block) for block in _blocks(turned)]


def _blocks(grid: Grid) -> list[list[int]]:
    """As many columns side by side as fit, those of one method together where they can be."""
    blocks: list[list[int]] = []
    for group in dict.fromkeys(head.group for head in grid.columns):
        members = [place for place, head in enumerate(grid.columns) if head.group == group]
        for part in [members] if _fits(grid, members) else [[place] for place in members]:
            if blocks and _fits(grid, [*blocks[-1], *part]):
                blocks[-1] += part
            else:
                blocks.append(part)
    return blocks


def _fits(grid: Grid, places: Sequence[int]) -> bool:
    return _width(_table(grid, places)) <= WIDTH


def _width(table: Table) -> int:
    return Console(width=10 * WIDTH).measure(table).maximum


def _table(grid: Grid, places: Sequence[int]) -> Table:
    """The columns at some places of a grid."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(Text(grid.corner), max_width=_NAME_WIDTH, overflow="fold", vertical="top")
    group = ""
    for place in places:
        head = grid.columns[place]
        above = f"{head.group}\n" if head.group != group or not grid.transposed else "\n"
        table.add_column(
            Text((above if grid.column_groups else "") + head.name, style=_style(head)),
            justify="right",
            vertical="top",
        )
        group = head.group
    group = ""
    for head, cells in grid.rows:
        if head.group != group:
            table.add_section()
            table.add_row(Text(head.group, style="bold"))
            group = head.group
        if head.total:
            table.add_section()
        name = Text(f"{'  ' if head.group else ''}{head.name}", style=_style(head))
        table.add_row(name, *(_cell(cells[place]) for place in places))
    return table


def _style(head: Head) -> str:
    return "dim" if head.reported else ""


def _cell(cell: GridCell) -> Text:
    text = Text(cell.text, style="dim" if cell.reported else "bold" if cell.highest else "")
    for more in filter(None, (cell.chosen, cell.incomplete)):
        text.append(f"\n{more}", style="not bold dim")
    return text
