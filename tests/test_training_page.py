"""Every snippet of docs/training.md runs as it stands there."""

import re
from pathlib import Path

import pytest
import torch
from naive import batch_of_styles
from torch import distributed, nn

import binorm

PAGE = Path(__file__).parents[1] / "docs" / "training.md"
SNIPPETS = [
    pytest.param(code, id=f"{section.partition(chr(10))[0]} {number}")
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", section, re.DOTALL), start=1)
]
NEEDED = ("accelerate", "lightning", "schedulefree", "timm", "transformers", "onnx")


@pytest.fixture
def one_process(tmp_path):
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def trained_things() -> dict[str, object]:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), binorm.BatchInstanceNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, 2),
    )  # fmt: skip
    pairs = [(x, i % 2) for i, x in enumerate(batch_of_styles((16, 3, 8, 8), torch.float32))]
    loader = torch.utils.data.DataLoader(pairs, batch_size=8)
    return {"torch": torch, "binorm": binorm, "model": model, "loader": loader, "loss": nn.functional.cross_entropy}


@pytest.mark.filterwarnings("ignore")  # what Lightning and PyTorch's exporters say of this small network
@pytest.mark.parametrize("snippet", SNIPPETS)
def test_the_snippet_runs_and_leaves_gates_in_use_in_range(snippet, one_process, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for library in NEEDED:
        if f"import {library}" in snippet or f"from {library}" in snippet or f"torch.{library}." in snippet:
            pytest.importorskip(library, reason=f"{library} is not installed")
    namespace = trained_things()
    exec(compile(snippet, str(PAGE), "exec"), namespace)  # noqa: S102 - our own page
    model = namespace["model"]
    assert isinstance(model, nn.Module)
    assert all(0 <= each.mean <= 1 for each in binorm.gate_summary(model))
