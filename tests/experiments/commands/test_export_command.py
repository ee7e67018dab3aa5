import os

import onnxruntime
import pytest
import saved_classifiers
import torch

import binorm
from binorm.experiments.classifiers.files import save_classifier
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


@pytest.fixture
def model(tmp_path):
    save_classifier(tmp_path / "model.safetensors", saved_classifiers.classifier())
    return tmp_path / "model.safetensors"


def test_mistakes_with_styles_are_errors_and_write_nothing(run_folder, tmp_path, capsys):
    out = tmp_path / "out" / "style.onnx"
    out.parent.mkdir()
    assert "did you mean 'starry-night'?" in _error(capsys, "stary-nigt", "--out", out)
    assert "there is no network 'nothing'" in _error(capsys, "nothing", "--out", out)
    assert "neither model.safetensors nor" in _error(capsys, tmp_path, "--out", out)
    assert "ends in .onnx or .pt2, or a folder with --format hub" in _error(capsys, run_folder, "--out", out.parent)
    assert "between -1 (all IN) and 1 (all BN)" in _error(capsys, run_folder, "--out", out, "--gate", "2")
    assert "required: out" in _error(capsys, run_folder)
    assert "styles are exported as onnx" in _error(capsys, run_folder, "--out", out.with_suffix(".pt2"))
    assert "--normalize is that of classifiers" in _error(capsys, run_folder, "--out", out, "--normalize", "no")
    assert os.listdir(out.parent) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--gate", "1"], "--gate is that of styles"),
        (["--format", "torch-export"], "ends in .pt2 for --format torch-export"),
        (["--int8"], "--int8 needs --format onnx, and --images"),
        (["--images", "photos"], "--images is that of --int8"),
        (["--int8", "--images", "photos", "--no-fold"], "leave out --no-fold"),
        (["--int8", "--images", "photos", "--least-agreement", "80"], "between 0 and 1"),
        (["--int8", "--images", "absent"], "absent"),
    ],
)
def test_mistakes_with_classifiers_are_errors_and_write_nothing(model, tmp_path, capsys, options, message):
    out = tmp_path / "out" / "model.onnx"
    assert message in _error(capsys, model, "--out", out, *options)
    assert not out.exists()


def test_a_hub_takes_the_network_as_it_is(model, tmp_path, capsys):
    out = tmp_path / "hub"
    assert "gets the network as it is" in _error(capsys, model, "--out", out, "--format", "hub", "--no-fold")
    assert not out.exists()
    assert main(["export", str(model), "--out", str(out), "--format", "hub"]) == 0
    assert "hf upload USER/NAME" in capsys.readouterr().out
    assert binorm.load(out).classes == ("cat", "dog", "owl")


def test_a_classifier_goes_by_the_ending_of_its_file(model, tmp_path, capsys):
    out = tmp_path / "model.pt2"
    assert main(["export", str(model), "--out", str(out)]) == 0
    output = capsys.readouterr().out
    assert "torch.export computes the same" in output
    assert "RGB from 0 to 255, float32, any number of them; pixels: any size" in output
    assert max(map(len, output.splitlines()[1:])) <= 80
    assert out.exists()
