"""A report as sections of blocks, and its four forms: HTML that stands alone, Markdown, JSON, and the terminal's."""

import base64
import dataclasses
import html
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from binorm.experiments.common.text import printable
from binorm.experiments.report.figures.theme import DARK, norm_colours
from binorm.experiments.report.table import Head, Table

FIGURES_FOLDER = "figures"


@dataclass(frozen=True)
class Figure:
    """A drawing or a sheet of samples: the name of its file, what it shows, and the file's content."""

    file: str
    caption: str
    content: bytes

    @property
    def inline(self) -> Markup:
        """What stands for the figure in the page: SVG as it is, whose text is escaped, or a data URI."""
        if self.file.endswith(".svg"):
            return Markup(self.content.decode())  # noqa: S704 - drawn here
        kind = self.file.rpartition(".")[2]
        uri = f"data:image/{kind};base64,{base64.b64encode(self.content).decode()}"
        return Markup('<img src="{}" alt="{}">').format(uri, self.caption)


@dataclass(frozen=True)
class Text:
    """A paragraph; ``look`` is ``soft`` for small print, and ``terminal`` says whether the terminal shows it."""

    kind: ClassVar = "text"
    text: str
    look: str = ""
    terminal: bool = False


@dataclass(frozen=True)
class Heading:
    """Above a part of a section; ``norm`` is the one whose colour stands before it."""

    kind: ClassVar = "heading"
    text: str
    small: str = ""
    norm: str = ""


@dataclass(frozen=True)
class Gallery:
    """Figures side by side.

    ``look`` is ``small``, ``thumbs`` for many small pictures, ``wide`` for one below the other, ``own`` for those that
    Markdown shows in their own size, or nothing.
    """

    kind: ClassVar = "gallery"
    figures: Sequence[Figure]
    look: str = ""


@dataclass(frozen=True)
class Listing:
    """Sentences, one below the other."""

    kind: ClassVar = "listing"
    items: Sequence[str]
    terminal: bool = False


@dataclass(frozen=True)
class Facts:
    """Names and values under a heading; of ``wide`` ones the values are sentences."""

    kind: ClassVar = "facts"
    heading: str
    entries: Mapping[str, str]
    wide: bool = False


@dataclass(frozen=True)
class Command:
    """What somebody typed."""

    kind: ClassVar = "command"
    text: str


@dataclass(frozen=True)
class Details:
    """What a page shows only when asked."""

    kind: ClassVar = "details"
    summary: str
    blocks: Sequence["Block"]


Block = Text | Heading | Gallery | Listing | Facts | Command | Details | Table


@dataclass(frozen=True)
class Section:
    """Blocks under a heading."""

    heading: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    """A whole report.

    Attributes:
        title: one line.
        summary: one sentence: what was compared, on what.
        sections: in the order of reading; those without blocks are left out.
        entries: the numbers, for programs.
        schedule: ``"short schedule: 5 of 164 epochs"`` where runs are shorter than their recipe, else None.
        notes: what a reader must know before believing the tables.
        fact: what stands out between the summary and the notes.
        finished: whether any run is.
        wide: whether tables need more room than text.
        remarks: what was left out of the data or is peculiar about them.
    """

    title: str
    summary: str
    sections: Sequence[Section]
    entries: Mapping[str, Any]
    schedule: str | None = None
    notes: Sequence[str] = ()
    fact: str = ""
    finished: bool = True
    wide: bool = False
    remarks: Sequence[str] = ()

    def blocks(self) -> Iterator[Block]:
        """All of them, with those that are shown when asked."""
        todo: list[Block] = [block for section in self.sections for block in section.blocks]
        while todo:
            yield (block := todo.pop(0))
            todo = [*block.blocks, *todo] if isinstance(block, Details) else todo

    @property
    def figures(self) -> list[Figure]:
        """All that the page shows."""
        return [figure for block in self.blocks() if isinstance(block, Gallery) for figure in block.figures]


def as_html(page: Page) -> str:
    """The page in one file that reaches for nothing; nothing in it is trusted but the figures that were drawn here."""
    norms = {head.norm for block in page.blocks() if isinstance(block, Table) for head in _heads(block)}
    norms |= {block.norm for block in page.blocks() if isinstance(block, Heading)}
    colours = {norm: (light, DARK[light]) for norm, light in norm_colours(sorted(norms - {""})).items()}
    return printable(_environment().get_template("page.html.jinja").render(page=page, colours=colours), "\n\t")


def as_markdown(page: Page) -> str:
    """The page for GitHub, with its figures as files beside it."""
    made = _environment(finalize=_escape_markdown)
    text = made.get_template("page.md.jinja").render(page=page)
    return re.sub(r"\n{3,}", "\n\n", printable(text, "\n\t")).strip() + "\n"


def as_json(page: Page) -> str:
    """The numbers, without paths of this machine; what is not finite becomes null."""
    return json.dumps(plain(page.entries), indent=1, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """``value`` for JSON: records as objects without their paths, arrays as lists, and null for what is not finite."""
    if dataclasses.is_dataclass(value):
        entries = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
        return plain({key: entry for key, entry in entries.items() if not isinstance(entry, Path)})
    if isinstance(value, Mapping):
        return {printable(str(key)): plain(entry) for key, entry in value.items()}
    if isinstance(value, numpy.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, str):
        return printable(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _heads(table: Table) -> list[Head]:
    return [*table.columns, *(row.head for row in table.rows)]


def _environment(**options: Any) -> Environment:
    """Templates in which every value is escaped unless it is marked as safe: run files are not trusted.

    A ``finalize`` for Markdown runs before the escaping for HTML, which then lets the result through.
    """
    made = Environment(
        loader=PackageLoader("binorm.experiments.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        **options,
    )
    made.filters |= {"attribute": _attribute}
    return made


def _escape_markdown(value: object) -> Markup:
    """``value`` as text that GitHub's Markdown shows literally, on one line."""
    if isinstance(value, Markup):
        return value
    text = html.escape(" ".join(str(value).split()), quote=False)
    return Markup(re.sub(r"([\\`*_{}\[\]|#~$])", r"\\\1", text))  # noqa: S704 - escaped in this line


def _attribute(value: object) -> Markup:
    """``value`` inside an HTML tag of a Markdown file, where its characters mean nothing to Markdown."""
    return Markup(html.escape(str(value)))  # noqa: S704 - escaped in this line
