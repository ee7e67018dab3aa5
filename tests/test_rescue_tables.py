"""The tables of rescued networks say what the committed results say."""

import importlib
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results" / "rescue"
pytest.importorskip("scipy")


@pytest.fixture(scope="module")
def benchmarks():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        yield importlib.import_module("rescue"), importlib.import_module("rescue_target")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.replace("*", "").split("|")[1:-1]]


def rows_of_docs() -> list[list[str]]:
    """Of the documentation's and the results' tables, without emphasis."""
    pages = (ROOT / "docs" / "rescue.md", ROOT / "results" / "README.md")
    return [cells(line) for page in pages for line in page.read_text().splitlines() if line.startswith("|")]


@pytest.mark.parametrize("place", ["target", "target-lite2"])
def test_targets(benchmarks, place) -> None:
    answers = json.loads((RESULTS / place / f"{place}.json").read_text())["answers"]
    text = benchmarks[1].table(answers)
    assert (RESULTS / place / f"{place}.md").read_text() == text
    variants = [cells(line)[1:] for line in text.splitlines()[2:6]]
    shown = [row[1:] for row in rows_of_docs() if len(row) == 5]
    assert all(shown.count(each) == 2 for each in variants)


def test_networks_fine_tuned_on_domains(benchmarks) -> None:
    lines = benchmarks[0].pacs_table(RESULTS).splitlines()[2:]
    shown = [row[2:] for row in rows_of_docs() if len(row) == 4]
    assert len(lines) == 6
    assert all(shown.count(cells(line)[3:]) == 2 for line in lines)


def test_networks_fine_tuned_on_domains_with_a_target(benchmarks) -> None:
    answers = json.loads((RESULTS / "pacs-target" / "pacs-target.json").read_text())["answers"]
    text = benchmarks[1].runs_table(answers)
    assert (RESULTS / "pacs-target" / "pacs-target.md").read_text() == text
    shown = [row[1:] for row in rows_of_docs() if len(row) == 5]
    assert all(shown.count(cells(line)[1:]) == 2 for line in text.splitlines()[2:4])


def test_methods(benchmarks) -> None:
    """Of what `binorm robustness` reported: clean, corruptions, shifts of style."""
    shown = [row[1:] for row in rows_of_docs()]
    lines = [cells(line) for line in benchmarks[0].table(RESULTS).splitlines()[2:]]
    methods = [row for row in lines if row[0] in ("lite0", "online")]
    assert len(methods) == 4 + 5
    assert all([cell.replace("-", "−") for cell in row[3:]] in shown for row in methods)


def test_seeds_and_shifts_count_alike(benchmarks) -> None:
    target = benchmarks[1]
    answers = {"dark": {"gates": ["1110", "1100"]}, "warm": {"gates": ["1000", "1000"]}}
    found = target.by_shift(answers, ["dark", "warm"], "gates")
    assert {name: each.tolist() for name, each in found.items()}["dark"] == [[1, 1, 1, 0], [1, 1, 0, 0]]
    assert target.mean_top1(found) == 100 * (5 / 8 + 2 / 8) / 2
    assert [target.signed(value) for value in (1.25, -0.04)] == ["+1.2", "−0.0"]
