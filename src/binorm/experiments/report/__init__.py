"""Reports of runs: pages, tables and figures, from the runs' folders alone."""

from dataclasses import dataclass
from pathlib import Path

from rich.console import RenderableType


@dataclass(frozen=True)
class Written:
    """A report as written: its page, what the terminal shows of it, and whether there is a finished run in it."""

    html: Path
    terminal: RenderableType
    finished: bool


def write_report(folder: Path, classifier: Path | None = None) -> Written:
    """Write it."""
    from binorm.experiments.report.domains.console import console_domain_table
    from binorm.experiments.report.domains.page import write_domain_report
    from binorm.experiments.report.page import console_table
    from binorm.experiments.report.page import write_report as write_classification
    from binorm.experiments.report.style.console import console_style_table
    from binorm.experiments.report.style.page import write_style_report
    from binorm.experiments.runs.domains import is_domain_folder

    if is_domain_folder(folder):
        report = write_domain_report(folder)
        return Written(report.html, console_domain_table(report), bool(report.rows))
    if list(folder.glob("*/seed*/style.safetensors")):
        style = write_style_report(folder, classifier)
        return Written(style.html, console_style_table(style), True)
    plain = write_classification(folder)
    return Written(plain.html, console_table(plain), bool(plain.rows))
