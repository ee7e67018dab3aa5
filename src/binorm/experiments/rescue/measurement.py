"""What a classifier makes of photographs as they are and restyled, before and after something was done to it."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from binorm.experiments.classifiers.classifier import Classifier
from binorm.experiments.classifiers.photographs import Photographs
from binorm.experiments.common.errors import UserError
from binorm.experiments.rescue.restyling import Restyle

LEAST = 8  # pictures: what fewer say is chance
CLASSIFIED = 50  # pictures at once
MEASURED = 128  # pictures at the most


@dataclass(frozen=True)
class Drawn:
    """Photographs to learn from, without their labels, and photographs to measure on.

    Attributes:
        used: what is learned from.
        measured: others, `MEASURED` at the most; the same ones where fewer than `LEAST` others are left.
        fresh: whether they are others.
        generator: that drew them, for their restylings.
    """

    used: Photographs
    measured: Photographs
    fresh: bool
    generator: torch.Generator

    @classmethod
    def by(cls, photographs: Photographs, count: int, seed: int) -> "Drawn":
        """``count`` photographs, drawn by ``seed``.

        Raises:
            UserError: for fewer than `LEAST`.
        """
        if min(len(photographs), count) < LEAST:
            raise UserError(
                f"{min(len(photographs), count)} pictures are too few: expected at least {LEAST}, better 64 "
                f"({photographs.source} has {len(photographs)})"
            )
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(photographs), generator=generator).tolist()
        used = photographs.subset(order[:count])
        fresh = len(photographs) - len(used) >= LEAST
        return cls(used, photographs.subset(order[count : count + MEASURED]) if fresh else used, fresh, generator)


@dataclass(frozen=True)
class Measured:
    """What a network makes of some pictures.

    Attributes:
        accuracy: top-1 on them as they are, in percent; None without labels.
        accuracy_restyled: the same of them restyled.
        agreement: percent of them restyled of which it says what the network, before anything was done to it, said of
            them as they are.
    """

    accuracy: float | None
    accuracy_restyled: float | None
    agreement: float


@dataclass(frozen=True)
class BeforeAndAfter:
    """Two networks on the same pictures.

    Attributes:
        pictures: how many there are.
        fresh: whether these are others than those that were learned from.
        before: the network as it was given.
        after: what became of it.
    """

    pictures: int
    fresh: bool
    before: Measured
    after: Measured

    @classmethod
    def of(cls, before: Classifier, after: Classifier, drawn: Drawn, restyle: Restyle) -> "BeforeAndAfter":
        """Measure both on the same restylings."""
        restyled = restyle(drawn.measured.pictures, drawn.generator)
        said = classify(before, drawn.measured.pictures)
        first, second = (_measure(each, drawn.measured, restyled, said) for each in (before, after))
        return cls(len(drawn.measured), drawn.fresh, first, second)


def classify(classifier: Classifier, pictures: Tensor) -> Tensor:
    """The places of the classes that are found: uint8, (N, 3, H, W) -> int64, (N,)."""
    normalize = classifier.preprocessing.normalize
    with torch.inference_mode():
        return torch.cat([classifier(normalize(batch)).argmax(1) for batch in batches(pictures, CLASSIFIED)])


def accuracy(classifier: Classifier, measured: Photographs) -> float:
    """Top-1 in percent on photographs that have labels."""
    assert measured.labels is not None  # noqa: S101 - the caller has asked
    return _percent(classify(classifier, measured.pictures) == measured.labels)


def batches(pictures: Tensor, size: int) -> Iterator[Tensor]:
    """``size`` pictures at a time, in order."""
    return (pictures[start : start + size] for start in range(0, len(pictures), size))


def _measure(classifier: Classifier, measured: Photographs, restyled: Tensor, said: Tensor) -> Measured:
    clean, elsewhere = classify(classifier, measured.pictures), classify(classifier, restyled)
    agreement = _percent(elsewhere == said)
    if measured.labels is None:
        return Measured(None, None, agreement)
    return Measured(_percent(clean == measured.labels), _percent(elsewhere == measured.labels), agreement)


def _percent(hits: Tensor) -> float:
    return 100 * hits.double().mean().item()
