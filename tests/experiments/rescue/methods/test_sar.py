"""SAR: reliable pictures, the step uphill, and recovery."""

import copy
import math

import torch
from small_classifiers import normalize, pictures, small_network

from binorm.experiments.rescue.methods.online import entropy
from binorm.experiments.rescue.methods.sar import Sar

X = normalize(pictures(16, seed=5))
MARGIN = 0.4 * math.log(5)


def surer(factor, network=None):
    """The small network with logits that many times as far from 0."""
    network = network or small_network()
    with torch.no_grad():
        network[9].weight.mul_(factor)
        network[9].bias.mul_(factor)
    return network


def parameters(sar):
    return [each.detach().clone() for each in sar.parameters]


def equal(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_unreliable_pictures_teach_nothing():
    sar = Sar(surer(0.01), lr=1.0)
    before = parameters(sar)
    assert (entropy(sar(X)) > MARGIN).all()
    assert equal(parameters(sar), before)
    assert sar.moving_mean is None


def test_one_step_is_the_papers():
    """Against the algorithm written out over functional calls."""
    network = surer(8.0)
    sar = Sar(network, lr=0.1)
    names = ["1.weight", "1.bias", "4.weight", "4.bias"]
    start = {name: each for name, each in sar.network.named_parameters() if name in names}
    reference = copy.deepcopy(sar.network)

    def loss(values, chosen):
        found = entropy(torch.func.functional_call(reference, values, (X,)))
        return found, found[chosen & (found < MARGIN)].mean()

    values = {name: each.detach().clone().requires_grad_() for name, each in start.items()}
    found, first = loss(values, torch.ones(len(X), dtype=torch.bool))
    reliable = found < MARGIN
    assert 0 < reliable.sum() < len(X)
    gradients = torch.autograd.grad(first, list(values.values()))
    length = torch.cat([each.flatten() for each in gradients]).norm()
    uphill = {
        name: (value + 0.05 * each / length).detach().requires_grad_()
        for (name, value), each in zip(values.items(), gradients, strict=True)
    }
    _, second = loss(uphill, reliable)
    gradients = torch.autograd.grad(second, list(uphill.values()))
    expected = [value - 0.1 * each for value, each in zip(values.values(), gradients, strict=True)]

    sar(X)
    torch.testing.assert_close(parameters(sar), [each.detach() for each in expected])
    assert math.isclose(sar.moving_mean, second.item(), rel_tol=1e-5)


def test_a_network_that_becomes_too_sure_starts_anew():
    sar = Sar(surer(1000.0), lr=0.1)
    before = parameters(sar)
    logits = sar(X)
    assert entropy(logits).mean() < 0.2
    assert equal(parameters(sar), before)
    assert sar.moving_mean is None
    assert torch.equal(sar(X), logits)


def test_the_last_quarter_of_the_norms_stays():
    layers = [torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1), torch.nn.BatchNorm2d(3)) for _ in range(8)]
    network = torch.nn.Sequential(*layers, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()).eval()
    sar = Sar(network)
    assert len(sar.parameters) == 2 * 6
    assert not sar.network[6][1].weight.requires_grad


def test_a_batch_of_one_takes_the_papers_smaller_rate():
    sar = Sar(surer(8.0))
    reliable = next(each for each in X.split(1) if 0.2 < entropy(sar.network(each)).item() < MARGIN)
    sar(reliable)
    assert sar._optimizer.param_groups[0]["lr"] == 0.00025 / 16


def test_pictures_that_are_no_longer_reliable_uphill_teach_nothing():
    sar = Sar(surer(4.0), lr=1.0)
    before = parameters(sar)
    reliable = entropy(sar(X)) < MARGIN
    assert reliable.sum() == 1  # by a little
    assert equal(parameters(sar), before)
