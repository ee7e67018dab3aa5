"""A classifier calibrated, then tuned, and what that changes on photographs it did not see."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

from binorm.experiments.classifiers.classifier import Classifier, gated
from binorm.experiments.classifiers.photographs import Photographs, require_labels
from binorm.experiments.rescue.calibration import Calibrated, calibrated, since
from binorm.experiments.rescue.measurement import BeforeAndAfter, Drawn
from binorm.experiments.rescue.restyling import Restyle
from binorm.experiments.rescue.tuning.distillation import tune
from binorm.experiments.rescue.tuning.settings import TuningSettings
from binorm.experiments.rescue.tuning.summary import TuningStep, TuningSummary


@dataclass(frozen=True)
class Tuned:
    """A tuned classifier.

    Attributes:
        classifier: a copy of the one that was given.
        start: the calibration that tuning began from.
        summary: what tuning did.
    """

    classifier: Classifier
    start: Calibrated
    summary: TuningSummary


def tune_classifier(
    classifier: Classifier,
    photographs: Photographs,
    restyle: Restyle,
    settings: TuningSettings,
    *,
    count: int = 128,
    labels: bool = False,
    on_step: Callable[[TuningStep], None] | None = None,
) -> tuple[Tuned, BeforeAndAfter]:
    """Calibrate a copy of ``classifier`` and tune it, with ``classifier`` itself as its teacher.

    Args:
        classifier: with batch norms or gates.
        photographs: as its preprocessing reads them.
        restyle: how the same pictures could look elsewhere.
        settings: of the tuning; its layers and seed are the calibration's as well.
        count: how many photographs to use.
        labels: whether their labels are learned, besides what the classifier said.
        on_step: called after each step.

    Raises:
        UserError: for photographs that are too few or have no labels where these are to be learned, and for what
            `calibrate` and `tune` refuse.
    """
    drawn = Drawn.by(photographs, count, settings.seed)
    learned = require_labels(drawn.used, classifier) if labels else None
    teacher = gated(classifier).network
    layers = list(settings.layers) if isinstance(settings.layers, tuple) else settings.layers
    start = calibrated(classifier, drawn, restyle, layers, clean_weight=0.5)
    network = copy.deepcopy(start.classifier.network)
    normalize = classifier.preprocessing.normalize
    summary = tune(network, teacher, drawn.used.pictures, restyle, normalize, settings, learned, on_step)
    what = f"tuned in {summary.kept} steps{' with labels' if labels else ''}"
    result = since(Classifier(network, start.classifier.card), what)
    return Tuned(result, start, summary), BeforeAndAfter.of(classifier, result, drawn, restyle)
