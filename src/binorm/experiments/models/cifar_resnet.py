"""ResNets for 32x32 pictures (He et al., *Deep Residual Learning*, CVPR 2016, section 4.2), with basic blocks."""

from torch import Tensor, nn

from binorm.experiments.models.norms import NormLayer

DEPTHS = (8, 14, 20, 32, 44, 56, 110)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, each with its norm and ReLU, beside a shortcut: y = relu(x' + f(x))."""

    def __init__(self, in_channels: int, channels: int, stride: int, norm_layer: NormLayer) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.norm1 = norm_layer(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = norm_layer(channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != channels:
            projection = nn.Conv2d(in_channels, channels, 1, stride, bias=False)
            self.shortcut = nn.Sequential(projection, norm_layer(channels, apply_act=False))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, channels, H / stride, W / stride)."""
        out = self.norm1(self.conv1(x))
        y: Tensor = self.norm2(self.conv2(out), self.shortcut(x))
        return y


class CifarResNet(nn.Module):
    """A stem and three stages of 16, 32 and 64 channels with (depth - 2) / 6 basic blocks each, then a linear head.

    Shortcuts that change the shape are 1x1 convolutions with a norm. Convolutions start as in He et al. 2015 (normal,
    fan out), whatever the norm, so that one seed gives every norm the same weights.
    """

    def __init__(self, depth: int, num_classes: int, norm_layer: NormLayer) -> None:
        super().__init__()
        blocks = (depth - 2) // 6
        self.conv = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.norm = norm_layer(16)
        self.stage1 = _stage(16, 16, blocks, 1, norm_layer)
        self.stage2 = _stage(16, 32, blocks, 2, norm_layer)
        self.stage3 = _stage(32, 64, blocks, 2, norm_layer)
        self.head = nn.Linear(64, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) pictures -> (N, num_classes) logits."""
        x = self.norm(self.conv(x))
        x = self.stage3(self.stage2(self.stage1(x)))
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits


def _stage(in_channels: int, channels: int, blocks: int, stride: int, norm_layer: NormLayer) -> nn.Sequential:
    first = BasicBlock(in_channels, channels, stride, norm_layer)
    return nn.Sequential(first, *(BasicBlock(channels, channels, 1, norm_layer) for _ in range(blocks - 1)))
