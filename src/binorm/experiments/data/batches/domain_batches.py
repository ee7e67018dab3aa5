"""Batches from several domains at once: so many pictures of each, labelled, and of the target without labels."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy
import torch
from torch import Tensor

from binorm.experiments.data.batches.augmentation import Augmented
from binorm.experiments.data.batches.normalization import Normalizer
from binorm.experiments.data.batches.seeds import epoch_seed
from binorm.experiments.data.dataset import Dataset, ImageSet
from binorm.experiments.recipes.classification import ClassifierRecipe
from binorm.experiments.recipes.domains import DomainRecipe


class DomainBatch(NamedTuple):
    """Pictures of one domain, (N, 3, H, W), with their labels, (N,), or None where these must not be known."""

    domain: str
    pictures: Tensor
    labels: Tensor | None


class DomainBatches:
    """At each step ``recipe.batch_size`` pictures of every training domain, then as many of the unlabelled target.

    Each domain is shuffled anew whenever all of its pictures were seen, so that domains of different sizes come equally
    often. What a step holds depends on the seed and the number of the step alone, so that a resumed run goes on with
    what the uninterrupted one would have seen.

    Args:
        dataset: with ``domains`` and ``train_domains``, in memory.
        recipe: batch size, steps, augmentation.
        seed: of the run.
        device: where the pictures are kept and the batches made.
    """

    def __init__(self, dataset: Dataset, recipe: DomainRecipe, seed: int, device: torch.device) -> None:
        if not isinstance(dataset.train, ImageSet) or dataset.train_domains is None:
            raise TypeError(f"{dataset.name} does not say which domains its training pictures are of")
        self.dataset, self.recipe, self.seed, self.device = dataset, recipe, seed, device
        self.normalize = Normalizer(dataset, device)
        self.labels = dataset.train.labels.to(device)
        self.train = Augmented(dataset.train.images, recipe, device)
        self.target = None if dataset.target is None else Augmented(dataset.target.images, recipe, device)
        self.places = [(dataset.train_domains == number).nonzero()[:, 0] for number in range(len(dataset.domains))]
        self.orders = [EndlessOrder(len(places), (seed, number)) for number, places in enumerate(self.places)]
        if dataset.target is not None:
            self.orders.append(EndlessOrder(len(dataset.target), (seed, len(dataset.domains))))
        self.epoch = 0

    def __len__(self) -> int:
        return steps_an_epoch(self.recipe, self.dataset)

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch the next iteration is."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[DomainBatch]]:
        generator = torch.Generator().manual_seed(epoch_seed(self.seed, self.epoch))
        boxes = numpy.random.default_rng(epoch_seed(self.seed, self.epoch))
        for step in range(self.epoch * len(self), (self.epoch + 1) * len(self)):
            start, count = step * self.recipe.batch_size, self.recipe.batch_size
            drawn = [order.indices(start, count) for order in self.orders]
            batch = []
            for domain, places, indices in zip(self.dataset.domains, self.places, drawn, strict=False):
                picked = places[indices].to(self.device)
                pictures = self.normalize(self.train(picked, generator, boxes))
                batch.append(DomainBatch(domain, pictures, self.labels[picked]))
            if self.target is not None and self.dataset.target is not None:
                pictures = self.normalize(self.target(drawn[-1].to(self.device), generator, boxes))
                batch.append(DomainBatch(self.dataset.target.domain, pictures, None))
            yield batch


class EndlessOrder:
    """One permutation of ``length`` places after another, drawn from a seed, without end.

    Args:
        length: how many places there are, at least 1.
        seed: whole numbers.
    """

    def __init__(self, length: int, seed: Sequence[int]) -> None:
        self.length, self.seed = length, tuple(seed)
        self._passes: dict[int, Tensor] = {}

    def indices(self, start: int, count: int) -> Tensor:
        """The places from number ``start`` on, int64, (count,)."""
        parts = []
        while count:
            number, offset = divmod(start, self.length)
            part = self._permutation(number)[offset : offset + count]
            parts.append(part)
            start, count = start + len(part), count - len(part)
        return torch.cat(parts)

    def _permutation(self, number: int) -> Tensor:
        if number not in self._passes:
            order = numpy.random.default_rng((*self.seed, number)).permutation(self.length)
            self._passes = {key: kept for key, kept in self._passes.items() if key == number - 1}
            self._passes[number] = torch.from_numpy(order)
        return self._passes[number]


def steps_an_epoch(recipe: ClassifierRecipe, dataset: Dataset) -> int:
    """Training steps that a recipe takes an epoch: its own number, or those of one pass over the training pictures."""
    steps = recipe.steps if isinstance(recipe, DomainRecipe) else 0
    return steps or len(dataset.train) // (recipe.batch_size * max(len(dataset.domains), 1))


def pictures_a_step(recipe: ClassifierRecipe, dataset: Dataset) -> int:
    """Pictures that go through the network in a training step, with those of the target."""
    return recipe.batch_size * (max(len(dataset.domains), 1) + (dataset.target is not None))
