"""The benchmark for GPUs, small and on the CPU."""

import importlib
import json
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def benchmark():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
        yield importlib.import_module("gpu")


def test_errors_and_times(benchmark, monkeypatch, tmp_path, capsys) -> None:
    out = tmp_path / "gpu.json"
    words = ["gpu.py", "--device", "cpu", "--shapes", "tiny", "--rounds", "2", "--out", str(out)]
    monkeypatch.setattr("sys.argv", words)
    benchmark.main()
    facts = json.loads(out.read_text())
    bounds = {"float32": 1e-5, "bfloat16": 2e-2, "float16": 2e-3}
    assert len(facts["errors"]) == 2 * len(bounds)
    for row in facts["errors"]:
        assert max(row["output"], row["gradients"]) < bounds[row["dtype"]]
        assert row["running"] < 1e-5
    assert len(facts["times"]) == 2 * 2 * 2 * 2
    assert all(row["ours"] > 0 and row["share"] > 0 for row in facts["times"])
    assert "geometric mean" in capsys.readouterr().out


def test_a_training_stops_in_time_and_goes_on(benchmark, monkeypatch, tmp_path, capsys) -> None:
    words = ["gpu.py", "--only", "training", "--recipe", "digits", "--norms", "bn", "--seeds", "1"]
    words += ["--runs", str(tmp_path), "--epochs", "1", "--compile", "no"]
    for minutes in ("0.001", "10"):
        monkeypatch.setattr("sys.argv", [*words, "--minutes", minutes])
        benchmark.main()
    stopped, finished = capsys.readouterr().out.splitlines()
    assert stopped != finished == "exit codes: [0]"
    run = json.loads((tmp_path / "digits" / "bn" / "seed0" / "run.json").read_text())
    assert run["status"] == "finished"
