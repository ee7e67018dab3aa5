"""Networks without shortcuts, with a norm after each convolution: AlexNet, VGG, and DANN's for digits."""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from binorm.experiments.models.norms import NormLayer
from binorm.experiments.models.stages import StagedNetwork, initialize_convolutions

_DIGIT_SIDE = 4  # of the last maps of a 28x28 image


class CifarAlexNet(StagedNetwork):
    """AlexNet cut down to 32x32 images: five convolutions in three stages, and one linear layer.

    Each stage ends with 2x2 max pooling. The original (Krizhevsky et al., NIPS 2012), and the 32x32 version in the code
    that the BIN paper's authors started from, do not normalize feature maps; the norms are our addition, one after each
    convolution, which else is as in that code. Maps at the norms are 8x8, 4x4 and 2x2 for 32x32 images, and height and
    width are at least 29.
    """

    def __init__(self, num_classes: int, norm_layer: NormLayer) -> None:
        layers = {
            "stage1": nn.Sequential(_conv_norm(3, 64, 11, norm_layer, stride=4), nn.MaxPool2d(2)),
            "stage2": nn.Sequential(_conv_norm(64, 192, 5, norm_layer), nn.MaxPool2d(2)),
            "stage3": _stage((192, 384, 256, 256), norm_layer),
        }
        super().__init__(layers, 256, num_classes)


class CifarVGG19(StagedNetwork):
    """VGG-19 for 32x32 images: its sixteen 3x3 convolutions in five stages, and one linear layer instead of three.

    Each stage ends with 2x2 max pooling; each convolution has a norm. Maps at the norms are 32x32 down to 2x2 for 32x32
    images, and height and width are at least 32.

    Source: Simonyan & Zisserman, *Very Deep Convolutional Networks*, ICLR 2015, table 1, column E.
    """

    def __init__(self, num_classes: int, norm_layer: NormLayer) -> None:
        widths = ((3, 64, 64), (64, 128, 128), (128, *4 * [256]), (256, *4 * [512]), (512, *4 * [512]))
        layers = {f"stage{number}": _stage(each, norm_layer) for number, each in enumerate(widths, 1)}
        super().__init__(layers, 512, num_classes)


class DigitNetwork(nn.Sequential):
    """Two 5x5 convolutions of 32 and 48 channels, each with 2x2 max pooling and ReLU, and three linear layers.

    The published network takes 28x28 images, whose last maps are 4x4; those of other sizes, from 16x16 on, are averaged
    to 4x4. The paper does not normalize feature maps; the norms are our addition, one after each convolution. ReLU
    comes before the pooling here and after it there, which for maxima is the same. The paper's domain classifier, which
    is no part of this network, sees what the head sees: the 768 values of the last maps.

    Source: Ganin et al., *Domain-Adversarial Training of Neural Networks*, JMLR 2016, figure 4a (MNIST architecture).
    """

    def __init__(self, num_classes: int, norm_layer: NormLayer) -> None:
        super().__init__()
        self.stage1 = nn.Sequential(nn.Conv2d(3, 32, 5), norm_layer(32), nn.MaxPool2d(2))
        self.stage2 = nn.Sequential(nn.Conv2d(32, 48, 5), norm_layer(48), nn.MaxPool2d(2))
        self.pool = nn.AdaptiveAvgPool2d(_DIGIT_SIDE)
        self.flatten = nn.Flatten()
        self.head = nn.Sequential(
            nn.Linear(48 * _DIGIT_SIDE**2, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, num_classes)
        )
        initialize_convolutions(self)


def _stage(widths: Sequence[int], norm_layer: NormLayer) -> nn.Sequential:
    """3x3 convolutions from each width to the next, and max pooling."""
    return nn.Sequential(*(_conv_norm(*pair, 3, norm_layer) for pair in pairwise(widths)), nn.MaxPool2d(2))


def _conv_norm(
    in_channels: int, channels: int, kernel_size: int, norm_layer: NormLayer, stride: int = 1
) -> nn.Sequential:
    """A convolution that at stride 1 keeps the resolution, its norm and ReLU.

    (N, in_channels, H, W) -> (N, channels, H / stride, W / stride), rounded up. The convolution has a bias, of which
    batch norm leaves nothing: the published networks have it too.
    """
    conv = nn.Conv2d(in_channels, channels, kernel_size, stride, padding=kernel_size // 2)
    return nn.Sequential(OrderedDict(conv=conv, norm=norm_layer(channels)))
