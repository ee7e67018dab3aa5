import pytest
import torch
from random_styles import random_style_network
from torch import nn
from torch.nn import functional as F  # noqa: N812

from binorm.experiments.style.drawing.fast_convolutions import BlockConv2d, DoublingConv2d, with_fast_convolutions

SIZES = [(8, 8), (9, 12), (10, 11), (13, 9)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("kernel_size", "bias"), [(9, True), (3, False)])
def test_pixels_in_blocks_are_the_same_pixels(size, kernel_size, bias):
    conv = nn.Conv2d(5, 3, kernel_size, padding=kernel_size // 2, padding_mode="reflect", bias=bias)
    x = torch.randn(2, 5, *size)
    torch.testing.assert_close(BlockConv2d(conv.requires_grad_(False))(x), conv(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_doubling_needs_no_doubled_map(size):
    conv = nn.Conv2d(5, 4, 3, padding=1, padding_mode="reflect", bias=False).requires_grad_(False)
    x = torch.randn(2, 5, *size)
    expected = conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
    torch.testing.assert_close(DoublingConv2d(conv)(x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_the_faster_network_draws_the_same(size):
    network = random_style_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    pictures = torch.rand(2, 3, *size)
    fast = with_fast_convolutions(network)
    torch.testing.assert_close(fast(pictures), network(pictures), rtol=1e-4, atol=1e-5)
    assert isinstance(fast.last, BlockConv2d)
    assert all(isinstance(layer.conv, DoublingConv2d) for layer in fast.decoder)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
