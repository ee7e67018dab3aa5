"""ResNets for 32x32 and 224x224 pictures, and ResNeXts: norm and ReLU come after each convolution.

Sources: He et al., *Deep Residual Learning for Image Recognition*, CVPR 2016, table 1 and section 4.2; Xie et al.,
*Aggregated Residual Transformations for Deep Neural Networks*, CVPR 2017, figure 3c and section 5.3.
"""

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from binorm.experiments.common.errors import UserError
from binorm.experiments.models.norms import NormLayer
from binorm.experiments.models.stages import ResidualBlock, blocks_per_stage, initialize_convolutions, residual_stage

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
    are ResNeXt's.

    Args:
        in_channels: of the input.
        channels: of the output.
        stride: of the 3x3 convolution and of the shortcut.
        norm_layer: the norm, see `binorm.experiments.models.norms`.
        cardinality: groups.
        base_width: channels of one group where the block has 256 outputs.
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


class ThreeStageResNet(nn.Module):
    """A 3x3 stem with norm and ReLU, three stages of residual blocks, the mean over all pixels, a linear head.

    The second and third stage halve the resolution. Convolutions start as `initialize_convolutions` says.

    Args:
        block: makes a block.
        stem: channels of the stem.
        widths: channels of the three stages' outputs.
        blocks: blocks in each stage.
        num_classes: logits.
        norm_layer: the norm, see `binorm.experiments.models.norms`.
    """

    def __init__(
        self,
        block: ResidualBlock,
        stem: int,
        widths: Sequence[int],
        blocks: int,
        num_classes: int,
        norm_layer: NormLayer,
    ) -> None:
        super().__init__()
        first, second, third = widths
        self.conv = nn.Conv2d(3, stem, 3, padding=1, bias=False)
        self.norm = norm_layer(stem)
        self.stage1 = residual_stage(block, stem, first, blocks, 1, norm_layer)
        self.stage2 = residual_stage(block, first, second, blocks, 2, norm_layer)
        self.stage3 = residual_stage(block, second, third, blocks, 2, norm_layer)
        self.head = nn.Linear(third, num_classes)
        initialize_convolutions(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) pictures -> (N, num_classes) logits."""
        x = self.norm(self.conv(x))
        x = self.stage3(self.stage2(self.stage1(x)))
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits


class CifarResNet(ThreeStageResNet):
    """Three stages of 16, 32 and 64 channels with (depth - 2) / 6 basic blocks each.

    With ``bottleneck``, (depth - 2) / 9 bottleneck blocks each, with four times as many output channels. Those of depth
    83 and 164 are what the BIN paper's code builds when asked for ResNet-56 and ResNet-110.

    Shortcuts that change the shape are 1x1 convolutions with a norm.

    Raises:
        UserError: for a depth that does not give whole blocks.
    """

    def __init__(self, depth: int, num_classes: int, norm_layer: NormLayer, *, bottleneck: bool = False) -> None:
        if bottleneck:
            super().__init__(Bottleneck, 16, (64, 128, 256), blocks_per_stage(depth, 3, 2), num_classes, norm_layer)
        else:
            super().__init__(BasicBlock, 16, (16, 32, 64), blocks_per_stage(depth, 2, 2), num_classes, norm_layer)


class CifarResNeXt(ThreeStageResNet):
    """Three stages of 256, 512 and 1024 channels with (depth - 2) / 9 bottleneck blocks of grouped convolutions each.

    ``CifarResNeXt(29, 8, 64, ...)`` is ResNeXt-29, 8x64d: the 3x3 convolutions of its first stage have 8 groups of 64
    channels; later stages double the 64.

    Args:
        depth: 9n + 2.
        cardinality: groups.
        base_width: channels of one group in the first stage.
        num_classes: logits.
        norm_layer: the norm, see `binorm.experiments.models.norms`.

    Raises:
        UserError: for a depth that does not give whole blocks.
    """

    def __init__(self, depth: int, cardinality: int, base_width: int, num_classes: int, norm_layer: NormLayer) -> None:
        block = partial(Bottleneck, cardinality=cardinality, base_width=base_width)
        blocks = blocks_per_stage(depth, 3, 2)
        super().__init__(block, 64, (256, 512, 1024), blocks, num_classes, norm_layer)


# By depth: the block, the channels that leave the first stage, the blocks of each stage.
_LAYOUTS: dict[int, tuple[ResidualBlock, int, tuple[int, int, int, int]]] = {
    18: (BasicBlock, 64, (2, 2, 2, 2)),
    50: (Bottleneck, 256, (3, 4, 6, 3)),
}
IMAGENET_DEPTHS = tuple(_LAYOUTS)


class ImageNetResNet(nn.Module):
    """A 7x7 stem with norm, ReLU and max pooling, four stages of residual blocks, a linear head.

    Depth 18 has basic blocks, depth 50 bottleneck blocks with the stride on the 3x3 convolution. Layers and parameters
    are those of torchvision's networks, in the same order. Convolutions start as `initialize_convolutions` says.

    Pictures may be of any size from 32x32 on. At 32x32 the last stage's maps are 1x1, where instance norm has nothing
    to normalize: PyTorch's raises in training, and with it this network needs 33x33.

    Args:
        depth: one of `IMAGENET_DEPTHS`.
        num_classes: logits.
        norm_layer: the norm, see `binorm.experiments.models.norms`.

    Raises:
        UserError: for any other depth.
    """

    def __init__(self, depth: int, num_classes: int, norm_layer: NormLayer) -> None:
        super().__init__()
        if depth not in _LAYOUTS:
            raise UserError(f"the depth should be {' or '.join(map(str, IMAGENET_DEPTHS))} (got {depth})")
        block, width, blocks = _LAYOUTS[depth]
        self.conv = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.norm = norm_layer(64)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.stage1 = residual_stage(block, 64, width, blocks[0], 1, norm_layer)
        self.stage2 = residual_stage(block, width, 2 * width, blocks[1], 2, norm_layer)
        self.stage3 = residual_stage(block, 2 * width, 4 * width, blocks[2], 2, norm_layer)
        self.stage4 = residual_stage(block, 4 * width, 8 * width, blocks[3], 2, norm_layer)
        self.head = nn.Linear(8 * width, num_classes)
        initialize_convolutions(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) pictures -> (N, num_classes) logits."""
        x = self.pool(self.norm(self.conv(x)))
        x = self.stage4(self.stage3(self.stage2(self.stage1(x))))
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits
