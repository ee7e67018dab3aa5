"""A report as a test reads it: written once, then its four forms."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from binorm.experiments.report import write_report
from binorm.experiments.report.written import Written


def printed(written: Written, width: int = 160) -> str:
    """What a terminal shows."""
    console = Console(width=width)
    with console.capture() as capture:
        console.print(written.terminal)
    return capture.get()


@dataclass(frozen=True)
class Report:
    """A written report: its page, Markdown, JSON and what a terminal of 160 or 80 columns shows, and the numbers."""

    html: str
    markdown: str
    json: str
    terminal: str
    narrow: str
    folder: Path
    finished: bool

    @property
    def entries(self) -> dict[str, Any]:
        """The numbers of report.json."""
        return dict(json.loads(self.json))

    @property
    def everywhere(self) -> list[str]:
        """What people read."""
        return [self.html.replace("&#39;", "'"), self.markdown, self.terminal]


def read_report(written: Written) -> Report:
    """Read what was written."""
    texts = [written.html.with_suffix(ending).read_text() for ending in (".html", ".md", ".json")]
    return Report(*texts, printed(written), printed(written, 80), written.html.parent, written.finished)


def report_of(folder: Path, classifier: Path | None = None) -> Report:
    """Write a report and read it."""
    return read_report(write_report(folder, classifier))
