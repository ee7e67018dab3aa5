"""What stands under results/ is what today's code makes of the runs and reports that are kept there."""

import importlib.util
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"
REPORTS = [path.parent for path in sorted(RESULTS.glob("*/runs"))]


def _load_tool():
    spec = importlib.util.spec_from_file_location("results", ROOT / "tools" / "results.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tool = _load_tool()


@pytest.mark.parametrize("folder", REPORTS, ids=lambda each: each.name)
def test_committed_runs_give_the_committed_report(folder, tmp_path):
    made = tmp_path / folder.name
    shutil.copytree(folder / "runs", made / "runs")
    tool.rebuild(made)
    for name in ("report.json", "report.md"):
        assert (made / name).read_text() == (folder / name).read_text(), "repair it with: make results"
    assert _names(made / "figures") == _names(folder / "figures")


def _names(folder):
    return {path.name for path in folder.iterdir()}


def test_runs_are_kept_without_weights():
    kept = {path.name for path in RESULTS.glob("*/runs/**/*") if path.is_file()}
    assert kept <= {"config.yaml", "run.json", "metrics.csv", "gates.json", "confusion.json"}


def test_the_overview_is_that_of_the_committed_reports(tmp_path):
    folders = tool.reports(RESULTS)
    tool.write_overview(folders, tmp_path)
    for name in ("overview.json", "overview.md", "figures/forest.svg"):
        assert (tmp_path / name).read_text() == (RESULTS / name).read_text(), "repair it with: make results"
    readme = (RESULTS / "README.md").read_text()
    assert f"{tool.START}\n\n{tool.overview_text(tmp_path)}\n\n{tool.END}" in readme


@pytest.mark.parametrize("name", tool.TABLES)
def test_the_table_of_several_recipes_is_that_of_their_runs(name, tmp_path):
    tool.write_recipes_table([RESULTS / recipe for recipe in tool.TABLES[name]], tmp_path / name)
    for file in ("table.json", "table.md"):
        assert (tmp_path / name / file).read_text() == (RESULTS / name / file).read_text(), (
            "repair it with: make results"
        )


def test_only_what_stands_between_the_comments_is_replaced(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"# Results\n\n{tool.START}\nold\n{tool.END}\n\nmore\n")
    tool.splice(readme, "new")
    tool.splice(readme, "newer")
    assert readme.read_text() == f"# Results\n\n{tool.START}\n\nnewer\n\n{tool.END}\n\nmore\n"
    readme.write_text("# Results\n")
    with pytest.raises(ValueError, match="should hold"):
        tool.splice(readme, "new")
