"""The small network for digits of the DANN paper (Ganin et al., JMLR 2016, figure 4a)."""

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from binorm.experiments.models.initialization import initialize_convolutions
from binorm.experiments.models.norms import NormLayer

_SIDE = 4  # of the last maps of a 28x28 picture


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
            nn.Linear(48 * _SIDE**2, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, num_classes)
        )
        initialize_convolutions(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) pictures, H and W at least 16 -> (N, num_classes) logits."""
        maps = F.adaptive_avg_pool2d(self.stage2(self.stage1(x)), _SIDE)
        logits: Tensor = self.head(maps.flatten(1))
        return logits
