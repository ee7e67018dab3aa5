import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from binorm.experiments.models import create
from binorm.experiments.training.methods import METHODS, DomainOutputs
from binorm.experiments.training.methods.cdan import CDAN
from binorm.experiments.training.methods.gradient_reversal import reversal_weight
from binorm.experiments.training.methods.mixstyle import mix_styles

CLASSES, FEATURES = 3, 5


def outputs(*domains, seed=0):
    """Of a linear classifier: ``(count, labelled)`` by domain, with features that take gradients."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for count, labelled in domains:
        features = torch.randn(count, FEATURES, generator=generator, requires_grad=True)
        logits = features @ torch.randn(FEATURES, CLASSES, generator=generator)
        found.append(DomainOutputs(features, logits, torch.arange(count) % CLASSES if labelled else None))
    return found


def method(name, domains=2, network=None):
    torch.manual_seed(0)
    return METHODS[name](network or nn.Identity(), FEATURES, CLASSES, domains)


@pytest.mark.parametrize("name", ["source-only", "erm", "mixstyle"])
def test_methods_that_add_nothing_to_the_loss_give_the_cross_entropy_of_labelled_pictures(name):
    found = outputs((4, True), (2, True), (3, False))
    logits = torch.cat([each.logits for each in found[:2]])
    labels = torch.cat([each.labels for each in found[:2]])
    chosen = method(name, network=create("resnet8", CLASSES))
    expected = functional.cross_entropy(logits, labels)
    assert torch.equal(chosen.loss(found, 0.5, 1.0), expected)


@pytest.mark.parametrize("name", ["dann", "cdan"])
def test_the_domain_classifier_descends_and_the_features_ascend(name):
    chosen, found, progress, weight = method(name), outputs((4, True), (3, False)), 0.3, 0.5
    loss = chosen.loss(found, progress, weight)
    source, target = found
    seen = torch.cat([chosen.conditioned(each) for each in found])
    domains = torch.tensor([0] * 4 + [1] * 3)
    plain = functional.cross_entropy(chosen.domain_classifier(seen), domains)
    torch.testing.assert_close(loss, plain + functional.cross_entropy(source.logits, source.labels))

    weights = list(chosen.domain_classifier.parameters())
    for ours, expected in zip(
        torch.autograd.grad(loss, weights, retain_graph=True),
        torch.autograd.grad(plain, weights, retain_graph=True),
        strict=True,
    ):
        torch.testing.assert_close(ours, expected)
    (ours,) = torch.autograd.grad(loss, target.features, retain_graph=True)
    (expected,) = torch.autograd.grad(plain, target.features)
    torch.testing.assert_close(ours, -weight * reversal_weight(progress) * expected)


def test_dann_tells_any_number_of_domains_apart():
    chosen = method("dann", domains=3)
    assert chosen.loss(outputs((2, True), (2, True), (2, False)), 0.5, 1.0).isfinite()
    assert chosen.domain_classifier[-1].out_features == 3


def test_cdan_sees_the_product_or_its_projection():
    (found,) = outputs((4, True))
    product = method("cdan").conditioned(found)
    expected = torch.stack(
        [torch.outer(f, p).flatten() for f, p in zip(found.features, found.logits.softmax(1), strict=True)]
    )
    torch.testing.assert_close(product, expected)
    torch.manual_seed(0)
    large = CDAN(nn.Identity(), 2000, CLASSES, 2)
    one, other = (DomainOutputs(torch.randn(1, 2000), torch.randn(1, CLASSES), None) for _ in range(2))
    assert large.conditioned(one).shape == (1, 1024)
    # Random projections keep inner products of the products, as far as chance allows.
    exact = (one.features @ other.features.T) * (one.logits.softmax(1) @ other.logits.softmax(1).T)
    scale = one.features.norm() * other.features.norm()
    assert ((large.conditioned(one) @ large.conditioned(other).T) - exact).abs() < 0.2 * scale


def test_coral_is_the_distance_of_covariances():
    source, target = found = outputs((6, True), (5, False))
    gap = torch.cov(source.features.T) - torch.cov(target.features.T)
    expected = functional.cross_entropy(source.logits, source.labels) + 0.7 * gap.square().sum() / (4 * FEATURES**2)
    torch.testing.assert_close(method("coral").loss(found, 0.0, 0.7), expected)


def test_coral_of_one_domain_is_the_cross_entropy():
    (source,) = found = outputs((6, True))
    assert torch.equal(method("coral").loss(found, 0.0, 1.0), functional.cross_entropy(source.logits, source.labels))


def test_mixed_maps_have_the_mixed_statistics_of_two_pictures():
    torch.manual_seed(0)
    maps = torch.randn(6, 3, 8, 8) * torch.rand(6, 3, 1, 1) + torch.randn(6, 3, 1, 1)
    state = torch.get_rng_state()
    mixed = mix_styles(maps)
    torch.set_rng_state(state)
    share = torch.distributions.Beta(0.1, 0.1).sample((6, 1, 1, 1))
    other = torch.randperm(6)
    mean = maps.mean((2, 3), keepdim=True)
    torch.testing.assert_close(mixed.mean((2, 3), keepdim=True), share * mean + (1 - share) * mean[other])
    std = maps.std((2, 3), keepdim=True)
    torch.testing.assert_close(
        mixed.std((2, 3), keepdim=True), share * std + (1 - share) * std[other], rtol=1e-4, atol=1e-5
    )
    normalized = (maps - mean) / std
    again = (mixed - mixed.mean((2, 3), keepdim=True)) / mixed.std((2, 3), keepdim=True)
    torch.testing.assert_close(again, normalized, rtol=1e-3, atol=1e-4)


def test_mixstyle_mixes_half_of_the_training_steps_and_never_in_evaluation():
    torch.manual_seed(0)
    network = create("resnet8", CLASSES, "in")  # without running statistics, training and evaluation agree
    pictures = torch.randn(4, 3, 16, 16)
    plain = network(pictures)
    chosen = METHODS["mixstyle"](network, FEATURES, CLASSES, 1)
    changed = []
    for _ in range(200):
        chosen.before_step()
        changed.append(not torch.equal(network(pictures), plain))
    assert abs(sum(changed) - 100) < 4 * math.sqrt(50)
    network.eval()
    assert torch.equal(network(pictures), plain)
