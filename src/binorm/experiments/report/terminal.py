"""What a terminal shows of a report, and the tables that it shows alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table as TerminalTable
from rich.text import Text as TerminalText

from binorm.experiments.common.text import printable
from binorm.experiments.report.page import Listing, Page, Text
from binorm.experiments.report.table import Cell, Row, Table

WIDTH = 100  # characters of a terminal that a table may take
_NAME_WIDTH = 34  # of a row's name; longer ones go on below


@dataclass(frozen=True)
class TerminalPage:
    """What a terminal of any width shows of a page: title, schedule and notes, with its tables and sentences."""

    page: Page

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """A grid of at most `WIDTH` columns."""
        grid = TerminalTable.grid(padding=(0, 0, 1, 0))
        grid.add_column(max_width=WIDTH)
        for part in _parts(self.page, min(WIDTH, options.max_width)):
            grid.add_row(part)
        yield grid


def _parts(page: Page, room: int) -> list[RenderableType]:
    blocks = [block for block in page.blocks() if getattr(block, "terminal", "")]
    parts: list[RenderableType] = [_text(page.title, style="bold")]
    if page.schedule:
        parts.append(_text(page.schedule, style="yellow"))
    if not any(isinstance(block, Table) for block in blocks):
        parts.append(_text(page.summary))
    for block in blocks:
        if isinstance(block, Table):
            parts += terminal_tables(block, room)
        elif isinstance(block, Text):
            parts.append(_text(block.text))
        elif isinstance(block, Listing):
            parts.append(_text("\n".join(f"  {item}" for item in block.items)))
    parts += [_text(page.fact)] if page.fact else []
    parts += [_text(f"Note: {note}", style="yellow") for note in page.notes]
    return parts + ([_in_one_line(page.remarks)] if page.remarks else [])


def _text(text: str, style: str = "") -> TerminalText:
    """Text that a terminal can show, without what would move its cursor."""
    return TerminalText(printable(text, "\n"), style=style)


def _in_one_line(remarks: Sequence[str]) -> TerminalText:
    """The remarks on the data as far as one line holds them; the report has them whole."""
    text = _text(f"About the data: {' '.join(remarks)}", style="yellow")
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def terminal_tables(table: Table, room: int = WIDTH) -> list[TerminalTable]:
    """One table where it fits, else one with rows for columns if that does, else some of the columns in each.

    Small lines stand behind their figures where ``room`` columns hold them, or the first of them, else below.
    """
    table = table.plain
    places = range(len(table.columns))
    for each, width in ((_in_line(table, None), room), (_in_line(table, 1), room), (table, WIDTH)):
        if _fits(each, places, width):
            return [_terminal_table(each)]
    if not table.groups and any(row.head.group for row in table.rows):
        table = table.turned("")
    return [_terminal_table(table.select(block)) for block in _terminal_blocks(table)]


def _in_line(table: Table, count: int | None) -> Table:
    """With so many small lines of each cell, or all, behind its figure: ``+4.00 (+1.78 to +6.22, higher)``."""
    rows = []
    for row in table.rows:
        head = replace(row.head, text=", ".join((row.head.text, *row.head.lines)), small=())
        cells = []
        for cell in row.cells:
            behind = cell.lines[:count]
            text = f"{cell.text} ({', '.join(behind)})" if behind else cell.text
            cells.append(replace(cell, text=text, small=cell.lines[len(behind) :]))
        rows.append(Row(head, tuple(cells)))
    return replace(table, rows=tuple(rows))


def _terminal_blocks(table: Table) -> list[list[int]]:
    """As many columns side by side as fit, those of one group together where they can be."""
    blocks: list[list[int]] = []
    for group in dict.fromkeys(head.group for head in table.columns):
        members = [place for place, head in enumerate(table.columns) if head.group == group]
        for part in [members] if _fits(table, members) else [[place] for place in members]:
            if blocks and _fits(table, [*blocks[-1], *part]):
                blocks[-1] += part
            else:
                blocks.append(part)
    return blocks


def _fits(table: Table, places: Sequence[int], width: int = WIDTH) -> bool:
    return Console(width=10 * WIDTH).measure(_terminal_table(table.select(places))).maximum <= width


def _terminal_table(table: Table) -> TerminalTable:
    title = _text(table.terminal, style="italic")
    made = TerminalTable(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    made.add_column(_text(table.corner), max_width=_NAME_WIDTH, overflow="fold", vertical="top")
    seen = ""
    for head in table.columns:
        above = f"{head.group if head.group != seen else ''}\n" if table.groups else ""
        text = _text(above, style="dim" if head.quiet else "") + _terminal_cell(head)
        made.add_column(text, justify="left" if head.words else "right", vertical="top")
        seen = head.group
    seen = ""
    for row in table.rows:
        if row.head.group != seen:
            made.add_section()
            made.add_row(_text(row.head.group, style="bold"))
            seen = row.head.group
        if row.head.total:
            made.add_section()
        indent = TerminalText("  " if row.head.group else "")
        made.add_row(indent + _terminal_cell(row.head), *map(_terminal_cell, row.cells))
    return made


def _terminal_cell(cell: Cell) -> TerminalText:
    text = _text(cell.text, style="dim" if cell.quiet else "bold" if cell.strong else "")
    for line in cell.lines:
        text.append(f"\n{printable(line)}", style="not bold dim")
    return text
