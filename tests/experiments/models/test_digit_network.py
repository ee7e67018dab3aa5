import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from binorm.experiments.models.digit_network import DigitNetwork
from binorm.experiments.models.norms import NORMS


def _without_norms(num_features, *, apply_act=True):
    return nn.ReLU()


def test_it_is_the_published_network_with_norms():
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
def test_pictures_may_have_any_size_from_16_on(height, width):
    network = DigitNetwork(7, NORMS["bin"])
    assert network(torch.rand(2, 3, height, width)).shape == (2, 7)


def test_smaller_pictures_do_not_pass():
    with pytest.raises(RuntimeError, match="too small"):
        DigitNetwork(7, NORMS["bin"])(torch.rand(2, 3, 15, 15))
