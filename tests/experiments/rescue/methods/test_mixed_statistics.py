"""Mixing running and batch statistics, and the two methods that do no more."""

import copy

import pytest
import torch
from small_classifiers import normalize, pictures, small_network
from torch import nn
from torch.nn import functional as F  # noqa: N812

from binorm import BatchInstanceNorm2d
from binorm.experiments.common.errors import UserError
from binorm.experiments.rescue.methods import METHODS
from binorm.experiments.rescue.methods.alpha_bn import alpha_bn
from binorm.experiments.rescue.methods.batch_statistics import batch_statistics
from binorm.experiments.rescue.methods.statistics import mix_statistics

X = normalize(pictures(9, seed=3)).double()


def norm_alone(norm):
    generator = torch.Generator().manual_seed(0)
    layer = norm(3).double().eval()
    for values in (layer.weight.data, layer.bias.data, layer.running_mean, layer.running_var):
        values.copy_(0.2 + torch.rand(3, generator=generator))
    return layer


def by_formula(layer, x, share, between=False):
    """With the variance of the mixture taken from its second moment where ``between``."""
    dims = [each for each in range(x.dim()) if each != 1]
    mean, var = x.mean(dims), x.var(dims, correction=0)
    mixed = share * layer.running_mean + (1 - share) * mean
    if between:
        moments = share * (layer.running_var + layer.running_mean**2) + (1 - share) * (var + mean**2)
        mixed_var = moments - mixed**2
    else:
        mixed_var = share * layer.running_var + (1 - share) * var
    return F.batch_norm(x, mixed, mixed_var, layer.weight, layer.bias, eps=layer.eps)


@pytest.mark.parametrize("between", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0, torch.tensor([0.0, 0.5, 1.0])])
def test_one_norm_computes_the_formula(share, between):
    layer = norm_alone(nn.BatchNorm2d)
    mixed = mix_statistics(layer, lambda name, samples: share, between=between)
    torch.testing.assert_close(mixed(X), by_formula(layer, X, share, between), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("norm", "shape"), [(nn.BatchNorm1d, (6, 3)), (nn.BatchNorm1d, (6, 3, 5)), (nn.BatchNorm3d, (2, 3, 2, 4, 3))]
)
def test_norms_of_other_dimensions(norm, shape):
    layer, x = norm_alone(norm), torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    mixed = mix_statistics(layer, lambda name, samples: 0.25)
    torch.testing.assert_close(mixed(x), by_formula(layer, x, 0.25), rtol=1e-10, atol=1e-10)
    assert torch.equal(mixed(x[:0]), layer(x[:0]))


def test_an_activation_and_a_residual_stay_in_their_place():
    from binorm import BatchInstanceNormAct2d

    layer = norm_alone(BatchInstanceNormAct2d)
    residual = X.flip(0)
    mixed = mix_statistics(layer, lambda name, samples: 0.25)(X, residual=residual)
    torch.testing.assert_close(mixed, F.relu(by_formula(layer, X, 0.25) + residual), rtol=1e-10, atol=1e-10)


def test_of_a_gate_below_1_the_instance_norm_stays():
    layer = norm_alone(BatchInstanceNorm2d)
    layer.gate.data.fill_(0.4)
    mixed = mix_statistics(layer, lambda name, samples: 0.25)(X)
    instance = F.instance_norm(X, weight=layer.weight, bias=layer.bias, eps=layer.eps)
    torch.testing.assert_close(mixed, 0.4 * by_formula(layer, X, 0.25) + 0.6 * instance, rtol=1e-4, atol=1e-4)


def test_without_prior_it_is_training_mode_without_dropout():
    network = small_network().double()
    trained = copy.deepcopy(network)
    trained.train()[8].eval()
    torch.testing.assert_close(batch_statistics(network)(X), trained(X).detach(), rtol=1e-9, atol=1e-9)


def test_a_prior_counts_as_so_many_pictures():
    network = small_network().double()
    layer = network[1]
    own = batch_statistics(layer, prior=16)
    x = network[0](X).detach()
    torch.testing.assert_close(own(x), by_formula(layer, x, 16 / (16 + 9)).detach(), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(own(x[:1]), by_formula(layer, x[:1], 16 / 17).detach(), rtol=1e-10, atol=1e-10)
    assert torch.equal(METHODS["batch_statistics_prior"].prepare(layer, None)(x), own(x))


@pytest.mark.parametrize(
    "adapt", [lambda each: batch_statistics(each, prior=1e12), lambda each: alpha_bn(each, alpha=1.0)]
)
def test_a_prior_without_end_is_the_network_as_trained(adapt):
    network = small_network()
    with torch.no_grad():
        expected = network(X.float())
    torch.testing.assert_close(adapt(network)(X.float()), expected, rtol=1e-6, atol=1e-6)


def test_alpha_is_the_share_of_the_running_statistics_at_any_batch_size():
    layer = norm_alone(nn.BatchNorm2d)
    for x in (X, X[:1]):
        expected = by_formula(layer, x, 0.7).detach()
        torch.testing.assert_close(alpha_bn(layer, alpha=0.7)(x), expected, rtol=1e-10, atol=1e-10)


def test_gradients_reach_the_batchs_statistics():
    layer = norm_alone(nn.BatchNorm2d)
    mixed = mix_statistics(layer, lambda name, samples: 0.3)
    assert torch.autograd.gradcheck(mixed, X[:2, :, :3, :3].clone().requires_grad_())


def test_half_precision_is_computed_in_single():
    layer = norm_alone(nn.BatchNorm2d).float()
    x = (X * 300 + 200).half()  # whose squares are beyond half precision
    mixed = mix_statistics(layer, lambda name, samples: 0.0)
    torch.testing.assert_close(mixed(x), by_formula(layer, x.float(), 0.0).half(), rtol=5e-3, atol=5e-3)


def test_norms_without_running_statistics_alone_are_refused():
    network = nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False))
    with pytest.raises(UserError, match="1 norms without running statistics"):
        batch_statistics(network)


@pytest.mark.parametrize("prior", [-1.0, float("nan"), float("inf")])
def test_priors_that_are_no_number_of_pictures_are_refused(prior):
    with pytest.raises(UserError, match="prior should be"):
        batch_statistics(small_network(), prior=prior)


def test_alphas_outside_0_to_1_are_refused():
    with pytest.raises(UserError, match=r"alpha should be .*1\.5"):
        alpha_bn(small_network(), alpha=1.5)
