"""The reports under results/ whose runs lie beside them are what today's code makes of these runs."""

import json
import shutil
from pathlib import Path

import pytest

from binorm.experiments.report import write_report

RESULTS = Path(__file__).parents[1] / "results"
NOT_REMADE = {"features.svg"}  # of the features of samples, which runs here are kept without


def whole(report: Path) -> bool:
    """Whether the runs of a report are all there: of one that waits for its whole schedule, some may be."""
    reported = {run["record"]["started"] for run in json.loads(report.read_text())["runs"]}
    kept = {json.loads(path.read_text())["started"] for path in report.parent.glob("runs/**/seed*/run.json")}
    return kept == reported


REPORTS = [path.parent for path in sorted(RESULTS.glob("*/report.json")) if (path.parent / "runs").is_dir()]


@pytest.mark.parametrize(
    "folder", [each for each in REPORTS if whole(each / "report.json")], ids=lambda each: each.name
)
def test_committed_runs_give_the_committed_report(folder, tmp_path):
    runs = tmp_path / folder.name
    shutil.copytree(folder / "runs", runs)
    write_report(runs)
    for name in ("report.json", "report.md"):
        assert (runs / name).read_text() == (folder / name).read_text()
    kept = {path.name for path in (folder / "figures").iterdir()}
    made = {path.name for path in (runs / "figures").iterdir()}
    assert made | NOT_REMADE == kept | NOT_REMADE
