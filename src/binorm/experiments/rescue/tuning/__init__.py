"""Minutes of self-distillation from calibrated gates: a network taught by itself, as it was, on restyled pictures."""

from binorm.experiments.rescue.tuning.classifier import Tuned, tune_classifier
from binorm.experiments.rescue.tuning.distillation import tune
from binorm.experiments.rescue.tuning.held_out import HeldOutScore
from binorm.experiments.rescue.tuning.settings import TuningSettings
from binorm.experiments.rescue.tuning.summary import TunedLayer, TuningStep, TuningSummary

__all__ = [
    "HeldOutScore",
    "Tuned",
    "TunedLayer",
    "TuningSettings",
    "TuningStep",
    "TuningSummary",
    "tune",
    "tune_classifier",
]
