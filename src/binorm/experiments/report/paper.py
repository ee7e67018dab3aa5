"""The paper's table, for the time being."""

from collections.abc import Sequence
from pathlib import Path

from binorm.experiments.report import Written
from binorm.experiments.report.paper_table import console_paper_table
from binorm.experiments.report.paper_table import write_table as write_paper_table


def write_table(folders: Sequence[Path], out: Path) -> Written:
    """Write it."""
    table = write_paper_table(list(folders), out)
    return Written(table.html, console_paper_table(table), True)
