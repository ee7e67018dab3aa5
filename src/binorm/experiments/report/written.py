"""Writes a page in all its forms."""

from dataclasses import dataclass
from pathlib import Path

from rich.console import RenderableType

from binorm.experiments.common.files import write_bytes_atomically, write_text_atomically
from binorm.experiments.report.page import FIGURES_FOLDER, Page, as_html, as_json, as_markdown
from binorm.experiments.report.terminal import TerminalPage


@dataclass(frozen=True)
class Written:
    """What was written: the page, what a terminal shows of it, and whether any run has finished."""

    html: Path
    terminal: RenderableType
    finished: bool


def write_page(page: Page, folder: Path, name: str = "report") -> Written:
    """Write a page's HTML, Markdown, JSON and figures.

    Raises:
        UserError: where they cannot be written.
    """
    for figure in page.figures:
        write_bytes_atomically(folder / FIGURES_FOLDER / figure.file, figure.content)
    write_text_atomically(folder / f"{name}.md", as_markdown(page))
    write_text_atomically(folder / f"{name}.json", as_json(page))
    write_text_atomically(folder / f"{name}.html", as_html(page))
    return Written(folder / f"{name}.html", TerminalPage(page), page.finished)
