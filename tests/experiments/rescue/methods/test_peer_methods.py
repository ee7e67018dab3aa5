"""What holds for every method, whatever it does."""

import copy

import pytest
import torch
from small_classifiers import calibration, normalize, pictures, small_network
from torch import nn

from binorm import BatchInstanceNorm2d
from binorm.experiments.common.errors import UserError
from binorm.experiments.models import create
from binorm.experiments.rescue.methods import METHODS, Calibration

BATCHES = [normalize(pictures(count, seed=count)) for count in (6, 1, 5)]


def prepared(name, network):
    method = METHODS[name]
    return method.prepare(network, calibration() if method.calibrates else None)


def with_timm_norms():
    timm = pytest.importorskip("timm")
    return small_network(timm.layers.BatchNormAct2d)


def with_half_gates():
    network = small_network(BatchInstanceNorm2d)
    with torch.no_grad():
        network[1].gate.fill_(0.5)
    return network


def ours():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = create("resnet8", 5, "bn")
        network.train()(BATCHES[0])
    return network


NETWORKS = [small_network, with_timm_norms, with_half_gates, ours]


@pytest.mark.parametrize("build", NETWORKS)
@pytest.mark.parametrize("name", METHODS)
def test_logits_of_every_batch_and_the_given_network_as_it_was(name, build):
    network = build()
    state, modes = copy.deepcopy(network.state_dict()), [each.training for each in network.modules()]
    learning, drawn = [each.requires_grad for each in network.parameters()], torch.get_rng_state()
    adapted = prepared(name, network)
    for batch in BATCHES:
        logits = adapted(batch)
        assert logits.shape == (len(batch), 5)
        assert torch.isfinite(logits).all()
        assert not logits.requires_grad
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    assert [each.training for each in network.modules()] == modes
    assert [each.requires_grad for each in network.parameters()] == learning
    assert not any(each._forward_pre_hooks or each._forward_hooks for each in network.modules())
    assert all(each.grad is None for each in network.parameters())


@pytest.mark.parametrize("name", METHODS)
def test_reset_and_another_start_give_the_same_bits(name):
    network = small_network()
    adapted = prepared(name, network)
    first = [adapted(batch) for batch in BATCHES]
    adapted.reset()
    assert all(torch.equal(adapted(batch), logits) for batch, logits in zip(BATCHES, first, strict=True))
    again = prepared(name, network.train())  # whatever mode it comes in
    assert all(torch.equal(again(batch), logits) for batch, logits in zip(BATCHES, first, strict=True))


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if not method.batch])
def test_methods_without_batch_say_the_same_of_a_picture_alone(name):
    adapted = prepared(name, small_network())
    together = adapted(BATCHES[0])
    alone = torch.cat([adapted(each[None]) for each in BATCHES[0]])
    torch.testing.assert_close(alone, together)


@pytest.mark.parametrize("name", [name for name in METHODS if name != "none"])
def test_a_network_without_batch_norm_is_named(name):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.Flatten(), nn.Linear(400, 5))
    with pytest.raises(UserError, match=r"Sequential.*batch norm.*GroupNorm"):
        prepared(name, network)


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.calibrates])
def test_missing_pictures_are_asked_for(name):
    with pytest.raises(UserError, match=f"{METHODS[name].name.split('_')[0]} needs unlabelled pictures"):
        METHODS[name].prepare(small_network(), None)


@pytest.mark.parametrize("wrong", [torch.zeros(2, 3, 8, 8), torch.zeros(0, 3, 8, 8, dtype=torch.uint8)])
def test_pictures_of_another_kind_are_refused(wrong):
    with pytest.raises(UserError, match="uint8 of shape"):
        Calibration(wrong, normalize, lambda batch, generator: batch)


def test_a_restyling_that_changes_the_shape_is_refused():
    wrong = Calibration(pictures(), normalize, lambda batch, generator: batch[..., :4])
    with pytest.raises(ValueError, match="restyle should give uint8"):
        METHODS["affine"].prepare(small_network(), wrong)


def test_as_trained_gives_the_networks_bits():
    network = small_network()
    assert torch.equal(METHODS["none"].prepare(network, None)(BATCHES[0]), network(BATCHES[0]))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_callers_mode_of_gradients_changes_nothing(name, mode):
    expected, adapted = prepared(name, small_network()), prepared(name, small_network())
    for batch in BATCHES:
        with mode():
            logits = adapted(batch.clone())
        assert torch.equal(logits, expected(batch))
