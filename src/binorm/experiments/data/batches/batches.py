"""Batches from pictures in memory, augmented in whole batches; what an epoch holds depends on its number alone.

`training_batches` and `evaluation_batches` choose between these and those of `streaming`.
"""

from collections.abc import Iterator

import numpy
import torch
from torch import Tensor

from binorm.experiments.data.batches.augmentation import Augmented, resized
from binorm.experiments.data.batches.normalization import Normalizer
from binorm.experiments.data.batches.seeds import epoch_seed
from binorm.experiments.data.batches.streaming import StreamedEvaluationBatches, StreamedTrainingBatches
from binorm.experiments.data.dataset import Dataset, EncodedSet, ImageSet
from binorm.experiments.recipes.classification import ClassifierRecipe

EVALUATION_BATCH = 500  # pictures at most; batches are of equal size, so that little is filled up
# Pixels at most on a CPU: feature maps of more leave its caches, and networks for larger pictures take twice as long.
CPU_BATCH_PIXELS = 2**18
LEAST_BATCH = 16


class TrainingBatches:
    """One shuffled, augmented pass over a training set at each iteration; a last, smaller batch is left out.

    Order and augmentation are drawn from ``seed`` and ``epoch`` alone, so that a resumed run sees what the
    uninterrupted one would have seen, whatever else drew random numbers.

    Args:
        dataset: with its training pictures in memory.
        recipe: batch size and augmentation.
        seed: of the run.
        device: where the pictures are kept and the batches made.
    """

    def __init__(self, dataset: Dataset, recipe: ClassifierRecipe, seed: int, device: torch.device) -> None:
        if not isinstance(dataset.train, ImageSet):
            raise TypeError(f"the training pictures of {dataset.name} are not in memory: stream them")
        self.labels = dataset.train.labels.to(device)
        self.batch_size, self.device = recipe.batch_size, device
        self.normalize = Normalizer(dataset, device)
        self.augmented = Augmented(dataset.train.images, recipe, device)
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.labels) // self.batch_size

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch the next iteration is."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(epoch_seed(self.seed, self.epoch))
        boxes = numpy.random.default_rng(epoch_seed(self.seed, self.epoch))
        order = torch.randperm(len(self.labels), generator=generator)
        for indices in torch.split(order, self.batch_size)[: len(self)]:
            picked = indices.to(self.device)
            yield self.normalize(self.augmented(picked, generator, boxes)), self.labels[picked]


class EvaluationBatches:
    """The pictures of an evaluation set in order, with the count of those that are real.

    The last batch is filled up with its own first picture, so that every batch has one shape and a compiled network is
    compiled once; what the network says of the filling is to be dropped.

    Args:
        images: the set.
        dataset: that it belongs to.
        batch_size: pictures a batch.
        device: where the pictures are kept and the batches made.
        image_size: height and width that pictures of another size are brought to; 0 for their own.
    """

    def __init__(
        self, images: ImageSet, dataset: Dataset, batch_size: int, device: torch.device, image_size: int = 0
    ) -> None:
        size = (image_size, image_size) if image_size else (images.images.shape[1], images.images.shape[2])
        self.images, self.labels = resized(images.images, size).to(device), images.labels.to(device)
        self.batch_size, self.device = batch_size, device
        self.normalize = Normalizer(dataset, device)

    def __len__(self) -> int:
        return -(-len(self.labels) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, int]]:
        for start in range(0, len(self.labels), self.batch_size):
            indices = torch.arange(start, start + self.batch_size, device=self.device)
            count = min(self.batch_size, len(self.labels) - start)
            indices[count:] = start
            yield self.normalize(self.images[indices]), self.labels[indices], count


AnyTrainingBatches = TrainingBatches | StreamedTrainingBatches
AnyEvaluationBatches = EvaluationBatches | StreamedEvaluationBatches


def training_batches(dataset: Dataset, recipe: ClassifierRecipe, seed: int, device: torch.device) -> AnyTrainingBatches:
    """The batches that a recipe trains on, from memory or streamed, whichever the data set is.

    On several processes ``recipe.batch_size`` is that of each.
    """
    if isinstance(dataset.train, ImageSet):
        return TrainingBatches(dataset, recipe, seed, device)
    return StreamedTrainingBatches(dataset, recipe, seed, device)


def evaluation_batches(
    images: ImageSet | EncodedSet, dataset: Dataset, recipe: ClassifierRecipe, device: torch.device
) -> AnyEvaluationBatches:
    """The batches of an evaluation set, from memory or streamed, at the size that a recipe's network sees."""
    if isinstance(images, ImageSet):
        size = recipe.image_size or int(images.images.shape[1])
        largest = EVALUATION_BATCH
        if device.type == "cpu":
            largest = min(largest, max(CPU_BATCH_PIXELS // size**2, LEAST_BATCH))
        batches = -(-len(images) // largest)
        return EvaluationBatches(images, dataset, -(-len(images) // batches), device, recipe.image_size)
    return StreamedEvaluationBatches(images, dataset, recipe, device)
