"""DenseNet-BC for 32x32 pictures (Huang et al., *Densely Connected Convolutional Networks*, CVPR 2017, section 3)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from binorm.experiments.models.norms import NormLayer
from binorm.experiments.models.stages import StagedNetwork, blocks_per_stage


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


class DenseNetBC(StagedNetwork):
    """Three stages of (depth - 4) / 6 dense layers each, with transitions between them that halve the channels.

    ``DenseNetBC(100, 12, ...)`` is DenseNet-BC with L = 100 and k = 12: ``depth`` is 6n + 4, and each layer adds
    ``growth`` channels. Before the stages comes a 3x3 convolution with 2 ``growth`` channels, after them a norm and
    ReLU.

    Raises:
        UserError: for a depth that does not give whole layers.
    """

    def __init__(self, depth: int, growth: int, num_classes: int, norm_layer: NormLayer) -> None:
        count = blocks_per_stage(depth, 2, 4)
        channels = 2 * growth
        layers: dict[str, nn.Module] = {"conv": nn.Conv2d(3, channels, 3, padding=1, bias=False)}
        for stage in (1, 2, 3):
            inputs = range(channels, channels + count * growth, growth)
            layers[f"stage{stage}"] = nn.Sequential(*(DenseLayer(each, growth, norm_layer) for each in inputs))
            channels += count * growth
            if stage < 3:
                layers[f"transition{stage}"] = Transition(channels, channels // 2, norm_layer)
                channels //= 2
        super().__init__(layers | {"norm": norm_layer(channels)}, channels, num_classes)
