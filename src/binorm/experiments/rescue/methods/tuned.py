"""Tuning from calibrated gates: what this project offers beside affine tuning."""

from torch import nn

from binorm import calibrate_gates
from binorm.experiments.common.errors import UserError
from binorm.experiments.models.norms import with_gates
from binorm.experiments.rescue.methods.method import Adapted, Calibration, Method, needed, own_copy
from binorm.experiments.rescue.tuning import TuningSettings, tune

LAYERS = 1


def tuned(network: nn.Module, calibration: Calibration | None = None) -> Adapted:
    """The network with the gates of its first norm calibrated, and from there gates and affine parameters tuned.

    Raises:
        UserError: without calibration pictures, and for what `calibrate_gates` or `tune` refuses.
    """
    calibration = needed(calibration, TUNED.name)
    try:
        gated = with_gates(own_copy(network))
        calibrate_gates(gated, calibration.pairs(gated), layers=LAYERS)
    except (TypeError, ValueError) as error:
        raise UserError(f"the gates of {type(network).__name__} cannot be calibrated: {error}") from error
    settings = TuningSettings(layers=LAYERS, seed=calibration.seed)
    tune(gated, own_copy(network), calibration.pictures, calibration.restyle, calibration.normalize, settings)
    return Adapted(gated.requires_grad_(False))


TUNED = Method(
    name="tuned",
    title="tuned from calibrated gates, first norm",
    source="`binorm tune`",
    summary="The first norm's gates calibrated; from there its gates, and weights and biases of all norms, tuned by "
    "self-distillation on restyled pictures, at most 60 steps of 32, of which the best on held-out ones remains.",
    batch=False,
    calibrates=True,
    prepare=tuned,
)
