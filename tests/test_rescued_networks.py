"""The benchmark of rescued networks, on two small ones."""

import importlib
import json
from pathlib import Path

import pytest
import torch
from torch import nn

pytest.importorskip("timm")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def benchmark():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
        yield importlib.import_module("rescued_networks")


def small(norm: type[nn.Module], auxiliary: bool) -> nn.Module:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), norm(4), nn.ReLU(), nn.Conv2d(4, 8, 3, stride=2), norm(8), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10),
    )  # fmt: skip
    if auxiliary:  # a norm that evaluation does not reach
        model[2].register_forward_hook(lambda layer, _, x: (layer.training and model[8].head(x), x)[1])
        model[8].head = norm(4)
    return model


@pytest.mark.filterwarnings("ignore")  # what PyTorch's exporters say
@pytest.mark.parametrize("auxiliary", [False, True])
def test_a_small_network_goes_all_the_way(benchmark, monkeypatch, auxiliary) -> None:
    monkeypatch.setattr(benchmark.timm, "create_model", lambda name, num_classes: small(nn.BatchNorm2d, auxiliary))
    row = benchmark.rescue("timm/small")
    assert benchmark.failures(row) == []
    assert row["norms"] == 2 + auxiliary
    assert row["converted_bits"]
    assert (row["first"]["gated"], row["first"]["folded"]) == (1, 1)
    assert (row["all"]["gated"], row["all"]["folded"]) == (2, 0)
    assert 0 < row["first"]["export_difference"] < 1e-5
    assert "| timm/small | 2" in benchmark.table({"timm/small": row}).replace("| 3 ", "| 2 ")


def test_a_failure_is_a_row_and_is_tried_again(benchmark, monkeypatch, tmp_path) -> None:
    tried: list[str] = []

    def fails(name: str, limit: float) -> dict[str, str]:
        tried.append(name)
        return {"failure": "RuntimeError: a | b"}

    out = tmp_path / "rows.json"
    monkeypatch.setattr(benchmark, "in_own_process", fails)
    monkeypatch.setattr(
        benchmark.sys, "argv", ["rescued_networks.py", "--networks", "timm/a,timm/b", "--out", str(out)]
    )
    benchmark.main()
    benchmark.main()
    assert tried == ["timm/a", "timm/b"] * 2
    assert json.loads(out.read_text())["networks"]["timm/b"] == {"failure": "RuntimeError: a | b"}
    assert "40 of the 40 are not run yet" in out.with_suffix(".md").read_text()
    assert "a \\| b |" in out.with_suffix(".md").read_text()


def test_there_are_forty_networks(benchmark) -> None:
    assert len(set(benchmark.NETWORKS)) == 40


@pytest.mark.parametrize(
    ("found", "expected"), [(torch.tensor([1.0, float("nan")]), float("inf")), (torch.tensor([1.0, 3.0]), 0.25)]
)
def test_differences_are_shares_of_the_largest_output(benchmark, found, expected) -> None:
    assert benchmark.difference(found, torch.tensor([1.0, 4.0])) == expected
