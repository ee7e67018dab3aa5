import io
import json
import os

import numpy
import onnx
import onnxruntime
import pytest
import saved_classifiers
import torch

import binorm
from binorm.experiments.classifiers.export import deployed
from binorm.experiments.classifiers.export.deployed import Choices
from binorm.experiments.classifiers.export.hub import export_hub
from binorm.experiments.classifiers.export.int8 import export_int8
from binorm.experiments.classifiers.export.onnx import export_onnx
from binorm.experiments.classifiers.export.torch_export import export_torch
from binorm.experiments.classifiers.photographs import read_photographs
from binorm.experiments.common.errors import UserError


@pytest.fixture(scope="module")
def classifier():
    return saved_classifiers.classifier()


@pytest.fixture(scope="module")
def exported(classifier, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    return path, export_onnx(classifier, path, Choices())


def relative(result, expected):
    return float((result - expected).abs().max() / expected.abs().max())


@torch.no_grad()
def test_onnx_takes_pictures_as_they_are_in_any_number_and_size(classifier, exported):
    path, written = exported
    assert written.any_size
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for shape in ((1, 3, 16, 16), (5, 3, 16, 16), (2, 3, 23, 40), (1, 3, 8, 9)):
        pixels = torch.randint(0, 256, shape)
        result = torch.from_numpy(session.run(["logits"], {"pictures": pixels.float().numpy()})[0])
        assert relative(result, classifier(classifier.preprocessing.normalize(pixels))) < 1e-5


def test_onnx_says_classes_and_preprocessing_and_nothing_of_this_machine(exported):
    path, _ = exported
    facts = {each.key: each.value for each in onnx.load(path).metadata_props}
    assert json.loads(facts["classes"]) == ["cat", "dog", "owl"]
    assert json.loads(facts["preprocessing"])["mean"] == [0.4, 0.5, 0.6]
    assert facts["input"].startswith("RGB from 0 to 255, not normalized, float32")
    assert b".py" not in path.read_bytes()
    assert os.listdir(path.parent) == [path.name]


def test_norms_whose_gates_are_all_1_are_gone(exported):
    kinds = [node.op_type for node in onnx.load(exported[0]).graph.node]
    assert "BatchNormalization" not in kinds
    assert kinds.count("Sqrt") + kinds.count("Reciprocal") <= 4  # of the one layer that looks at the picture


@torch.no_grad()
def test_torch_export_without_normalization_and_folding(classifier, tmp_path):
    path = tmp_path / "model.pt2"
    written = export_torch(classifier, path, Choices(normalize=False, fold=False))
    facts = {"binorm.json": ""}
    program = torch.export.load(io.BytesIO(path.read_bytes()), extra_files=facts)
    pictures = torch.randn(3, 3, 20, 17)
    assert relative(program.module()(pictures), classifier(pictures)) < 1e-5
    assert written.any_size
    assert json.loads(facts["binorm.json"])["input"].startswith("RGB, normalized")
    assert b".py" not in path.read_bytes()


@torch.no_grad()
def test_a_network_of_one_size_is_exported_for_any_number(tmp_path, monkeypatch):
    made = saved_classifiers.classifier("bn")

    def of_its_size(network, example, free, traced=deployed._exported):
        if 2 in free:
            raise ValueError("not for other sizes")
        return traced(network, example, free)

    monkeypatch.setattr(deployed, "_exported", of_its_size)
    path = tmp_path / "model.pt2"
    assert not export_torch(made, path, Choices()).any_size
    pixels = torch.randint(0, 256, (5, 3, 16, 16))
    result = torch.export.load(io.BytesIO(path.read_bytes())).module()(pixels.float())
    assert relative(result, made(made.preprocessing.normalize(pixels))) < 1e-5


@pytest.mark.parametrize("export", [export_onnx, export_torch])
def test_another_network_than_was_traced_is_refused_and_nothing_written(classifier, tmp_path, monkeypatch, export):
    other = saved_classifiers.classifier()
    other.network.get_parameter(next(iter(dict(other.network.named_parameters())))).data.mul_(2)
    monkeypatch.setattr(
        deployed, "Deployed", lambda _, normalize, fold, made=deployed.Deployed: made(other, normalize, fold)
    )
    with pytest.raises(UserError, match=r"the exported network is wrong: at 16x16 pixels .* nothing is written"):
        export(classifier, tmp_path / "model", Choices())
    assert os.listdir(tmp_path) == []


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    broken = saved_classifiers.classifier()
    next(iter(broken.parameters())).data.fill_(float("nan"))
    for export in (lambda path: export_torch(broken, path, Choices()), lambda path: export_hub(broken, path)):
        with pytest.raises(UserError, match="own outputs are not finite at 16x16 pixels"):
            export(tmp_path / "model")
    assert os.listdir(tmp_path) == []


def test_a_folder_for_a_hub_is_loaded_in_one_line(tmp_path):
    made = saved_classifiers.classifier(classes=("<b>cat</b>", "```dog", "owl\n# heading"))
    export_hub(made, tmp_path / "hub")
    assert sorted(os.listdir(tmp_path / "hub")) == ["README.md", "config.json", "model.safetensors"]
    again = binorm.load(tmp_path / "hub")
    pictures = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(again(pictures), made(pictures))
    assert again.classes == made.classes
    assert again.preprocessing == made.preprocessing
    config = json.loads((tmp_path / "hub/config.json").read_text(encoding="utf-8"))
    assert config["classes"][0] == "<b>cat</b>"
    text = (tmp_path / "hub/README.md").read_text(encoding="utf-8")
    assert "pipeline_tag: image-classification" in text
    assert "<b>" not in text


def test_a_folder_with_files_is_left_alone(classifier, tmp_path):
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(UserError, match="has files in it"):
        export_hub(classifier, tmp_path)
    assert os.listdir(tmp_path) == ["README.md"]


def test_int8_is_measured_and_refused_where_it_is_another_network(classifier, exported, tmp_path):
    saved_classifiers.write_photographs(tmp_path / "photos", each=4)
    photographs = read_photographs(tmp_path / "photos", classifier)
    path = tmp_path / "int8.onnx"
    found = export_int8(classifier, photographs, path, least_agreement=0.0)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    pixels = photographs.pictures.float().numpy()
    exact = onnxruntime.InferenceSession(exported[0], providers=["CPUExecutionProvider"])
    rounded, expected = (each.run(None, {"pictures": pixels})[0].argmax(1) for each in (session, exact))
    assert found.agreement == pytest.approx(numpy.mean(rounded == expected))
    assert found.accuracy == pytest.approx(numpy.mean(rounded == photographs.labels.numpy()))
    assert (found.calibrated_on, found.measured_on, found.fresh) == (12, 12, False)
    assert found.size < found.size_float
    assert any(node.op_type == "QuantizeLinear" for node in onnx.load(path).graph.node)
    assert "quantized" in {each.key for each in onnx.load(path).metadata_props}
    path.unlink()
    with pytest.raises(UserError, match=r"at least 110 % is expected.*; nothing is written"):
        export_int8(classifier, photographs, path, least_agreement=1.1)
    assert not path.exists()
