import pytest
import tiny
import torch

from binorm import BatchInstanceNorm2d
from binorm.experiments.analysis.responses import Channel, lowest_gates, strongest_responses
from binorm.experiments.data.batches.batches import EvaluationBatches
from binorm.experiments.models import create

CPU = torch.device("cpu")


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
    shown = batches().normalize(found.images)
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
    assert torch.equal(small.images, large.images)
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
