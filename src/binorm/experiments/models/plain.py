"""Networks for 32x32 pictures without shortcuts: AlexNet and VGG, with a norm after each convolution."""

from torch import Tensor, nn

from binorm.experiments.models.initialization import initialize_convolutions
from binorm.experiments.models.norms import NormLayer


class ConvNorm(nn.Module):
    """A convolution that at stride 1 keeps the resolution, its norm and ReLU.

    The convolution has a bias, of which batch norm leaves nothing: the published networks have it too.
    """

    def __init__(
        self, in_channels: int, channels: int, kernel_size: int, norm_layer: NormLayer, stride: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, kernel_size, stride, padding=kernel_size // 2)
        self.norm = norm_layer(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, channels, H / stride, W / stride), rounded up."""
        y: Tensor = self.norm(self.conv(x))
        return y


class CifarAlexNet(nn.Module):
    """AlexNet cut down to 32x32 pictures: five convolutions in three stages, and one linear layer.

    Each stage ends with 2x2 max pooling. The original (Krizhevsky et al., NIPS 2012), and the 32x32 version in the code
    that the BIN paper's authors started from, do not normalize feature maps; the norms are our addition, one after each
    convolution, which else is as in that code. Maps at the norms are 8x8, 4x4 and 2x2 for 32x32 pictures. Convolutions
    start as `initialize_convolutions` says.
    """

    def __init__(self, num_classes: int, norm_layer: NormLayer) -> None:
        super().__init__()
        self.stage1 = nn.Sequential(ConvNorm(3, 64, 11, norm_layer, stride=4), nn.MaxPool2d(2))
        self.stage2 = nn.Sequential(ConvNorm(64, 192, 5, norm_layer), nn.MaxPool2d(2))
        self.stage3 = nn.Sequential(
            ConvNorm(192, 384, 3, norm_layer),
            ConvNorm(384, 256, 3, norm_layer),
            ConvNorm(256, 256, 3, norm_layer),
            nn.MaxPool2d(2),
        )
        self.head = nn.Linear(256, num_classes)
        initialize_convolutions(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) pictures, H and W at least 29 -> (N, num_classes) logits."""
        x = self.stage3(self.stage2(self.stage1(x)))
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits


class CifarVGG19(nn.Module):
    """VGG-19 for 32x32 pictures: its sixteen 3x3 convolutions in five stages, and one linear layer instead of three.

    Each stage ends with 2x2 max pooling; each convolution has a norm. Maps at the norms are 32x32 down to 2x2 for 32x32
    pictures. Convolutions start as `initialize_convolutions` says.

    Source: Simonyan & Zisserman, *Very Deep Convolutional Networks*, ICLR 2015, table 1, column E.
    """

    def __init__(self, num_classes: int, norm_layer: NormLayer) -> None:
        super().__init__()
        self.stage1 = _vgg_stage(3, 64, 2, norm_layer)
        self.stage2 = _vgg_stage(64, 128, 2, norm_layer)
        self.stage3 = _vgg_stage(128, 256, 4, norm_layer)
        self.stage4 = _vgg_stage(256, 512, 4, norm_layer)
        self.stage5 = _vgg_stage(512, 512, 4, norm_layer)
        self.head = nn.Linear(512, num_classes)
        initialize_convolutions(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) pictures, H and W at least 32 -> (N, num_classes) logits."""
        x = self.stage5(self.stage4(self.stage3(self.stage2(self.stage1(x)))))
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits


def _vgg_stage(in_channels: int, channels: int, convolutions: int, norm_layer: NormLayer) -> nn.Sequential:
    first = ConvNorm(in_channels, channels, 3, norm_layer)
    others = (ConvNorm(channels, channels, 3, norm_layer) for _ in range(convolutions - 1))
    return nn.Sequential(first, *others, nn.MaxPool2d(2))
