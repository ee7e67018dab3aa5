"""Every snippet of docs/ship.md runs on files that the commands wrote."""

import re
from pathlib import Path

import pytest
import saved_classifiers
from photo_trees import encode, photograph

import binorm
from binorm.experiments.classifiers.export.deployed import Choices
from binorm.experiments.classifiers.export.hub import export_hub
from binorm.experiments.classifiers.export.onnx import export_onnx
from binorm.experiments.classifiers.export.torch_export import export_torch
from binorm.experiments.classifiers.files import save_classifier

PAGE = Path(__file__).parents[1] / "docs" / "ship.md"
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """All that the page speaks of."""
    folder, made = tmp_path_factory.mktemp("ship"), saved_classifiers.classifier()
    save_classifier(folder / "model.safetensors", made)
    (folder / "photo.jpg").write_bytes(encode(photograph(0)))
    export_onnx(made, folder / "model.onnx", Choices())
    export_torch(made, folder / "model.pt2", Choices())
    export_hub(made, folder / "folder")
    return folder


@pytest.mark.parametrize("snippet", SNIPPETS, ids=range(len(SNIPPETS)))
def test_the_snippet_runs(snippet, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    namespace = {"model": binorm.load("model.safetensors")}
    exec(compile(snippet, str(PAGE), "exec"), namespace)  # noqa: S102 - our own page
    if "print" in snippet:
        assert capsys.readouterr().out.strip() in saved_classifiers.CLASSES
