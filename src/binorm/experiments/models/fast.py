"""A small network for CIFAR-10 that learns in few epochs, after published speed runs."""

from collections import OrderedDict
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from binorm.experiments.models.norms import NormLayer

WIDTHS = (64, 256, 256)
_PATCH = 2  # pixels a side
_FLOOR = 5e-4  # added to the variances that are divided by, so that nearly constant directions are not blown up
_SCALE = 1 / 9  # of the logits


class FastNetwork(nn.Sequential):
    """A whitening layer, three stages of two 3x3 convolutions of 64, 256 and 256 channels, and a linear head.

    (N, 3, H, W) images -> (N, num_classes) logits; height and width are at least 9. In each stage 2x2 max pooling
    comes between the first convolution and its norm; each convolution has a norm and a ReLU. The head sees the maximum
    over all pixels. A convolution starts as the identity of its first channels, the other filters as PyTorch draws
    them. About 118 million multiplications a picture of 32x32 pixels.

    Source: the design of Jordan, *94% on CIFAR-10 in 3.29 Seconds on a Single GPU*, arXiv:2404.00498, which goes back
    to Page's *How to Train Your ResNet* (2018), with ReLU instead of GELU, norms whose weight is learned too, and a
    learning rate that biases share.
    """

    def __init__(self, num_classes: int, norm_layer: NormLayer) -> None:
        super().__init__()
        self.whitening = Whitening(3)
        widths = (2 * self.whitening.in_channels * _PATCH**2, *WIDTHS)
        for number, pair in enumerate(pairwise(widths), 1):
            self.add_module(f"stage{number}", _stage(*pair, norm_layer))
        self.maximum = _MaximumOverPixels()
        self.head = nn.Linear(WIDTHS[-1], num_classes, bias=False)
        self.scale = _Scale()
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module is not self.whitening:
                nn.init.dirac_(module.weight[: module.in_channels])


class Whitening(nn.Conv2d):
    """Patches of 2x2 pixels along the axes of their covariance, each with variance 1, and the same with the other sign.

    (N, C, H, W) -> (N, 8 C, H - 1, W - 1), after ReLU. The filters are found by `fit` and are not trained; the bias is.
    Before it the filters are random.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 2 * channels * _PATCH**2, _PATCH)
        self.weight.requires_grad_(False)
        nn.init.zeros_(self.bias)  # type: ignore[arg-type]

    def forward(self, input: Tensor) -> Tensor:
        """See above."""
        return functional.relu(super().forward(input), inplace=True)

    @torch.no_grad()
    def fit(self, pictures: Tensor) -> None:
        """Find the filters of training pictures, (N, C, H, W), normalized as the network gets them."""
        patches = functional.unfold(pictures.double(), _PATCH).transpose(1, 2).flatten(0, 1)
        variances, axes = torch.linalg.eigh(patches.T @ patches / len(patches))
        filters = (axes / (variances + _FLOOR).sqrt()).T.reshape(-1, self.in_channels, _PATCH, _PATCH)
        self.weight.copy_(torch.cat([filters, -filters]))


class _MaximumOverPixels(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.amax((2, 3))


class _Scale(nn.Module):
    """Logits that start small train steadily at a high learning rate."""

    def forward(self, x: Tensor) -> Tensor:
        return x * _SCALE


def _stage(in_channels: int, channels: int, norm_layer: NormLayer) -> nn.Sequential:
    """(N, in_channels, H, W) -> (N, channels, H / 2, W / 2), rounded down; one block."""
    conv1 = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
    conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
    norm1, norm2 = norm_layer(channels), norm_layer(channels)
    block = OrderedDict(conv1=conv1, pool=nn.MaxPool2d(2), norm1=norm1, conv2=conv2, norm2=norm2)
    return nn.Sequential(nn.Sequential(block))
