"""From bytes to what a network sees: whole batches, on the device that trains."""

import torch
from torch import Tensor

from binorm.experiments.data.dataset import Dataset


class Normalizer:
    """Subtracts a data set's mean and divides by its std, both per colour channel."""

    def __init__(self, dataset: Dataset, device: torch.device) -> None:
        # One multiplication and one addition turn 0..255 into a normalized picture.
        std = torch.tensor(dataset.std, device=device)
        self.scale, self.shift = 1 / (255 * std), -torch.tensor(dataset.mean, device=device) / std

    def __call__(self, images: Tensor) -> Tensor:
        """(N, H, W, 3) values from 0 to 255 -> (N, 3, H, W) float32 in channels-last layout."""
        values = images.to(torch.float32, copy=True)
        return torch.addcmul(self.shift, values, self.scale, out=values).permute(0, 3, 1, 2)
