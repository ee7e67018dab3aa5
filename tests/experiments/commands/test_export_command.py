import os

import onnxruntime
import pytest
import torch

from binorm.experiments.cli import main
from binorm.experiments.common.run_files import STYLE_FILE
from binorm.experiments.style.network import StyleNetwork, shift_gates
from binorm.experiments.style.style_file import StyleCard, load_style, save_style


@pytest.fixture
def run_folder(tmp_path):
    """The folder of a style run with a tiny network."""
    torch.manual_seed(0)
    folder = tmp_path / "run"
    card = StyleCard("T", "A", "D", "S", "bn+in", 4, 1, "C")
    save_style(folder / STYLE_FILE, StyleNetwork(card.width, card.blocks, card.norm), card)
    return folder


def _error(capsys, *arguments):
    assert main(["export", *map(str, arguments)]) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert error.startswith("error: ")
    return " ".join(error.split())


def test_writes_a_style_with_shifted_gates_and_says_so_in_one_line(run_folder, tmp_path, capfd):
    path = tmp_path / "new folder" / "style.onnx"
    assert main(["export", str(run_folder), "--out", str(path), "--gate", "-0.5"]) == 0
    output = capfd.readouterr()
    assert " ".join(output.out.split()) == f"written: {path}; ONNX Runtime computes the same from it"
    assert output.err == ""
    network = load_style(run_folder)[0]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for shape in ((1, 3, 21, 30), (2, 3, 64, 47), (1, 3, 8, 8)):
        pictures = torch.rand(shape)
        result = torch.from_numpy(session.run(None, {"pictures": pictures.numpy()})[0])
        assert (result - shift_gates(network, -0.5)(pictures)).abs().max() < 1e-5
        assert (result - network(pictures)).abs().max() > 1e-3


def test_mistakes_are_errors_and_write_nothing(run_folder, tmp_path, capsys):
    out = tmp_path / "out" / "style.onnx"
    out.parent.mkdir()
    assert "there is no style 'nothing'" in _error(capsys, "nothing", "--out", out)
    assert "holds no style.safetensors" in _error(capsys, tmp_path, "--out", out)
    assert "ends in .onnx" in _error(capsys, run_folder, "--out", out.parent)
    assert "between -1 (all IN) and 1 (all BN)" in _error(capsys, run_folder, "--out", out, "--gate", "2")
    assert "required: out" in _error(capsys, run_folder)
    (tmp_path / "model.safetensors").write_bytes(b"")
    for classifier in (tmp_path, tmp_path / "model.safetensors"):
        assert "is a classifier: styles alone are exported" in _error(capsys, classifier, "--out", out)
    assert os.listdir(out.parent) == []
