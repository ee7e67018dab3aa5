"""Networks without shortcuts, with a norm after each convolution: AlexNet, VGG, and DANN's for digits."""

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from binorm.experiments.models.norms import NormLayer
from binorm.experiments.models.stages import initialize_convolutions

_DIGIT_SIDE = 4  # of the last maps of a 28x28 picture


class CifarAlexNet(nn.Module):
    """AlexNet cut down to 32x32 pictures: five convolutions in three stages, and one linear layer.

    Each stage ends with 2x2 max pooling. The original (Krizhevsky et al., NIPS 2012), and the 32x32 version in the code
    that the BIN paper's authors started from, do not normalize feature maps; the norms are our addition, one after each
    convolution, which else is as in that code. Maps at the norms are 8x8, 4x4 and 2x2 for 32x32 pictures. Convolutions
    start as `initialize_convolutions` says.
    """

    def __init__(self, num_classes: int, norm_layer: NormLayer) -> None:
        super().__init__()
        self.stage1 = nn.Sequential(_conv_norm(3, 64, 11, norm_layer, stride=4), nn.MaxPool2d(2))
        self.stage2 = nn.Sequential(_conv_norm(64, 192, 5, norm_layer), nn.MaxPool2d(2))
        self.stage3 = nn.Sequential(
            _conv_norm(192, 384, 3, norm_layer),
            _conv_norm(384, 256, 3, norm_layer),
            _conv_norm(256, 256, 3, norm_layer),
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


class DigitNetwork(nn.Module):
    """Two 5x5 convolutions of 32 and 48 channels, each with 2x2 max pooling and ReLU, and three linear layers.

    The published network takes 28x28 pictures, whose last maps are 4x4; those of other sizes are averaged to 4x4. The
    paper does not normalize feature maps; the norms are our addition, one after each convolution. ReLU comes before the
    pooling here and after it there, which for maxima is the same. The paper's domain classifier, which is no part of
    this network, sees what the head sees: the 768 values of the last maps. Convolutions start as
    `initialize_convolutions` says.

    Source: Ganin et al., *Domain-Adversarial Training of Neural Networks*, JMLR 2016, figure 4a (MNIST architecture).
    """

    def __init__(self, num_classes: int, norm_layer: NormLayer) -> None:
        super().__init__()
        self.stage1 = nn.Sequential(nn.Conv2d(3, 32, 5), norm_layer(32), nn.MaxPool2d(2))
        self.stage2 = nn.Sequential(nn.Conv2d(32, 48, 5), norm_layer(48), nn.MaxPool2d(2))
        self.head = nn.Sequential(
            nn.Linear(48 * _DIGIT_SIDE**2, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, num_classes)
        )
        initialize_convolutions(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) pictures, H and W at least 16 -> (N, num_classes) logits."""
        maps = F.adaptive_avg_pool2d(self.stage2(self.stage1(x)), _DIGIT_SIDE)
        logits: Tensor = self.head(maps.flatten(1))
        return logits


def _vgg_stage(in_channels: int, channels: int, convolutions: int, norm_layer: NormLayer) -> nn.Sequential:
    first = _conv_norm(in_channels, channels, 3, norm_layer)
    others = (_conv_norm(channels, channels, 3, norm_layer) for _ in range(convolutions - 1))
    return nn.Sequential(first, *others, nn.MaxPool2d(2))


def _conv_norm(
    in_channels: int, channels: int, kernel_size: int, norm_layer: NormLayer, stride: int = 1
) -> nn.Sequential:
    """A convolution that at stride 1 keeps the resolution, its norm and ReLU.

    (N, in_channels, H, W) -> (N, channels, H / stride, W / stride), rounded up. The convolution has a bias, of which
    batch norm leaves nothing: the published networks have it too.
    """
    conv = nn.Conv2d(in_channels, channels, kernel_size, stride, padding=kernel_size // 2)
    return nn.Sequential(OrderedDict(conv=conv, norm=norm_layer(channels)))
