import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy
import pytest
from page_tags import Tags
from report_files import printed

from binorm.experiments.report import page as pages
from binorm.experiments.report.page import (
    Command,
    Details,
    Facts,
    Figure,
    Gallery,
    Heading,
    Listing,
    Page,
    Section,
    Text,
    as_html,
    as_markdown,
    plain,
)
from binorm.experiments.report.significance import PairedDifference
from binorm.experiments.report.table import Cell, Head, Row, Table, drawn, reach
from binorm.experiments.report.terminal import WIDTH, TerminalPage
from binorm.experiments.report.written import Written, write_page

HOSTILE = "<script>alert(1)</script>|`*x*`[bold]$&"


def table(columns=2, group="", terminal="numbers", **options):
    heads = tuple(Head(f"column {place}", group=group and f"{group} {place // 2}") for place in range(columns))
    rows = (
        Row(Head("bn", ("3 runs",), norm="bn"), tuple(Cell(f"{place}.25", ("small",)) for place in range(columns))),
        Row(Head("total", total=True), tuple(Cell("9.75", ("", "below"), strong=True) for _ in range(columns))),
    )
    return Table("norm", heads, rows, terminal=terminal, **options)


def page(*blocks, **options):
    return Page("Title", "Summary.", [Section("First", blocks), Section("Empty", [])], {}, **options)


def shown(*blocks, width=80, **options):
    return printed(Written(Path(), TerminalPage(page(*blocks, **options)), True), width)


def test_a_table_is_the_same_in_every_form():
    html, markdown, terminal = as_html(page(table())), as_markdown(page(table())), shown(table())
    assert '<td><span class="strong">9.75</span><small>below</small></td>' in html
    assert '<tr class="total">' in html
    assert "| bn<br><sub>3 runs</sub> | 0.25<br><sub>small</sub> | 1.25<br><sub>small</sub> |" in markdown
    assert "| total | **9.75**<br><sub>below</sub> | **9.75**<br><sub>below</sub> |" in markdown
    for text in ("column 1", "0.25", "9.75", "3 runs", "below", "numbers"):
        assert text in terminal


def test_groups_stand_above_columns_once():
    grouped = table(4, "data")
    assert grouped.groups == [("data 0", 2), ("data 1", 2)]
    assert as_html(page(grouped)).count('colspan="2">data 0<') == 1
    assert "| norm | data 0, column 0 | data 0, column 1 | data 1, column 2 |" in as_markdown(page(grouped))
    turned = grouped.turned("column")
    assert [row.head.text for row in turned.rows] == [f"column {place}" for place in range(4)]
    assert [cell.text for cell in turned.rows[2].cells] == ["2.25", "9.75"]
    assert '<tr class="group"><th class="norm" colspan="3" scope="colgroup">data 1</th></tr>' in as_html(page(turned))
    assert turned.turned("norm") == grouped


def test_tables_too_wide_for_a_terminal_are_split_between_groups():
    wide = table(20, "data")
    lines = shown(wide, width=200).splitlines()
    assert max(len(line.rstrip()) for line in lines) <= WIDTH
    assert sum("numbers" in line for line in lines) > 1
    assert "…" not in "".join(lines)
    assert all(any(f"{place}.25" in line for line in lines) for place in range(20))


def test_intervals_share_a_scale_and_only_a_page_draws_them():
    tests = [PairedDifference(3, 1.0, -2.0, 4.0, 0.1), PairedDifference(3, 0.5, math.nan, math.nan, math.nan), None]
    assert reach(tests) == 4.0
    assert drawn(tests[0], 4.0).interval == (-0.5, 0.25, 1.0)
    assert [drawn(test, 4.0).interval for test in tests[1:]] == [None, None]
    assert drawn(tests[0], 0.0).interval is None
    rows = (Row(Head("bn"), (Cell("+1.00"), drawn(tests[0], 4.0))),)
    found = Table("norm", (Head("difference"), Head(drawn=True)), rows, terminal="x")
    assert 'M-25.0 0H50.0"/><circle cx="12.5"' in as_html(page(found))
    assert "| bn | +1.00 |\n" in as_markdown(page(found))


def test_every_block_is_in_page_and_markdown():
    figure = Figure("curve.svg", "A curve", b"<svg><text>drawn</text></svg>")
    blocks = [
        Text("A sentence.", "soft"),
        Heading("Part", "small words", "bin"),
        Gallery([figure], "wide"),
        Listing(["first item"]),
        Facts("Machine", {"cpu": "fast"}),
        Facts("", {"lr": "0.1"}),
        Facts("", {"Data": "many"}, wide=True),
        Command("binorm compare"),
        Details("More", [Text("hidden sentence"), Gallery([Figure("more.svg", "More", b"<svg></svg>")])]),
    ]
    found = page(*blocks, schedule="short schedule", notes=["careful"], fact="Fact.")
    html, markdown = as_html(found), as_markdown(found)
    for text in ("A sentence.", "Part", "small words", "A curve", "first item", "Machine", "fast", "0.1", "many"):
        assert text in html
        assert text in markdown
    for text in ("binorm compare", "More", "hidden sentence", "hort schedule", "careful", "Fact.", "Summary."):
        assert text in html
        assert text in markdown
    assert "<svg><text>drawn</text></svg>" in html
    assert 'src="figures/curve.svg"' in markdown
    assert [each.file for each in found.figures] == ["curve.svg", "more.svg"]
    assert "Empty" not in html + markdown


def test_nothing_from_outside_is_markup():
    hostile = Table(HOSTILE, (Head(HOSTILE, (HOSTILE,)),), (Row(Head(HOSTILE), (Cell(HOSTILE),)),), terminal=HOSTILE)
    found = Page(HOSTILE, HOSTILE, [Section(HOSTILE, [Text(HOSTILE), hostile, Command(HOSTILE)])], {}, notes=[HOSTILE])
    assert "script" not in Tags(as_html(found)).names
    markdown = as_markdown(found)
    assert "<script" not in markdown
    assert r"&lt;script&gt;alert(1)&lt;/script&gt;\|\`\*x\*\`\[bold\]\$&amp;" in markdown
    assert "[bold]" in printed(Written(Path(), TerminalPage(found), True))


def test_the_page_reaches_for_nothing():
    html = as_html(page(table(), Gallery([Figure("x.png", 'A "sheet"', b"\x89PNG")])))
    assert all(source.startswith("data:image/png;base64,") for source in Tags(html).sources)
    assert "default-src 'none'" in html
    assert "prefers-color-scheme: dark" in html
    assert 'name="viewport"' in html


def test_the_terminal_shows_what_is_meant_for_it():
    found = shown(Text("for all", terminal=True), Text("for pages"), table(), schedule="short", notes=["careful"])
    assert "for all" in found
    assert "Note: careful" in found
    assert "short" in found
    assert "for pages" not in found
    assert "Summary." not in found
    assert "Summary." in shown(Text("for pages"))


@dataclass(frozen=True)
class Record:
    name: str
    place: Path


def test_json_has_no_paths_and_no_nan():
    values = {1: (math.nan, 2.0, math.inf), "record": Record("x", Path("/home")), "array": numpy.array([[1, 2]])}
    assert plain(values) == {"1": [None, 2.0, None], "record": {"name": "x"}, "array": [[1, 2]]}


@pytest.mark.parametrize("name", ["report", "table"])
def test_a_page_is_written_in_four_forms(tmp_path, name):
    figure = Figure("x.svg", "X", b"<svg></svg>")
    written = write_page(Page("T", "S", [Section("A", [Gallery([figure])])], {"a": 1}, finished=False), tmp_path, name)
    assert written.html == tmp_path / f"{name}.html"
    assert not written.finished
    assert json.loads((tmp_path / f"{name}.json").read_text()) == {"a": 1}
    assert (tmp_path / pages.FIGURES_FOLDER / "x.svg").read_bytes() == b"<svg></svg>"
    assert (tmp_path / f"{name}.md").read_text().startswith("# T\n\nS\n")
