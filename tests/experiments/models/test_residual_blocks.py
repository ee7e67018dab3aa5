import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from binorm.experiments.models.norms import NORMS
from binorm.experiments.models.residual_blocks import BasicBlock, Bottleneck


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
def test_without_its_convolutions_a_block_is_the_relu_of_its_input(block):
    network = block(16, 16, 1, NORMS["bn"])
    _last(network, nn.Conv2d).weight.data.zero_()
    x = torch.randn(2, 16, 4, 4)
    torch.testing.assert_close(network(x), x.relu())


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
def test_without_its_convolutions_a_changing_block_is_the_relu_of_its_normalized_projection(block):
    network = block(8, 16, 2, NORMS["bn"])
    _last(network, nn.Conv2d, but="shortcut").weight.data.zero_()
    x = torch.randn(2, 8, 4, 4)
    projection = F.conv2d(x, network.shortcut[0].weight, stride=2)
    torch.testing.assert_close(network(x), F.batch_norm(projection, None, None, training=True).relu())


def _last(network, kind, but="nothing"):
    return [module for name, module in network.named_modules() if isinstance(module, kind) and but not in name][-1]


def test_cardinality_and_base_width_set_the_grouped_convolution():
    conv = Bottleneck(64, 512, 2, NORMS["bn"], cardinality=8, base_width=64).conv2
    assert (conv.groups, conv.in_channels, conv.out_channels, conv.stride) == (8, 1024, 1024, (2, 2))
    assert Bottleneck(64, 512, 2, NORMS["bn"]).conv2.weight.shape == (128, 128, 3, 3)
