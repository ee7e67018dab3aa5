"""ResNets for 32x32 pictures (He et al., *Deep Residual Learning*, CVPR 2016, section 4.2)."""

from collections.abc import Sequence

from torch import Tensor, nn

from binorm.experiments.models.initialization import initialize_convolutions
from binorm.experiments.models.norms import NormLayer
from binorm.experiments.models.residual_blocks import BasicBlock, Bottleneck
from binorm.experiments.models.stages import ResidualBlock, blocks_per_stage, residual_stage

DEPTHS = (8, 14, 20, 32, 44, 56, 110)
BOTTLENECK_DEPTHS = (83, 164)


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
