"""Calibrated gates: the library's, for all networks that there are."""

import copy

import pytest
import torch
from small_classifiers import calibration, darken, normalize, pictures, small_network
from torch import nn

import binorm
from binorm.experiments.common.errors import UserError
from binorm.experiments.models import create
from binorm.experiments.rescue.methods.calibrated import calibrated, calibrated_first

X = normalize(pictures(6, seed=9))


@pytest.mark.parametrize(("method", "layers"), [(calibrated, None), (calibrated_first, 1)])
def test_it_is_what_the_library_computes(method, layers):
    network, given = small_network(), calibration()
    own = binorm.convert_batch_norm(copy.deepcopy(network))
    restyled = darken(given.pictures, given.generator())
    binorm.calibrate_gates(own, (normalize(given.pictures), normalize(restyled)), layers=layers)
    adapted = method(network, given)
    with torch.no_grad():
        assert torch.equal(adapted(X), own(X))
    assert (adapted.network[1].gate < 1).any()
    assert (adapted.network[4].gate == 1).all() == (layers == 1)


def test_gates_that_are_there_are_where_it_starts():
    network, given = binorm.convert_batch_norm(small_network()), calibration()
    network[1].gate.data.fill_(0.5)
    own = copy.deepcopy(network)
    binorm.calibrate_gates(own, given.pairs(own))
    gates = calibrated(network, given).network[1].gate
    assert torch.equal(gates, own[1].gate)
    assert not torch.equal(gates, calibrated(small_network(), given).network[1].gate)


def test_our_networks_batch_norms_get_gates_too():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = create("resnet8", 5, "bn")
        network.train()(X)
    network.eval()
    adapted = calibrated(network, calibration())
    layers = list(binorm.norm_layers(adapted.network))
    assert len(layers) == len(list(binorm.norm_layers(network)))
    assert all(isinstance(each, binorm.BatchInstanceNormAct2d) for each in layers)
    for gate in binorm.gate_parameters(adapted.network):
        gate.data.fill_(1.0)
    with torch.no_grad():
        torch.testing.assert_close(adapted(X), network(X))


def test_more_pictures_than_fit_in_a_batch_go_through_in_several():
    network, given = small_network(), calibration(70)
    own = binorm.convert_batch_norm(copy.deepcopy(network))
    binorm.calibrate_gates(own, given.pairs(own))
    with torch.no_grad():
        assert torch.equal(calibrated(network, given)(X), own(X))


def test_what_the_library_refuses_is_told():
    network = small_network()
    network[0].weight.data.fill_(torch.nan)
    with pytest.raises(UserError, match="gates of Sequential cannot be calibrated: .*not finite"):
        calibrated(network, calibration())


def test_a_subclass_of_others_is_refused():
    class Own(nn.BatchNorm2d):
        pass

    with pytest.raises(UserError, match="subclass of batch norm"):
        calibrated(small_network(Own), calibration())
