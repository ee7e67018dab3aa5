"""Affine tuning: what learns, from what, and how it ends."""

import pytest
import torch
from small_classifiers import calibration, darken, normalize, small_network
from torch.nn import functional as F  # noqa: N812

from binorm.experiments.common.errors import DivergenceError
from binorm.experiments.rescue.methods.affine import affine


def test_weights_and_biases_of_norms_alone_learn():
    network = small_network()
    tuned = affine(network, calibration(), steps=2).network
    changed = {key for key, value in tuned.state_dict().items() if not torch.equal(value, network.state_dict()[key])}
    assert changed == {"1.weight", "1.bias", "4.weight", "4.bias"}


def test_restyled_pictures_come_nearer_to_what_was_said_of_them_as_they_are():
    network, given = small_network(), calibration(40)
    x = normalize(darken(given.pictures, torch.Generator().manual_seed(99)))

    def divergence(model):
        with torch.no_grad():
            taught = network(normalize(given.pictures)).log_softmax(1)
            return F.kl_div(model(x).log_softmax(1), taught, reduction="batchmean", log_target=True).item()

    assert divergence(affine(network, given, steps=30, lr=0.01)) < 0.7 * divergence(network)


def test_no_step_is_the_network_as_it_was():
    network, x = small_network(), normalize(calibration().pictures)
    with torch.no_grad():
        assert torch.equal(affine(network, calibration(), steps=0)(x), network(x))


def test_one_step_is_adams_whatever_the_parts_that_the_batch_is_computed_in():
    network, given = small_network(), calibration(40)
    tuned = affine(network, given, steps=1, batch_size=40, lr=0.01).network
    generator = given.generator()
    order = torch.randperm(40, generator=generator)
    restyled = darken(given.pictures[order], generator)
    taught = network(normalize(given.pictures[order])).log_softmax(1).detach()
    loss = F.kl_div(network(normalize(restyled)).log_softmax(1), taught, reduction="batchmean", log_target=True)
    wanted = [network[1].weight, network[1].bias, network[4].weight, network[4].bias]
    gradients = torch.autograd.grad(loss, wanted)
    learned = [tuned[1].weight, tuned[1].bias, tuned[4].weight, tuned[4].bias]
    for before, after, gradient in zip(wanted, learned, gradients, strict=True):
        expected = before - 0.01 * gradient / (gradient.abs() + 1e-8)
        torch.testing.assert_close(after, expected.detach(), rtol=1e-3, atol=1e-4)


def test_another_seed_draws_other_restylings():
    network, x = small_network(), normalize(calibration().pictures)
    one, other = (affine(network, calibration(seed=seed), steps=3)(x) for seed in (0, 1))
    assert not torch.equal(one, other)


def test_a_loss_that_is_not_finite_is_told():
    network = small_network()
    network[9].weight.data.fill_(torch.nan)
    with pytest.raises(DivergenceError, match="loss of affine tuning is nan in step 1"):
        affine(network, calibration())
