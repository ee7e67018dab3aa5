"""ResNets for 32x32 and 224x224 pictures, and ResNeXts: norm and ReLU come after each convolution.

Sources: He et al., *Deep Residual Learning for Image Recognition*, CVPR 2016, table 1 and section 4.2; Xie et al.,
*Aggregated Residual Transformations for Deep Neural Networks*, CVPR 2017, figure 3c and section 5.3.
"""

from functools import partial

from torch import Tensor, nn

from binorm.experiments.common.errors import UserError
from binorm.experiments.models.norms import NormLayer
from binorm.experiments.models.stages import ResidualBlock, StagedNetwork, blocks_per_stage, residual_stages

DEPTHS = (8, 14, 20, 32, 44, 56, 110)
BOTTLENECK_DEPTHS = (83, 164)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, each with its norm and ReLU, beside a shortcut: y = relu(x' + f(x))."""

    def __init__(self, in_channels: int, channels: int, stride: int, norm_layer: NormLayer) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.norm1 = norm_layer(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = norm_layer(channels)
        self.shortcut = _shortcut(in_channels, channels, stride, norm_layer)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, channels, H / stride, W / stride)."""
        out = self.norm1(self.conv1(x))
        y: Tensor = self.norm2(self.conv2(out), self.shortcut(x))
        return y


class Bottleneck(nn.Module):
    """A 1x1, a 3x3 and a 1x1 convolution, each with its norm and ReLU, beside a shortcut: y = relu(x' + f(x)).

    The 3x3 convolution, which has the stride, works on cardinality * base_width * channels / 256 channels in
    ``cardinality`` groups. The defaults are ResNet's bottleneck, a quarter of ``channels`` in one group; more groups
    are ResNeXt's, each of ``base_width`` channels where the block has 256 outputs.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        norm_layer: NormLayer,
        cardinality: int = 1,
        base_width: int = 64,
    ) -> None:
        super().__init__()
        width = cardinality * (base_width * channels // 256)
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.norm1 = norm_layer(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, groups=cardinality, bias=False)
        self.norm2 = norm_layer(width)
        self.conv3 = nn.Conv2d(width, channels, 1, bias=False)
        self.norm3 = norm_layer(channels)
        self.shortcut = _shortcut(in_channels, channels, stride, norm_layer)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, channels, H / stride, W / stride)."""
        out = self.norm2(self.conv2(self.norm1(self.conv1(x))))
        y: Tensor = self.norm3(self.conv3(out), self.shortcut(x))
        return y


def _shortcut(in_channels: int, channels: int, stride: int, norm_layer: NormLayer) -> nn.Module:
    """The identity, or a 1x1 convolution with a norm where the shape changes."""
    if stride == 1 and in_channels == channels:
        return nn.Identity()
    projection = nn.Conv2d(in_channels, channels, 1, stride, bias=False)
    return nn.Sequential(projection, norm_layer(channels, apply_act=False))


class CifarResNet(StagedNetwork):
    """A 3x3 stem, and three stages of 16, 32 and 64 channels with (depth - 2) / 6 basic blocks each.

    With ``bottleneck``, (depth - 2) / 9 bottleneck blocks each, with four times as many output channels. Those of depth
    83 and 164 are what the BIN paper's code builds when asked for ResNet-56 and ResNet-110. Shortcuts that change the
    shape are 1x1 convolutions with a norm.

    Raises:
        UserError: for a depth that does not give whole blocks.
    """

    def __init__(self, depth: int, num_classes: int, norm_layer: NormLayer, *, bottleneck: bool = False) -> None:
        blocks = 3 * [blocks_per_stage(depth, 3 if bottleneck else 2, 2)]
        block: ResidualBlock = Bottleneck if bottleneck else BasicBlock
        widths = (64, 128, 256) if bottleneck else (16, 32, 64)
        stem = _stem(16, norm_layer)
        super().__init__(stem | residual_stages(block, 16, widths, blocks, norm_layer), widths[-1], num_classes)


class CifarResNeXt(StagedNetwork):
    """A 3x3 stem, and three stages of 256, 512 and 1024 channels with (depth - 2) / 9 grouped bottleneck blocks each.

    ``CifarResNeXt(29, 8, 64, ...)`` is ResNeXt-29, 8x64d: the 3x3 convolutions of its first stage have 8 groups of 64
    channels (``cardinality`` and ``base_width``); later stages double the 64.

    Raises:
        UserError: for a depth that does not give whole blocks.
    """

    def __init__(self, depth: int, cardinality: int, base_width: int, num_classes: int, norm_layer: NormLayer) -> None:
        block = partial(Bottleneck, cardinality=cardinality, base_width=base_width)
        blocks = 3 * [blocks_per_stage(depth, 3, 2)]
        stem = _stem(64, norm_layer)
        super().__init__(stem | residual_stages(block, 64, (256, 512, 1024), blocks, norm_layer), 1024, num_classes)


def _stem(channels: int, norm_layer: NormLayer) -> dict[str, nn.Module]:
    return {"conv": nn.Conv2d(3, channels, 3, padding=1, bias=False), "norm": norm_layer(channels)}


# By depth: the block, the channels that leave the first stage, the blocks of each stage.
_LAYOUTS: dict[int, tuple[ResidualBlock, int, tuple[int, int, int, int]]] = {
    18: (BasicBlock, 64, (2, 2, 2, 2)),
    50: (Bottleneck, 256, (3, 4, 6, 3)),
}
IMAGENET_DEPTHS = tuple(_LAYOUTS)


class ImageNetResNet(StagedNetwork):
    """A 7x7 stem with max pooling and four stages of residual blocks.

    Depth 18 has basic blocks, depth 50 bottleneck blocks with the stride on the 3x3 convolution. Layers and parameters
    are those of torchvision's networks, in the same order.

    Images may be of any size from 32x32 on. At 32x32 the last stage's maps are 1x1, where instance norm has nothing to
    normalize: PyTorch's raises in training, and with it this network needs 33x33.

    Raises:
        UserError: for a depth that is not one of `IMAGENET_DEPTHS`.
    """

    def __init__(self, depth: int, num_classes: int, norm_layer: NormLayer) -> None:
        if depth not in _LAYOUTS:
            raise UserError(f"the depth should be {' or '.join(map(str, IMAGENET_DEPTHS))} (got {depth})")
        block, width, blocks = _LAYOUTS[depth]
        widths = [width, 2 * width, 4 * width, 8 * width]
        stem = {
            "conv": nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False),
            "norm": norm_layer(64),
            "pool": nn.MaxPool2d(3, stride=2, padding=1),
        }
        super().__init__(stem | residual_stages(block, 64, widths, blocks, norm_layer), widths[-1], num_classes)
