import dataclasses
import json

import pytest
import tiny
import torch

from binorm import BatchInstanceNorm2d
from binorm.experiments.analysis.responses import Channel, lowest_gates, strongest_responses, write_responses
from binorm.experiments.common.errors import UserError
from binorm.experiments.data.batches.batches import EvaluationBatches
from binorm.experiments.models import create
from binorm.experiments.runs.checkpoint import load_network

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return tiny.train(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = create("resnet8", 3, "bin")
    network.stage1[0].norm1.gate.data[3] = 0.0
    network.stage1[0].norm1.bias.data[3] = 0.75
    network.stage2[0].norm1.gate.data[5] = 0.05
    network.stage2[0].norm1.gate.data[6] = 0.04
    return network


def batches(count=16):
    data = tiny.dataset()
    return EvaluationBatches(next(iter(data.evaluation.values())), data, count, CPU)


def test_low_gates_come_first_and_from_different_layers(network):
    assert lowest_gates(network, 2) == [
        Channel("stage1.0.norm1", 3, 0.0),
        Channel("stage2.0.norm1", 6, pytest.approx(0.04)),
    ]
    assert all(channel.gate < 0.1 for channel in lowest_gates(network, 3))
    assert len({channel.layer for channel in lowest_gates(network, 6)}) >= 5
    assert lowest_gates(create("resnet8", 3, "bn+in")) == lowest_gates(create("resnet8", 3, "bn")) == []


def test_maps_are_those_of_the_layer_with_that_gate(network):
    channel = Channel("stage1.0.norm1", 3, 0.0)
    network.stage1[0].norm1.running_var[3] = 2.0
    [found] = strongest_responses(network, batches(), [channel])
    norm = network.stage1[0].norm1
    shown = batches().normalize(found.pictures)
    network.eval()
    with torch.inference_mode():
        x = network.stage1[0].conv1(network.norm(network.conv(shown)))
        for gate, maps in zip((0.0, 0.0, 1.0), found.maps, strict=True):
            plain = BatchInstanceNorm2d(16).eval()
            plain.load_state_dict(norm.state_dict())
            plain.gate.data[3] = gate
            torch.testing.assert_close(maps, plain(x)[:, 3], rtol=1e-4, atol=1e-4)


def test_the_strongest_pictures_come_first_whatever_the_batch(network):
    channel = [Channel("stage1.0.norm1", 3, 0.0)]
    [small], [large] = (strongest_responses(network, batches(count), channel) for count in (16, 42))
    assert torch.equal(small.pictures, large.pictures)
    peaks = small.maps[0].amax((1, 2))
    assert torch.equal(peaks, peaks.sort(descending=True).values)


def test_instance_norm_fixes_the_mean_response(network):
    [found] = strongest_responses(network, batches(), [Channel("stage1.0.norm1", 3, 0.0)])
    learned, instance, batch = found.variation
    assert learned == instance < 1e-5 < batch
    torch.testing.assert_close(found.maps[1].mean((1, 2)), torch.full((5,), 0.75), rtol=1e-4, atol=1e-4)


def test_the_network_is_left_as_it_was(network):
    network.train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    strongest_responses(network, batches(), lowest_gates(network))
    assert network.training
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert not any(module._forward_pre_hooks for module in network.modules())


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
