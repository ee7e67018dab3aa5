import pytest
import torch
from torch import nn

from binorm.experiments.models.initialization import initialize_convolutions


def test_the_variance_is_two_over_fan_out_and_biases_are_zero():
    torch.manual_seed(0)
    conv = nn.Conv2d(32, 128, 3)
    initialize_convolutions(conv)
    assert conv.weight.var().item() == pytest.approx(2 / (128 * 9), rel=0.05)
    assert conv.weight.mean().item() == pytest.approx(0, abs=1e-3)
    assert (conv.bias == 0).all()


def test_only_convolutions_are_drawn_anew():
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1))
    linear, conv = network[0].weight.clone(), network[2].weight.clone()
    initialize_convolutions(network)
    assert torch.equal(network[0].weight, linear)
    assert not torch.equal(network[2].weight, conv)
