"""ResNets for 224x224 pictures (He et al., *Deep Residual Learning*, CVPR 2016, table 1)."""

from torch import Tensor, nn

from binorm.experiments.common.errors import UserError
from binorm.experiments.models.initialization import initialize_convolutions
from binorm.experiments.models.norms import NormLayer
from binorm.experiments.models.residual_blocks import BasicBlock, Bottleneck
from binorm.experiments.models.stages import ResidualBlock, residual_stage

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
