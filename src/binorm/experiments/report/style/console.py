"""A style report in the terminal: its table within 80 columns, and what it says of the paper's order."""

from rich import box
from rich.table import Table
from rich.text import Text

from binorm.experiments.report.statistics import number
from binorm.experiments.report.style.page import StyleReport
from binorm.experiments.runs.styles import LOSSES

WIDTH = 80


def console_style_table(report: StyleReport) -> Table:
    """The losses of a report, the paper's order and the gates, within 80 columns."""
    shown = Table.grid(padding=(0, 0, 1, 0))
    shown.add_column(max_width=WIDTH)
    shown.add_row(Text(report.title, style="bold"))
    if report.schedule:
        shown.add_row(Text(report.schedule, style="yellow"))
    if report.rows:
        steps = " or ".join(dict.fromkeys(row.steps_text for row in report.rows if row.runs))
        shown.add_row(Text(f"losses of the {report.last} of {steps}", style="italic"))
        shown.add_row(_losses(report))
        claims = [", ".join(filter(None, (f"{each.text}: {each.answer}", each.by_seed))) for each in report.claims]
        shown.add_row(Text("\n".join((report.conclusion, *(f"  {claim}" for claim in claims)))))
    else:
        shown.add_row(Text(report.summary))
    if report.gates_text:
        shown.add_row(Text(report.gates_text))
    for note in report.notes:
        shown.add_row(Text(f"Note: {note}", style="yellow"))
    return shown


def _losses(report: StyleReport) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("norm", overflow="fold")
    for heading in ("runs", *LOSSES, "seconds"):
        table.add_column(heading, justify="right", overflow="fold")
    lowest = {loss: report.lowest(loss) for loss in LOSSES}
    for row in report.rows:
        losses = [Text(report.text(row, loss), style="bold" if row.norm == lowest[loss] else "") for loss in LOSSES]
        table.add_row(Text(row.norm), row.runs_text, *losses, number(row.seconds.mean, 0) if row.runs else "–")
    return table
