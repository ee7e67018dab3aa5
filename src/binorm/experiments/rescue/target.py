"""A trained classifier's statistics moved a share of the way to those of pictures of where it should work."""

import copy
from dataclasses import dataclass

from binorm import norm_layers, update_statistics
from binorm.experiments.classifiers.classifier import Classifier
from binorm.experiments.classifiers.photographs import Photographs
from binorm.experiments.common.errors import UserError
from binorm.experiments.rescue.calibration import since
from binorm.experiments.rescue.measurement import Drawn, accuracy

SHARE = 0.1
PICTURES = 64  # at the most: more would hardly change the mean


@dataclass(frozen=True)
class Target:
    """Pictures of where a network should work.

    Attributes:
        drawn: those that say what it is like there, and others to measure on.
        share: how far statistics move to theirs, from 0 to below 1.
    """

    drawn: Drawn
    share: float

    @classmethod
    def of(cls, photographs: Photographs, share: float = SHARE, seed: int = 0) -> "Target":
        """`PICTURES` of them at the most, drawn by ``seed``. Raises a `UserError` for too few, and another share."""
        if not 0.0 <= share < 1.0:
            raise UserError(f"the target's share should be from 0 to below 1 (got {share:g})")
        return cls(Drawn.by(photographs, PICTURES, seed), share)


@dataclass(frozen=True)
class Moved:
    """A classifier with statistics of elsewhere.

    Attributes:
        classifier: a copy of the one that was given.
        measured: how many other pictures of the same place have labels.
        before: top-1 on these of the network before anything was done to it, in percent; None for none.
        after: of what became of it.
    """

    classifier: Classifier
    measured: int = 0
    before: float | None = None
    after: float | None = None


def move_to_target(classifier: Classifier, target: Target, before: Classifier) -> Moved:
    """`moved_to`, and what that changes on other pictures of the target that have labels.

    Args:
        classifier: with batch norms or batch-instance norms.
        target: where it should work.
        before: what it is compared with.

    Raises:
        UserError: as of `moved_to`.
    """
    moved, measured = moved_to(target, classifier), target.drawn.measured
    if measured.labels is None or not target.drawn.fresh:
        return Moved(moved)
    return Moved(moved, len(measured), accuracy(before, measured), accuracy(moved, measured))


def moved_to(target: Target, classifier: Classifier) -> Classifier:
    """A copy whose running statistics `binorm.update_statistics` moved.

    Raises:
        UserError: for a network without norms that track statistics.
    """
    require_statistics(classifier)
    network, pictures = copy.deepcopy(classifier.network), target.drawn.used.pictures
    update_statistics(network, [classifier.preprocessing.normalize(pictures)], share=target.share)
    what = f"statistics moved by {target.share:g} to those of {len(pictures)} pictures"
    return since(Classifier(network, classifier.card), what)


def require_statistics(classifier: Classifier) -> None:
    """Raise a `UserError` for a network without norms that track statistics."""
    if not any(layer.running_mean is not None for layer in norm_layers(classifier.network)):
        raise UserError(
            f"{classifier.card.network} has no batch norms or batch-instance norms with running statistics, which a "
            "target could move: choose a network that has"
        )
