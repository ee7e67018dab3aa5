"""The two blocks of ResNets (He et al., *Deep Residual Learning*, CVPR 2016): y = relu(x' + f(x))."""

from torch import Tensor, nn

from binorm.experiments.models.norms import NormLayer


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
    are ResNeXt's (Xie et al., *Aggregated Residual Transformations*, CVPR 2017, figure 3c).

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
