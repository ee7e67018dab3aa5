"""The same convolutions of a style network, arranged so that a processor computes them faster.

Both compute the 2x2 pixels of an output that share a place at half the size as channels of that place, and then spread
them (``pixel_shuffle``).
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from binorm.experiments.style.network import ConvNorm, StyleNetwork


class BlockConv2d(nn.Module):
    """A convolution of stride 1 with reflected borders and few output channels, for 2x2 pixels at once.

    Vector registers hold 16 channels: with the network's 3 outputs most of each is idle, with 12 it pays, though
    kernels of k + 1 by k + 1 with zeros come of it.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        out, channels, size, _ = conv.weight.shape
        blocks = conv.weight.new_zeros(out, 2, 2, channels, size + 1, size + 1)
        for y in range(2):
            for x in range(2):
                blocks[:, y, x, :, y : y + size, x : x + size] = conv.weight
        self.register_buffer("weight", blocks.flatten(0, 2).contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", None if conv.bias is None else conv.bias.detach().repeat_interleave(4))
        self.padding = size // 2

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, out, H, W)."""
        height, width = x.shape[2:]
        x = F.pad(x, (self.padding,) * 4, mode="reflect")
        if height % 2 or width % 2:
            x = F.pad(x, (0, width % 2, 0, height % 2))  # what is drawn there is cut away
        y = F.pixel_shuffle(F.conv2d(x, self.weight, self.bias, stride=2), 2)
        return y[..., :height, :width]


class DoublingConv2d(nn.Module):
    """Nearest doubling, then a 3x3 convolution with reflected borders, without the doubled map.

    A pixel of the output sees 2x2 pixels of the input, some of them under two or four values of the kernel, whose sums
    are taken once. The reflection of the doubled map repeats the border of the input.
    """

    weight: Tensor

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        # shares[y, u, k]: whether the kernel's row k lies on the input's row u - 1, for output rows of parity y
        shares = conv.weight.new_tensor([[[1, 0, 0], [0, 1, 1], [0, 0, 0]], [[0, 0, 0], [1, 1, 0], [0, 0, 1]]])
        blocks = torch.einsum("yuk,xvl,oikl->oyxiuv", shares, shares, conv.weight)
        self.register_buffer("weight", blocks.flatten(0, 2).contiguous(memory_format=torch.channels_last))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, out, 2H, 2W)."""
        return F.pixel_shuffle(F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), self.weight), 2)


def with_fast_convolutions(network: StyleNetwork) -> StyleNetwork:
    """A copy, for use alone, that draws the same."""
    fast = copy.deepcopy(network).requires_grad_(False)
    fast.last = BlockConv2d(fast.last)  # type: ignore[assignment]
    for layer in fast.decoder:
        if isinstance(layer, ConvNorm):
            layer.conv, layer.upsample = DoublingConv2d(layer.conv), False  # type: ignore[assignment]
    return fast
