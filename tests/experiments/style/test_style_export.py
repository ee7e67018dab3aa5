import os
import sys

import onnx
import onnxruntime
import pytest
import torch

from binorm.experiments.common.errors import UserError
from binorm.experiments.style.export import INPUT, OUTPUT, check_onnx, export_onnx
from binorm.experiments.style.network import STYLE_NORMS, StyleNetwork
from binorm.experiments.style.style_file import StyleCard

CARD = StyleCard("The Title", "The Artist", "1889", "somewhere", "bin", 4, 1, "a command")


def tiny_network(norm="bin", seed=0):
    """One with statistics and gates that are all different."""
    torch.manual_seed(seed)
    network = StyleNetwork(4, 1, norm)
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        if name.endswith(("gate", "running_var")):
            tensor.data.uniform_(0.05, 0.95)
        elif name.endswith("running_mean"):
            tensor.data.normal_()
    return network.eval()


# The fourth, bn+in, goes through the command in test_export_command.py: an export takes seconds.
@pytest.fixture(scope="module", params=[norm for norm in STYLE_NORMS if norm != "bn+in"])
def exported(request, tmp_path_factory):
    network, path = tiny_network(request.param), tmp_path_factory.mktemp("onnx") / "style.onnx"
    export_onnx(network, path, CARD)
    return network, path


def test_any_number_and_size_of_pictures(exported):
    network, path = exported
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for shape in ((1, 3, 8, 8), (2, 3, 9, 14), (1, 3, 31, 65), (5, 3, 40, 24), (1, 3, 130, 67)):
        pictures = torch.rand(shape)
        result = torch.from_numpy(session.run([OUTPUT], {INPUT: pictures.numpy()})[0])
        with torch.inference_mode():
            expected = network(pictures)
        assert result.shape == pictures.shape
        assert (result - expected).abs().max() < 1e-5
        assert expected.std() > 1e-3  # there is something to agree about


def test_the_file_says_what_it_is_and_nothing_of_this_machine(exported):
    network, path = exported
    model = onnx.load(path)
    facts = {each.key: each.value for each in model.metadata_props}
    assert facts == {
        "title": "The Title", "artist": "The Artist", "date": "1889", "source": "somewhere",
        "norm": network.norm_name, "input": "RGB in [0, 1]",
    }  # fmt: skip
    for each, name in ((model.graph.input, INPUT), (model.graph.output, OUTPUT)):
        assert [value.name for value in each] == [name]
        tensor = each[0].type.tensor_type
        assert tensor.elem_type == onnx.TensorProto.FLOAT
        assert [dim.dim_param or dim.dim_value for dim in tensor.shape.dim] == ["count", 3, "height", "width"]
    assert b".py" not in path.read_bytes()
    assert os.listdir(path.parent) == [path.name]


def test_a_model_of_another_network_is_refused(exported):
    network, path = exported
    check_onnx(path.read_bytes(), network)
    with pytest.raises(UserError, match=r"the exported network is wrong: at 8x8 pixels .* nothing is written"):
        check_onnx(path.read_bytes(), tiny_network(network.norm_name, seed=1))


def test_disagreement_writes_nothing(exported, tmp_path, monkeypatch):
    network, path = exported
    monkeypatch.setattr("binorm.experiments.style.export._traced", lambda _: onnx.load(path))
    target = tmp_path / "style.onnx"
    target.write_bytes(b"old")
    with pytest.raises(UserError, match="the exported network is wrong"):
        export_onnx(tiny_network(network.norm_name, seed=1), target)
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["style.onnx"]
    export_onnx(network, target)
    assert "title" not in {each.key for each in onnx.load(target).metadata_props}


def test_the_network_is_left_as_it_was(exported, tmp_path, monkeypatch):
    _, path = exported
    network = tiny_network().train()
    monkeypatch.setattr("binorm.experiments.style.export._traced", lambda _: onnx.load(path))
    monkeypatch.setattr("binorm.experiments.style.export.check_onnx", lambda *_: None)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    export_onnx(network, tmp_path / "style.onnx")
    assert network.training
    assert all(each.requires_grad for each in network.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "onnxscript"])
def test_missing_packages_are_named(tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=rf"the export needs {package}: pip install 'binorm\[export\]'"):
        export_onnx(tiny_network(), tmp_path / "style.onnx")
    assert os.listdir(tmp_path) == []
