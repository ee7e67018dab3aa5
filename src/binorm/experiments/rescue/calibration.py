"""A classifier's gates set from photographs without labels, and what that changes on photographs it did not see."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from binorm import CalibrationSummary, calibrate_gates
from binorm.experiments.classifiers.classifier import Classifier, with_gates
from binorm.experiments.classifiers.photographs import Photographs
from binorm.experiments.common.errors import UserError
from binorm.experiments.rescue.restyling import Restyle

LEAST = 8  # pictures: statistics of fewer say little
BATCH = 32
CLASSIFIED = 50  # pictures at once


@dataclass(frozen=True)
class Measured:
    """What a network makes of some pictures, as they are and restyled.

    Attributes:
        accuracy: top-1 on them as they are, in percent; None without labels.
        accuracy_restyled: the same of them restyled.
        agreement: percent of them restyled of which the network says what it said, as trained, of them as they are.
    """

    accuracy: float | None
    accuracy_restyled: float | None
    agreement: float


@dataclass(frozen=True)
class Calibration:
    """What `calibrate` did.

    Attributes:
        classifier: with its gates set.
        summary: what each layer did.
        calibrated_on: how many pictures.
        measured_on: how many pictures `before` and `after` are of.
        fresh: whether these are others than those that the gates were set from.
        before: as trained.
        after: with the gates set.
    """

    classifier: Classifier
    summary: CalibrationSummary
    calibrated_on: int
    measured_on: int
    fresh: bool
    before: Measured
    after: Measured


def calibrate(
    classifier: Classifier,
    photographs: Photographs,
    restyle: Restyle,
    *,
    count: int = 64,
    layers: int | Collection[str] | None = None,
    clean_weight: float = 0.5,
    seed: int = 0,
) -> Calibration:
    """Set the gates of a copy of ``classifier`` by `binorm.calibrate_gates`.

    ``count`` of the photographs, drawn by ``seed``, are used without their labels. The others are measured, as they are
    and restyled by another draw; where fewer than `LEAST` are left, the same photographs are.

    Args:
        classifier: with batch norms or gates.
        photographs: as its preprocessing reads them.
        restyle: how the same pictures could look elsewhere.
        count: how many photographs to use.
        layers: how many layers to calibrate, first ones first, or their names; None for all.
        clean_weight: from 0 to 1, the share of untouched pictures.
        seed: of the choice of photographs and of their restyling.

    Raises:
        UserError: for fewer than `LEAST` photographs, for a network without batch norms and gates, and for what
            `binorm.calibrate_gates` refuses.
    """
    if len(photographs) < LEAST or count < LEAST:
        raise UserError(
            f"{min(len(photographs), count)} pictures are too few to set gates from: expected at least {LEAST}, better "
            f"64 ({photographs.source} has {len(photographs)})"
        )
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(photographs), generator=generator).tolist()
    used = photographs.subset(order[:count])
    fresh = len(photographs) - len(used) >= LEAST
    measured = photographs.subset(order[count : 2 * count]) if fresh else used
    gated = with_gates(classifier)
    restyled = restyle(used.pictures, generator)
    normalize = classifier.preprocessing.normalize
    pairs = zip(_batches(used.pictures, BATCH), _batches(restyled, BATCH), strict=True)
    try:
        summary = calibrate_gates(
            gated.network,
            ((normalize(clean), normalize(other)) for clean, other in pairs),
            clean_weight=clean_weight,
            layers=layers,
        )
    except ValueError as error:
        raise UserError(f"cannot calibrate {classifier.card.network}: {error}") from error
    elsewhere = restyle(measured.pictures, generator)
    said = classify(classifier, measured.pictures)
    before, after = (_measure(each, measured, elsewhere, said) for each in (classifier, gated))
    what = f"calibrated on {len(used)} pictures, {len(summary)} of its layers"
    origin = f"{classifier.card.origin}; {what}" if classifier.card.origin else what
    result = Classifier(gated.network, replace(gated.card, origin=origin))
    return Calibration(result, summary, len(used), len(measured), fresh, before, after)


def classify(classifier: Classifier, pictures: Tensor) -> Tensor:
    """The places of the classes that are found: uint8, (N, 3, H, W) -> int64, (N,)."""
    normalize = classifier.preprocessing.normalize
    with torch.inference_mode():
        return torch.cat([classifier(normalize(batch)).argmax(1) for batch in _batches(pictures, CLASSIFIED)])


def _batches(pictures: Tensor, size: int) -> Iterator[Tensor]:
    return (pictures[start : start + size] for start in range(0, len(pictures), size))


def _measure(classifier: Classifier, measured: Photographs, restyled: Tensor, said: Tensor) -> Measured:
    clean, elsewhere = classify(classifier, measured.pictures), classify(classifier, restyled)
    agreement = _percent(elsewhere == said)
    if measured.labels is None:
        return Measured(None, None, agreement)
    return Measured(_percent(clean == measured.labels), _percent(elsewhere == measured.labels), agreement)


def _percent(hits: Tensor) -> float:
    return 100 * hits.double().mean().item()
