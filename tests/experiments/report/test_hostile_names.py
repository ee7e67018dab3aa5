"""Names as people's files have them: a report of a run with such names is written, whole and harmless."""

import json

import pytest
import yaml
from fake_domains import write_domain_run
from fake_runs import write_run
from page_tags import Tags
from report_files import report_of

from binorm.experiments.common.text import all_printable, printable
from binorm.experiments.report.publication import write_figures

NAMES = (
    "caf\udce9",
    "a$b$c",
    "<script>alert(1)</script>",
    "n" * 300,
    "two\nlines\ttab\x07",
    "\u202eevil",
    "שלום",
    "😀👩‍👩‍👧",
    "",
)


def test_what_cannot_be_shown_is_escaped_and_nothing_else():
    assert printable("caf\udce9 a\nb\x1b[31m\u202e\u2028") == r"caf\xe9 a\nb\x1b[31m\u202e\u2028"
    assert printable("שלום 😀👩‍👩‍👧 é $<>&\\ \xa0") == "שלום 😀👩‍👩‍👧 é $<>&\\ \xa0"
    assert printable("a\nb\r", keep="\n") == "a\nb\\r"
    assert all_printable({"\udce9": ["\n", {"a": ("\n", 1)}, None]}) == {r"\xe9": [r"\n", {"a": ("\n", 1)}, None]}


def harmless(text):
    """Neither control characters nor halves of characters."""
    return text == printable(text, "\n\t") and text.encode()


def test_a_classification_report_is_written(tmp_path):
    data = {"name": "folder", "source": NAMES[0], "train": 9, "evaluation": dict.fromkeys(NAMES[:-1], 30)}
    data |= {"classes": list(NAMES), "skipped": list(NAMES), "remarks": list(NAMES)}
    data |= {"duplicates": dict.fromkeys(NAMES[:-1], 3)}
    config = {"name": NAMES[2], "title": NAMES[0], "model": NAMES[4]}
    sets = tuple(f"{printable(name)}"[:100] for name in NAMES[:-1])
    data["evaluation"] = dict.fromkeys(sets, 30)
    for norm in ("bn", "bin"):
        run = write_run(
            tmp_path / "runs", norm, 0, evaluation=tuple(name.replace("/", "-") for name in sets), config=config
        )
        record = json.loads((run / "run.json").read_text())
        data["evaluation"] = record["data"]["evaluation"]
        (run / "run.json").write_text(json.dumps(record | {"data": data, "command": " ".join(NAMES)}))
    report = report_of(tmp_path / "runs")
    assert all(map(harmless, (report.html, report.markdown, report.json, report.terminal)))
    assert "script" not in Tags(report.html).names
    assert r"caf\xe9" in report.html
    assert all(len(path.name) < 130 for path in (report.folder / "figures").iterdir())


@pytest.mark.parametrize("file_format", ["svg", "pdf", "png"])
def test_figures_of_domains_are_drawn(tmp_path, file_format):
    classes = NAMES[:7]
    domains = ("art", "clipart")
    for norm in ("bn", "bin"):
        run = write_domain_run(
            tmp_path / "runs",
            norm,
            0,
            task="mixed",
            sources=domains,
            evaluation=domains,
            classes=domains[:1] * 7,
            pictures=0,
        )
        confusions = json.loads((run / "confusion.json").read_text())
        (run / "confusion.json").write_text(json.dumps(confusions | {"classes": classes}))
    report = report_of(tmp_path / "runs")
    svg = next(path for path in (report.folder / "figures").iterdir() if path.name.startswith("confusions")).read_text()
    assert harmless(svg)
    assert "<script" not in svg
    assert ">a$b$c<" in svg
    assert write_figures(tmp_path / "runs", tmp_path / "print", file_format)
    assert harmless((tmp_path / "print" / "captions.txt").read_text())


def test_a_recipe_file_with_such_a_name_has_a_name_that_can_be_written(tmp_path):
    from binorm.experiments.recipes import load_recipe

    path = tmp_path / "caf\udce9\n.yaml"
    path.write_text(yaml.safe_dump({"base": "digits"}))
    assert load_recipe(str(path)).name == r"caf\xe9\n"
