"""What a data set is to an experiment: one training set and named evaluation sets, in memory or beyond it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from binorm.experiments.common.errors import UserError
from binorm.experiments.data.alike import first_alike
from binorm.experiments.data.processes import WHOLE, Process
from binorm.experiments.recipes.base import VALIDATION

TEST_SHARE = 0.2  # of each class, drawn with seed 0, where a set has no published split


@dataclass(frozen=True)
class ImageSet:
    """Labelled pictures of one size.

    Attributes:
        images: uint8, (N, H, W, 3): this order makes a cropped batch channels-last without another copy.
        labels: int64, (N,), indices into the data set's classes.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class UnlabelledSet:
    """Pictures of one domain to adapt to; there are no labels to be read by mistake.

    Attributes:
        domain: their domain's name.
        images: uint8, (N, H, W, 3).
    """

    domain: str
    images: Tensor

    def __len__(self) -> int:
        return len(self.images)


class EncodedImage(NamedTuple):
    """One picture as a file holds it: its name, a function that reads its bytes (from any thread), and its label."""

    name: str
    read: Callable[[], bytes]
    label: int


class EncodedSet(Protocol):
    """Labelled pictures that stay encoded (JPEG, PNG) until a batch needs them: data sets too large for memory."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever names, sizes in bytes or labels of the pictures do; not with the place where they lie."""

    def __len__(self) -> int:
        """How many pictures there are, over all processes."""

    def pictures(self, seed: int | None, process: Process = WHOLE) -> Iterator[EncodedImage]:
        """The pictures of one process, in an order drawn from ``seed``, or in the set's own order for None.

        With one seed, the processes get every picture once between them, none of them fewer than
        ``len(self) // process.world_size``.
        """

    def examples(self, classes: int, count: int) -> dict[int, list[EncodedImage]]:
        """Up to ``count`` pictures of each of the first ``classes`` classes, from a bounded part of the set."""


@dataclass(frozen=True)
class Dataset:
    """Everything that a run needs to know about its data.

    Attributes:
        name: as recipes say it.
        source: where it was read from, for people.
        classes: their names, in the order of the labels.
        train: what the network learns from.
        evaluation: named sets that it never learns from; the first is the main one.
        mean: per colour channel, of pixels in [0, 1]; subtracted before the network sees a picture.
        std: per colour channel, of pixels in [0, 1]; divided by.
        skipped: training pictures that could not be decoded, by name.
        remarks: what else there is to know of this copy, a sentence each, such as what was left out.
        domains: names of the domains that the training pictures are of, where these are told apart.
        train_domains: int64, (len(train),), the place in ``domains`` of each training picture's.
        target: unlabelled pictures that are trained on as well.
    """

    name: str
    source: str
    classes: tuple[str, ...]
    train: ImageSet | EncodedSet
    evaluation: Mapping[str, ImageSet | EncodedSet]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    skipped: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    train_domains: Tensor | None = None
    target: UnlabelledSet | None = None


def hold_out(dataset: Dataset, share: float) -> Dataset:
    """Move ``share`` of the training pictures to an evaluation set named ``validation``, after the others.

    The same pictures for every norm, seed and machine: they are drawn class by class from a fixed seed, at least one of
    each class that has two. Equal pictures stay together, on the side of the first of them. A share of 0 changes
    nothing.

    Raises:
        UserError: for a data set that is streamed or has a validation set of that name already.
    """
    if share == 0:
        return dataset
    if not isinstance(dataset.train, ImageSet):
        raise UserError(f"{dataset.name} is streamed from disk and cannot be split: leave --validation out")
    if VALIDATION in dataset.evaluation:
        raise UserError(f"{dataset.name} has a validation set of its own: leave --validation out")
    labels, first = dataset.train.labels, first_alike(dataset.train.images)
    distinct = first == torch.arange(len(labels))
    generator = torch.Generator().manual_seed(0)
    held = torch.zeros(len(labels), dtype=torch.bool)
    for label in range(len(dataset.classes)):
        places = ((labels == label) & distinct).nonzero()[:, 0]
        count = min(max(round(share * len(places)), 1), len(places) - 1) if len(places) > 1 else 0
        held[places[torch.randperm(len(places), generator=generator)[:count]]] = True
    held = held[first]
    repeated = len(labels) - int(distinct.sum())
    equal = "1 picture equals another" if repeated == 1 else f"{repeated:,} pictures equal others"
    remarks = (f"{equal}: the split that we draw keeps equal ones together",) if repeated else ()
    parts = [ImageSet(dataset.train.images[mask], labels[mask]) for mask in (~held, held)]
    evaluation = {**dataset.evaluation, VALIDATION: parts[1]}
    return replace(dataset, train=parts[0], evaluation=evaluation, remarks=dataset.remarks + remarks)
