"""Pre-activation ResNets for 32x32 pictures, narrow and wide: norm and ReLU come before each convolution.

Sources: He et al., *Identity Mappings in Deep Residual Networks*, ECCV 2016; Zagoruyko & Komodakis, *Wide Residual
Networks*, BMVC 2016.
"""

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from binorm.experiments.models.norms import NormLayer
from binorm.experiments.models.stages import ResidualBlock, StagedNetwork, blocks_per_stage, residual_stages


class PreActBasicBlock(nn.Module):
    """Two 3x3 convolutions, each after its norm and ReLU: y = x + f(x), with nothing on the way of x.

    Where the shape changes, the shortcut is a 1x1 convolution (without a norm) of the first norm's output. ``dropout``
    is the share of the second convolution's input that training sets to 0.
    """

    def __init__(
        self, in_channels: int, channels: int, stride: int, norm_layer: NormLayer, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.norm1 = norm_layer(in_channels)
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.norm2 = norm_layer(channels)
        # Not Dropout(0), which on a GPU would still read and write the whole map.
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.shortcut = _shortcut(in_channels, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, channels, H / stride, W / stride)."""
        activated = self.norm1(x)
        shortcut = x if self.shortcut is None else self.shortcut(activated)
        y: Tensor = shortcut + self.conv2(self.dropout(self.norm2(self.conv1(activated))))
        return y


class PreActBottleneck(nn.Module):
    """A 1x1, a 3x3 and a 1x1 convolution, each after its norm and ReLU: y = x + f(x), with nothing on the way of x.

    The first two have a quarter of ``channels``. Where the shape changes, the shortcut is a 1x1 convolution (without a
    norm) of the first norm's output.
    """

    def __init__(self, in_channels: int, channels: int, stride: int, norm_layer: NormLayer) -> None:
        super().__init__()
        width = channels // 4
        self.norm1 = norm_layer(in_channels)
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.norm2 = norm_layer(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.norm3 = norm_layer(width)
        self.conv3 = nn.Conv2d(width, channels, 1, bias=False)
        self.shortcut = _shortcut(in_channels, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, channels, H / stride, W / stride)."""
        activated = self.norm1(x)
        shortcut = x if self.shortcut is None else self.shortcut(activated)
        out = self.norm2(self.conv1(activated))
        y: Tensor = shortcut + self.conv3(self.norm3(self.conv2(out)))
        return y


class PreResNet(StagedNetwork):
    """A 3x3 stem, three stages of 16, 32 and 64 channels with (depth - 2) / 6 basic blocks each, a last norm and ReLU.

    With ``bottleneck``, (depth - 2) / 9 bottleneck blocks each, with four times as many output channels. The one of
    depth 164 is what the code that the BIN paper's authors started from builds when asked for PreResNet-110, except
    that its shape-changing shortcuts see a block's input before the first norm, and He et al.'s and these after it.

    Raises:
        UserError: for a depth that does not give whole blocks.
    """

    def __init__(self, depth: int, num_classes: int, norm_layer: NormLayer, *, bottleneck: bool = False) -> None:
        blocks = blocks_per_stage(depth, 3 if bottleneck else 2, 2)
        block: ResidualBlock = PreActBottleneck if bottleneck else PreActBasicBlock
        widths = (64, 128, 256) if bottleneck else (16, 32, 64)
        super().__init__(_layers(block, widths, blocks, norm_layer), widths[-1], num_classes)


class WideResNet(StagedNetwork):
    """As `PreResNet` with ``widen_factor`` times its channels, and (depth - 4) / 6 basic blocks in each stage.

    ``WideResNet(28, 10, ...)`` is WRN-28-10. ``dropout`` is the share of zeros between the two convolutions of each
    block; the paper's networks with dropout have 0.3.

    Raises:
        UserError: for a depth that does not give whole blocks.
        ValueError: for a dropout outside 0 to 1.
    """

    def __init__(
        self, depth: int, widen_factor: int, num_classes: int, norm_layer: NormLayer, dropout: float = 0.0
    ) -> None:
        block = partial(PreActBasicBlock, dropout=dropout)
        widths = [channels * widen_factor for channels in (16, 32, 64)]
        super().__init__(_layers(block, widths, blocks_per_stage(depth, 2, 4), norm_layer), widths[-1], num_classes)


def _layers(block: ResidualBlock, widths: Sequence[int], blocks: int, norm_layer: NormLayer) -> dict[str, nn.Module]:
    stem = {"conv": nn.Conv2d(3, 16, 3, padding=1, bias=False)}
    return stem | residual_stages(block, 16, widths, 3 * [blocks], norm_layer) | {"norm": norm_layer(widths[-1])}


def _shortcut(in_channels: int, channels: int, stride: int) -> nn.Module | None:
    """None for the identity."""
    if stride == 1 and in_channels == channels:
        return None
    return nn.Conv2d(in_channels, channels, 1, stride, bias=False)
