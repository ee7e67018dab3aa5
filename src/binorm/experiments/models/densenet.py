"""DenseNet-BC for 32x32 pictures (Huang et al., *Densely Connected Convolutional Networks*, CVPR 2017, section 3)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from binorm.experiments.models.norms import NormLayer
from binorm.experiments.models.stages import blocks_per_stage, initialize_convolutions


class DenseLayer(nn.Module):
    """Adds ``growth`` channels to its input: a 1x1 and a 3x3 convolution, each after its norm and ReLU.

    The 1x1 convolution has 4 ``growth`` channels (the bottleneck, the B of DenseNet-BC).
    """

    def __init__(self, in_channels: int, growth: int, norm_layer: NormLayer) -> None:
        super().__init__()
        self.norm1 = norm_layer(in_channels)
        self.conv1 = nn.Conv2d(in_channels, 4 * growth, 1, bias=False)
        self.norm2 = norm_layer(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, in_channels + growth, H, W); the input's channels come first."""
        new = self.conv2(self.norm2(self.conv1(self.norm1(x))))
        return torch.cat([x, new], dim=1)


class Transition(nn.Module):
    """Norm, ReLU, a 1x1 convolution to fewer channels, 2x2 average pooling."""

    def __init__(self, in_channels: int, channels: int, norm_layer: NormLayer) -> None:
        super().__init__()
        self.norm = norm_layer(in_channels)
        self.conv = nn.Conv2d(in_channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, channels, H / 2, W / 2)."""
        return F.avg_pool2d(self.conv(self.norm(x)), 2)


class DenseNetBC(nn.Module):
    """Three stages of (depth - 4) / 6 dense layers each, with transitions between them that halve the channels.

    ``DenseNetBC(100, 12, ...)`` is DenseNet-BC with L = 100 and k = 12. Before the stages a 3x3 convolution with 2
    ``growth`` channels, after them a norm, ReLU, the mean over all pixels and a linear head. Convolutions start as
    `initialize_convolutions` says.

    Args:
        depth: L of the paper, 6n + 4.
        growth: k of the paper, the channels that each layer adds.
        num_classes: logits.
        norm_layer: the norm, see `binorm.experiments.models.norms`.

    Raises:
        UserError: for a depth that does not give whole layers.
    """

    def __init__(self, depth: int, growth: int, num_classes: int, norm_layer: NormLayer) -> None:
        super().__init__()
        layers = blocks_per_stage(depth, 2, 4)
        channels = 2 * growth
        self.conv = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        self.stage1 = _stage(channels, growth, layers, norm_layer)
        channels += layers * growth
        self.transition1 = Transition(channels, channels // 2, norm_layer)
        channels //= 2
        self.stage2 = _stage(channels, growth, layers, norm_layer)
        channels += layers * growth
        self.transition2 = Transition(channels, channels // 2, norm_layer)
        channels //= 2
        self.stage3 = _stage(channels, growth, layers, norm_layer)
        channels += layers * growth
        self.norm = norm_layer(channels)
        self.head = nn.Linear(channels, num_classes)
        initialize_convolutions(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) pictures -> (N, num_classes) logits."""
        x = self.transition1(self.stage1(self.conv(x)))
        x = self.stage3(self.transition2(self.stage2(x)))
        logits: Tensor = self.head(self.norm(x).mean((2, 3)))
        return logits


def _stage(in_channels: int, growth: int, layers: int, norm_layer: NormLayer) -> nn.Sequential:
    return nn.Sequential(*(DenseLayer(in_channels + i * growth, growth, norm_layer) for i in range(layers)))
