import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from binorm.experiments.models.norms import NORMS
from binorm.experiments.models.plain import CifarAlexNet, CifarVGG19, DigitNetwork


@pytest.mark.parametrize(
    ("network", "kernels", "channels"),
    [
        (CifarAlexNet, [11, 5, 3, 3, 3], [64, 192, 384, 256, 256]),
        (CifarVGG19, [3] * 16, [64] * 2 + [128] * 2 + [256] * 4 + [512] * 8),
    ],
)
def test_a_norm_of_the_same_width_follows_each_convolution(network, kernels, channels):
    with torch.device("meta"):
        modules = list(network(10, NORMS["bn"].layer).modules())
    convolutions = [module for module in modules if isinstance(module, nn.Conv2d)]
    norms = [module for module in modules if isinstance(module, nn.BatchNorm2d)]
    assert [conv.kernel_size[0] for conv in convolutions] == kernels
    assert [conv.out_channels for conv in convolutions] == channels
    assert [norm.num_features for norm in norms] == channels
    assert all(conv.bias is not None for conv in convolutions)


@pytest.mark.parametrize(
    ("network", "sides"),
    [(CifarAlexNet, [8, 4, 2, 2, 2]), (CifarVGG19, [32] * 2 + [16] * 2 + [8] * 4 + [4] * 4 + [2] * 4)],
)
def test_sides_of_the_maps_at_the_norms(network, sides):
    with torch.device("meta"):
        model = network(10, NORMS["bn"].layer)
    seen = []
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[-1]))
    model(torch.empty(2, 3, 32, 32, device="meta"))
    assert seen == sides


@pytest.mark.parametrize(("network", "smallest"), [(CifarAlexNet, 29), (CifarVGG19, 32)])
def test_the_smallest_pictures_that_pass(network, smallest):
    with torch.device("meta"):
        model = network(10, NORMS["bn"].layer)
    assert model(torch.empty(2, 3, smallest, smallest, device="meta")).shape == (2, 10)
    with pytest.raises(RuntimeError, match="too small"):
        model(torch.empty(2, 3, smallest - 1, smallest - 1, device="meta"))


def _without_norms(num_features, *, apply_act=True):
    return nn.ReLU()


def test_the_digit_network_is_the_published_one_with_norms():
    torch.manual_seed(0)
    network = DigitNetwork(10, _without_norms).eval()
    x = torch.rand(2, 3, 28, 28)
    maps = F.relu(F.max_pool2d(network.stage1[0](x), 2))  # as published: the maximum, then ReLU
    maps = F.relu(F.max_pool2d(network.stage2[0](maps), 2))
    assert maps.shape == (2, 48, 4, 4)
    hidden = F.relu(network.head[0](maps.flatten(1)))
    hidden = F.relu(network.head[2](hidden))
    assert torch.equal(network(x), network.head[4](hidden))
    layers = [tuple(each.weight.shape) for each in network.modules() if isinstance(each, nn.Conv2d | nn.Linear)]
    assert layers == [(32, 3, 5, 5), (48, 32, 5, 5), (100, 768), (100, 100), (10, 100)]


@pytest.mark.parametrize(("height", "width"), [(16, 16), (28, 28), (32, 32), (64, 40)])
def test_pictures_of_digits_may_have_any_size_from_16_on(height, width):
    network = DigitNetwork(7, NORMS["bin"].layer)
    assert network(torch.rand(2, 3, height, width)).shape == (2, 7)


def test_smaller_pictures_of_digits_do_not_pass():
    with pytest.raises(RuntimeError, match="too small"):
        DigitNetwork(7, NORMS["bin"].layer)(torch.rand(2, 3, 15, 15))
