"""Batches from pictures in memory, augmented in whole batches; what an epoch holds depends on its number alone."""

from collections.abc import Iterator

import torch
from torch import Tensor

from binorm.experiments.data.dataset import Dataset, ImageSet

EVALUATION_BATCH = 500


class _Batches:
    def __init__(self, images: ImageSet, dataset: Dataset, batch_size: int, device: torch.device) -> None:
        self.images, self.labels = images.images.to(device), images.labels.to(device)
        self.batch_size = batch_size
        self.device = device
        # One multiplication and one addition turn 0..255 into a normalized picture.
        std = torch.tensor(dataset.std, device=device)
        self.scale, self.shift = 1 / (255 * std), -torch.tensor(dataset.mean, device=device) / std

    def normalize(self, images: Tensor) -> Tensor:
        """(N, H, W, 3) bytes -> (N, 3, H, W) float32 in channels-last layout."""
        return torch.addcmul(self.shift, images.float(), self.scale).permute(0, 3, 1, 2)


class TrainingBatches(_Batches):
    """One shuffled, augmented pass over a training set at each iteration; a last, smaller batch is left out.

    Order and augmentation are drawn from ``seed`` and ``epoch`` alone, so that a resumed run sees what the
    uninterrupted one would have seen, whatever else drew random numbers.
    """

    def __init__(
        self, dataset: Dataset, batch_size: int, crop_padding: int, flip: bool, seed: int, device: torch.device
    ) -> None:
        super().__init__(dataset.train, dataset, batch_size, device)
        self.size = tuple(self.images.shape[1:3])
        self.images = torch.nn.functional.pad(self.images, (0, 0, *[crop_padding] * 4))
        self.crop_padding, self.flip = crop_padding, flip
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.labels) // self.batch_size

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch the next iteration is."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(epoch_seed(self.seed, self.epoch))
        order = torch.randperm(len(self.labels), generator=generator)
        for indices in torch.split(order, self.batch_size)[: len(self)]:
            crops = torch.randint(2 * self.crop_padding + 1, (2, self.batch_size), generator=generator)
            flips = torch.rand(self.batch_size, generator=generator) < (0.5 if self.flip else 0.0)
            picked = indices.to(self.device)
            yield self.normalize(self._crop(picked, crops.to(self.device), flips.to(self.device))), self.labels[picked]

    def _crop(self, indices: Tensor, corners: Tensor, flips: Tensor) -> Tensor:
        """Cut one window from each padded picture, at its corner (row, column), mirrored where ``flips``."""
        height, width = self.size
        rows = corners[0, :, None] + torch.arange(height, device=self.device)
        columns = torch.arange(width, device=self.device).expand(len(indices), -1)
        columns = corners[1, :, None] + torch.where(flips[:, None], columns.flip(1), columns)
        return self.images[indices[:, None, None], rows[:, :, None], columns[:, None, :]]


class EvaluationBatches(_Batches):
    """The pictures of an evaluation set in order, with the count of those that are real.

    The last batch is filled up with its own first picture, so that every batch has one shape and a compiled network is
    compiled once; what the network says of the filling is to be dropped.
    """

    def __len__(self) -> int:
        return -(-len(self.labels) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, int]]:
        for start in range(0, len(self.labels), self.batch_size):
            indices = torch.arange(start, start + self.batch_size, device=self.device)
            count = min(self.batch_size, len(self.labels) - start)
            indices[count:] = start
            yield self.normalize(self.images[indices]), self.labels[indices], count


def epoch_seed(seed: int, epoch: int) -> int:
    """A seed for one epoch of one run; different for every pair of small numbers."""
    return seed * 1_000_003 + epoch
