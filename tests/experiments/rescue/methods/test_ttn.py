"""TTN's prior: the gradients, the weights, and the statistics that they mix."""

import copy

import pytest
import torch
from small_classifiers import calibration, darken, normalize, pictures, small_network
from torch import nn
from torch.nn import functional as F  # noqa: N812

from binorm.experiments.common.errors import UserError
from binorm.experiments.rescue.methods import Calibration
from binorm.experiments.rescue.methods.statistics import mix_statistics
from binorm.experiments.rescue.methods.ttn import batch_shares, ttn


def distances_by_single_pictures(network, given):
    """1 - the mean cosine of PyTorch's own gradients by γ and β, one picture at a time."""
    network = copy.deepcopy(network)
    layers = {"1": network[1], "4": network[4]}
    restyled = darken(given.pictures, given.generator())
    cosines = {name: [] for name in layers}
    for clean, other in zip(given.pictures.split(1), restyled.split(1), strict=True):
        label = network(normalize(clean)).argmax(1)
        found = []
        for each in (clean, other):
            loss = F.cross_entropy(network(normalize(each)), label)
            wanted = [tensor for layer in layers.values() for tensor in (layer.weight, layer.bias)]
            found.append(torch.autograd.grad(loss, wanted))
        for index, name in enumerate(layers):
            one, two = (torch.stack(each[2 * index : 2 * index + 2]).double() for each in found)
            cosine = F.cosine_similarity(one, two, dim=0, eps=0)
            cosines[name].append(torch.where(cosine.isnan(), 1.0, cosine))
    return {name: 1 - torch.stack(each).mean(0) for name, each in cosines.items()}


def test_weights_are_the_papers_of_gradients_taken_one_by_one():
    network, given = small_network(), calibration(20)
    shares = batch_shares(network, given)
    distances = distances_by_single_pictures(network, given)
    everything = torch.cat(list(distances.values()))
    for name, distance in distances.items():
        expected = ((distance - everything.min()) / (everything.max() - everything.min())) ** 2
        torch.testing.assert_close(shares[name], expected, rtol=1e-3, atol=1e-4)
    together = torch.cat(list(shares.values()))
    assert together.min() == 0.0
    assert together.max() == 1.0


class OneChannelSees(nn.Module):
    """Two channels: the mean of the picture, and its horizontal slope, which no brightness changes much."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3, bias=False)
        self.norm = nn.BatchNorm2d(2)
        self.head = nn.Linear(2, 2)
        with torch.no_grad():
            self.conv.weight.zero_()
            self.conv.weight[0] = 1 / 27
            self.conv.weight[1, :, :, 0], self.conv.weight[1, :, :, 2] = -1 / 9, 1 / 9
            self.head.weight.copy_(torch.eye(2))
            self.head.bias.zero_()

    def forward(self, x):
        return self.head(self.norm(self.conv(x)).relu().mean((2, 3)))


def test_a_channel_that_brightness_moves_takes_more_of_the_batch():
    with torch.random.fork_rng():
        network = OneChannelSees()
        network.norm.momentum = 1.0
        network.train()(normalize(pictures(30)))
    brighter = Calibration(
        pictures(30, seed=2), normalize, lambda batch, generator: (batch.int() + 50).clamp_max(255).byte()
    )
    assert batch_shares(network, brighter)["norm"].tolist() == [1.0, 0.0]


def test_restyling_that_changes_nothing_leaves_the_network_as_trained():
    given = Calibration(pictures(), normalize, lambda batch, generator: batch)
    network, x = small_network(), normalize(pictures(6, seed=9))
    assert all((share == 0).all() for share in batch_shares(network, given).values())
    with torch.no_grad():
        torch.testing.assert_close(ttn(network, given)(x), network(x))


def test_statistics_are_mixed_by_these_weights_with_the_variance_between():
    network, given, x = small_network(), calibration(), normalize(pictures(6, seed=9))
    shares = batch_shares(network, given)
    mixed = mix_statistics(network, lambda name, samples: 1 - shares[name], between=True)
    with torch.no_grad():
        assert torch.equal(ttn(network, given)(x), mixed(x))


def test_weights_that_are_not_finite_are_told():
    network = small_network()
    network[9].weight.data.fill_(torch.nan)
    with pytest.raises(UserError, match="not finite"):
        batch_shares(network, calibration())
