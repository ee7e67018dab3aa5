"""A classifier's gates set from photographs without labels, and what that changes on photographs it did not see."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from binorm import CalibrationSummary, calibrate_gates
from binorm.experiments.classifiers.classifier import Classifier, gated
from binorm.experiments.classifiers.photographs import Photographs
from binorm.experiments.common.errors import UserError
from binorm.experiments.rescue.measurement import BeforeAndAfter, Drawn, batches
from binorm.experiments.rescue.restyling import Restyle

BATCH = 32


@dataclass(frozen=True)
class Calibrated:
    """A classifier with its gates set.

    Attributes:
        classifier: a copy of the one that was given.
        summary: what each layer did.
        pictures: how many it was calibrated on.
    """

    classifier: Classifier
    summary: CalibrationSummary
    pictures: int


def calibrate(
    classifier: Classifier,
    photographs: Photographs,
    restyle: Restyle,
    *,
    count: int = 64,
    layers: int | Collection[str] | None = None,
    clean_weight: float = 0.5,
    seed: int = 0,
) -> tuple[Calibrated, BeforeAndAfter]:
    """Set the gates of a copy of ``classifier`` by `binorm.calibrate_gates`, and measure both on other photographs.

    Args:
        classifier: with batch norms or gates.
        photographs: as its preprocessing reads them; no labels are used but to measure.
        restyle: how the same pictures could look elsewhere.
        count: how many photographs to use.
        layers: how many layers to calibrate, first ones first, or their names; None for all.
        clean_weight: from 0 to 1, the share of untouched pictures.
        seed: of the choice of photographs and of their restyling.

    Raises:
        UserError: for too few photographs, for a network without batch norms and gates, and for what
            `binorm.calibrate_gates` refuses.
    """
    drawn = Drawn.by(photographs, count, seed)
    found = calibrated(classifier, drawn, restyle, layers, clean_weight)
    return found, BeforeAndAfter.of(classifier, found.classifier, drawn, restyle)


def calibrated(
    classifier: Classifier, drawn: Drawn, restyle: Restyle, layers: int | Collection[str] | None, clean_weight: float
) -> Calibrated:
    """The calibration of `calibrate` alone."""
    own = gated(classifier)
    pictures = drawn.used.pictures
    restyled = restyle(pictures, drawn.generator)
    normalize = classifier.preprocessing.normalize
    pairs = zip(batches(pictures, BATCH), batches(restyled, BATCH), strict=True)
    try:
        summary = calibrate_gates(
            own.network,
            ((normalize(clean), normalize(other)) for clean, other in pairs),
            clean_weight=clean_weight,
            layers=layers,
        )
    except ValueError as error:
        raise UserError(f"cannot calibrate {classifier.card.network}: {error}") from error
    result = since(own, f"calibrated on {len(pictures)} pictures, {len(summary)} of its layers")
    return Calibrated(result, summary, len(pictures))


def since(classifier: Classifier, what: str) -> Classifier:
    """The classifier with a word more on where it comes from."""
    origin = f"{classifier.card.origin}; {what}" if classifier.card.origin else what
    return Classifier(classifier.network, replace(classifier.card, origin=origin))
