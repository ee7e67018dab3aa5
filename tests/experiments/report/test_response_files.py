import dataclasses
import json

import pytest
import tiny

from binorm.experiments.common.errors import UserError
from binorm.experiments.report.responses import write_responses
from binorm.experiments.runs.checkpoint import load_network


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return tiny.train(tmp_path_factory.mktemp("runs"))


@pytest.mark.parametrize("file_format", ["png", "pdf", "svg"])
def test_a_run_becomes_figures_and_numbers(run, tmp_path, file_format):
    paths = write_responses(run, tiny.dataset(), tmp_path, file_format)
    assert len(paths) == 6
    assert all(path.stat().st_size > 1000 and path.suffix == f".{file_format}" for path in paths)
    summary = json.loads((tmp_path / "responses.json").read_text())
    assert (summary["evaluation"], summary["pictures"]) == ("test", 42)
    gates = dict(load_network(run)[0].named_parameters())
    for entry in summary["channels"]:
        assert entry["gate"] == pytest.approx(gates[f"{entry['layer']}.gate"][entry["index"]].item())
        assert entry["variation"]["gate 0"] < 1e-4


def test_other_data_and_other_norms_are_errors(run, tmp_path):
    data = tiny.dataset()
    with pytest.raises(UserError, match="the data has others"):
        write_responses(run, dataclasses.replace(data, classes=("a", "b", "d")), tmp_path)
    with pytest.raises(UserError, match="are streamed"):
        write_responses(run, dataclasses.replace(data, evaluation={"test": object()}), tmp_path)
    with pytest.raises(UserError, match="'gif'"):
        write_responses(run, data, tmp_path, "gif")
