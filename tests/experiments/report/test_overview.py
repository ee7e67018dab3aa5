"""BIN against BN over many reports: figure and table, and the command that writes reports anew."""

import json
import shutil

import pytest
from fake_domains import write_domain_run
from fake_runs import write_run
from report_files import read_report

from binorm.experiments.cli import main
from binorm.experiments.common.errors import UserError
from binorm.experiments.report import write_report
from binorm.experiments.report.figures.forest import ForestRow, forest
from binorm.experiments.report.parts.overview import write_overview
from binorm.experiments.report.significance import PairedDifference

LIGHT = {"config.yaml", "run.json", "metrics.csv", "gates.json", "confusion.json"}  # what travels of a finished run


@pytest.fixture
def folders(tmp_path):
    """Of a classifier with shifted pictures and a short schedule, and of two domains with two methods."""
    for norm, gain in (("bn", 0), ("bin", 5)):
        for seed in range(3):
            shifted = {
                "test": {"pictures": 9, "side": 32, "clean": 90, "shifts": {"dark": 50 + seed + gain * (1 + seed)}}
            }
            config = {"full_epochs": 20}
            write_run(tmp_path / "digits", norm, seed, evaluation=("test",), record={"shifted": shifted}, config=config)
            for method in ("source-only", "dann"):
                place = {"task": "adaptation", "method": method, "sources": ("art",), "target": "clipart"}
                write_domain_run(tmp_path / "pair", norm, seed, **place, evaluation=("clipart",))
    found = [tmp_path / "digits", tmp_path / "pair"]
    for folder in found:
        write_report(folder)
    return found


def test_every_comparison_of_bin_with_bn_has_a_row(folders, tmp_path):
    page = read_report(write_overview(folders, tmp_path / "out"))
    rows = page.entries["rows"]
    assert [(row["folder"], row["group"]) for row in rows] == [
        ("digits", "Test pictures of the same kind"),
        ("pair", "Several domains"),
        ("pair", "Several domains"),
        ("digits", "The same test pictures, shifted"),
    ]
    assert [row["schedule"] for row in rows] == ["4 of 20 epochs", "", "", "4 of 20 epochs"]
    assert rows[1]["label"].endswith(", source-only")
    own = json.loads((folders[0] / "report.json").read_text())["rows"][1]
    assert rows[0]["test"] == own["difference"]
    assert rows[0]["compared"] == own["last"]["mean"]
    assert rows[3]["test"]["mean"] == pytest.approx(10)
    assert (rows[3]["baseline"], rows[3]["compared"]) == (51, 61)
    assert "ResNet-8 (4 of 20 epochs) | 51.00 | 61.00 |" in page.markdown
    assert "### The same test pictures, shifted" in page.markdown
    assert "The interval is above 0 in 0 of 1, below it in 0, and holds it in 1." in page.markdown
    figure = (tmp_path / "out" / "figures" / "forest.svg").read_text()
    assert "ResNet-8 (4/20 epochs)" in figure


def test_reports_without_a_comparison_are_left_out_and_named_where_there_is_no_other(folders, tmp_path):
    for seed in range(2):
        write_run(tmp_path / "alone", "bn", seed)
    write_report(tmp_path / "alone")
    both = write_overview([*folders, tmp_path / "alone"], tmp_path / "out")
    assert {row["folder"] for row in read_report(both).entries["rows"]} == {"digits", "pair"}
    with pytest.raises(UserError, match="none of 1 report compares bin with bn"):
        write_overview([tmp_path / "alone"], tmp_path / "out")


@pytest.mark.parametrize("content", ["{", "[]", '{"title": "x"}', '{"title": "x", "rows": [{"evaluation": 3}]}'])
def test_a_damaged_report_is_named(folders, content, tmp_path):
    (folders[0] / "report.json").write_text(content)
    with pytest.raises(UserError, match=r"report.json is damaged .*binorm report"):
        write_overview(folders, tmp_path / "out")


def test_an_interval_beyond_the_axes_ends_in_an_arrow():
    def row(low, mean, high):
        return ForestRow("group", "label", PairedDifference(3, mean, low, high, 0.1))

    usual = [row(-1, 0.5, 2)] * 8
    plain = forest("title", usual, "#d55e00", "points").decode()
    wide = forest("title", [*usual, row(-40, 1, 42)], "#d55e00", "points").decode()
    assert wide.count("<use") > plain.count("<use") + 1  # a dot and two arrows
    alike = forest("title", [row(float("nan"), 0.5, float("nan"))], "#d55e00", "points").decode()
    assert "+0.50<" in alike


def test_the_command_writes_reports_from_what_travels_of_runs(folders, tmp_path, capsys):
    kept = tmp_path / "kept"
    for folder in folders:
        for path in folder.glob("**/seed*/*"):
            if path.name in LIGHT:
                to = kept / folder.name / "runs" / path.relative_to(folder)
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, to)
    names = [str(kept / folder.name) for folder in folders]
    assert main(["report", *names, "--overview", str(kept)]) == 0
    assert "bin − bn" in capsys.readouterr().out
    for folder in folders:
        assert (kept / folder.name / "report.json").read_text() == (folder / "report.json").read_text()
    assert json.loads((kept / "overview.json").read_text())["rows"]


def test_the_command_takes_whatever_lies_in_runs_and_again(folders, tmp_path, capsys):
    runs = tmp_path / "all"
    for folder in folders:
        shutil.copytree(folder, runs / folder.name)
    for seed in range(2):
        for norm in ("bn", "bin"):
            write_run(runs / "style" / "starry", norm, seed)
    (runs / "table.html").write_text("a table")
    for _ in range(2):
        given = [str(path) for path in sorted(runs.glob("*"))]
        assert main(["report", *given, "--overview", str(runs)]) == 0
    assert (runs / "style" / "starry" / "report.html").exists()
    assert {row["folder"] for row in json.loads((runs / "overview.json").read_text())["rows"]} == {"digits", "pair"}


def test_the_command_refuses_what_is_not_there_and_what_has_no_runs(tmp_path, capsys):
    assert main(["report", "nowhere"]) == 2
    assert "there is no nowhere" in " ".join(capsys.readouterr().err.split())
    assert main(["report", str(tmp_path)]) == 2
    assert "there are no runs in" in " ".join(capsys.readouterr().err.split())


def test_means_are_over_the_seeds_that_both_norms_have(folders, tmp_path):
    shutil.rmtree(folders[0] / "bin" / "seed2")
    write_report(folders[0])
    row = read_report(write_overview(folders, tmp_path / "out")).entries["rows"][0]
    assert row["compared"] - row["baseline"] == pytest.approx(row["test"]["mean"])
    assert row["test"]["pairs"] == 2
