import pytest
import torch
from torch import nn
from torch.nn import functional

from binorm import param_groups
from binorm.experiments.models import create
from binorm.experiments.models.fast import FastNetwork, Whitening
from binorm.experiments.models.norms import NORMS


def pictures(count=64, side=12):
    """Neighbouring pixels and colours depend on each other, as in photographs."""
    coarse = torch.randn(count, 3, side // 2, side // 2, generator=torch.Generator().manual_seed(0))
    fine = torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(1))
    return functional.interpolate(coarse, scale_factor=2, mode="bilinear") + 0.1 * fine


def test_fitted_filters_whiten_patches_and_come_with_both_signs():
    layer, seen = Whitening(3), pictures()
    layer.fit(seen)
    response = functional.conv2d(seen, layer.weight).flatten(2).transpose(1, 2).flatten(0, 1)
    first, second = response.chunk(2, dim=1)
    torch.testing.assert_close(second, -first)
    second_moments = (first.T @ first / len(first)).double()
    off_axis = second_moments - torch.diag(second_moments.diagonal())
    assert off_axis.abs().max() < 1e-4
    variances = torch.linalg.eigvalsh(_moments(seen)).sort().values
    expected = variances / (variances + 5e-4)  # nearly constant directions stay small
    torch.testing.assert_close(second_moments.diagonal().sort().values, expected.sort().values, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(layer(seen), functional.relu(functional.conv2d(seen, layer.weight)))


def _moments(seen):
    patches = functional.unfold(seen.double(), 2).transpose(1, 2).flatten(0, 1)
    return patches.T @ patches / len(patches)


def test_filters_are_not_trained_and_their_biases_are():
    network = create("fast", 10, "bin")
    network(torch.randn(4, 3, 32, 32)).sum().backward()
    assert network.whitening.weight.grad is None
    assert network.whitening.bias.grad is not None
    before = network.whitening.weight.clone()
    torch.optim.SGD(param_groups(network, 0.1, weight_decay=0.1), lr=0.1).step()
    assert torch.equal(network.whitening.weight, before)


@pytest.mark.parametrize("norm", NORMS)
def test_each_stage_halves_the_maps_and_has_two_norms(norm):
    network = create("fast", 7, norm)
    sides = []
    for name in ("stage1", "stage2", "stage3"):
        network.get_submodule(name).register_forward_hook(lambda _, __, out: sides.append(tuple(out.shape[1:])))
    assert network(torch.randn(2, 3, 32, 32)).shape == (2, 7)
    assert sides == [(64, 15, 15), (256, 7, 7), (256, 3, 3)]


def test_a_convolution_starts_as_the_identity_of_its_first_channels():
    network = FastNetwork(10, NORMS["bn"].layer)
    convolutions = [each for each in network.modules() if isinstance(each, nn.Conv2d) and each is not network.whitening]
    assert len(convolutions) == 6
    for conv in convolutions:
        x = torch.randn(1, conv.in_channels, 5, 5)
        torch.testing.assert_close(conv(x)[:, : conv.in_channels], x)


def test_multiplications_are_those_that_the_docstring_says():
    from torch.utils.flop_counter import FlopCounterMode

    network = FastNetwork(10, NORMS["bn"].layer).eval()
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(torch.randn(1, 3, 32, 32))
    assert counter.get_total_flops() / 2 == pytest.approx(118e6, rel=0.01)


def test_pictures_of_9_pixels_pass_and_smaller_ones_do_not():
    network = FastNetwork(10, NORMS["bn"].layer).eval()
    assert network(torch.randn(1, 3, 9, 9)).shape == (1, 10)
    with pytest.raises(RuntimeError):
        network(torch.randn(1, 3, 8, 8))
