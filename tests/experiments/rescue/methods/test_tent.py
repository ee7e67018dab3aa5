"""Tent: what it lowers, what it touches, and how fast."""

from itertools import pairwise

import torch
from small_classifiers import normalize, pictures, small_network
from torch.distributions import Categorical

from binorm.experiments.rescue.methods.batch_statistics import batch_statistics
from binorm.experiments.rescue.methods.online import entropy
from binorm.experiments.rescue.methods.tent import Tent

X = normalize(pictures(16, seed=5))


def test_entropy_is_that_of_the_predicted_distribution():
    logits = torch.randn(4, 7, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(entropy(logits), Categorical(logits=logits).entropy())


def test_each_batch_lowers_the_entropy_of_the_next():
    tent = Tent(small_network(), lr=0.05)
    means = [entropy(tent(X)).mean().item() for _ in range(8)]
    assert all(later < earlier for earlier, later in pairwise(means))


def test_what_is_said_of_a_batch_does_not_hang_on_its_own_step():
    network = small_network()
    torch.testing.assert_close(Tent(network, lr=1.0)(X), batch_statistics(network)(X))


def test_weights_and_biases_of_norms_alone_learn():
    network = small_network()
    tent = Tent(network)
    tent(X)
    changed = {
        key for key, value in tent.network.state_dict().items() if not torch.equal(value, network.state_dict()[key])
    }
    assert changed == {"1.weight", "1.bias", "4.weight", "4.bias"}


def test_smaller_batches_take_smaller_steps():
    network = small_network()
    steps = []
    for count in (16, 1):
        tent = Tent(network, lr=0.128)
        tent(X[:count])
        steps.append((tent.network[1].weight - network[1].weight).abs().max().item())
    torch.testing.assert_close(torch.tensor(steps), torch.tensor([0.016, 0.001]), rtol=0.02, atol=0.0)  # Adam's first


def test_a_broken_picture_teaches_nothing():
    network = small_network()
    tent = Tent(network)
    first = tent(X)
    tent.reset()
    tent(torch.full_like(X, torch.nan))
    assert torch.equal(tent(X), first)
