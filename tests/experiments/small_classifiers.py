"""Networks of a few thousand parameters with norms that have seen pictures, and pictures for them."""

import torch
from torch import Tensor, nn

from binorm.experiments.rescue.methods import Calibration

CLASSES, SIDE = 5, 12


def pictures(count: int = 12, seed: int = 0) -> Tensor:
    """Of a colour and contrast each, with a bright square in one of five places: uint8 (count, 3, SIDE, SIDE)."""
    generator = torch.Generator().manual_seed(seed)
    drawn = 60 + 60 * torch.rand(count, 3, 1, 1, generator=generator)
    drawn = drawn + 40 * torch.rand(count, 3, SIDE, SIDE, generator=generator)
    for index in range(count):
        left = 2 * (index % CLASSES)
        drawn[index, :, left : left + 3, 3:9] += 60
    return drawn.clamp(0, 255).round().byte()


def normalize(batch: Tensor) -> Tensor:
    return batch.float() / 128 - 1


def darken(batch: Tensor, generator: torch.Generator) -> Tensor:
    """Each picture by a factor of its own from 0.3 to 0.7."""
    factor = 0.3 + 0.4 * torch.rand(len(batch), 1, 1, 1, generator=generator)
    return (batch.float() * factor).round().byte()


def calibration(count: int = 12, seed: int = 0) -> Calibration:
    return Calibration(pictures(count), normalize, darken, seed)


def small_network(norm: type[nn.Module] = nn.BatchNorm2d, seed: int = 0) -> nn.Module:
    """Two convolutions with norms, dropout, a linear layer; in evaluation mode, after one batch in training."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = nn.Sequential(
            *(nn.Conv2d(3, 4, 3, stride=2), norm(4), nn.ReLU(inplace=norm is nn.BatchNorm2d)),
            *(nn.Conv2d(4, 6, 3), norm(6), nn.ReLU()),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(6, CLASSES)),
        )
        for layer in (network[1], network[4]):
            layer.momentum = 1.0
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.uniform_(layer.bias, -0.5, 0.5)
        network.train()(normalize(pictures(40, seed=1)))
    return network.eval()
