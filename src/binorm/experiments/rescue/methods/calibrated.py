"""Calibrated gates: what this project offers, beside the others."""

from torch import nn

from binorm import calibrate_gates
from binorm.experiments.common.errors import UserError
from binorm.experiments.models.norms import with_gates
from binorm.experiments.rescue.methods.method import Adapted, Calibration, Method, needed, own_copy

_SOURCE = "`binorm.calibrate_gates`"


def calibrated(network: nn.Module, calibration: Calibration | None = None, *, layers: int | None = None) -> Adapted:
    """The network with gates, of which those of its first ``layers`` norms are set by the pictures; None for all.

    Norms that are batch-instance norms already start from the gates that they have.

    Raises:
        UserError: without calibration pictures, and for what `binorm.convert_batch_norm` or `binorm.calibrate_gates`
            refuses.
    """
    calibration = needed(calibration, CALIBRATED.name)
    try:
        gated = with_gates(own_copy(network))
        calibrate_gates(gated, calibration.pairs(gated), layers=layers)
    except (TypeError, ValueError) as error:
        raise UserError(f"the gates of {type(network).__name__} cannot be calibrated: {error}") from error
    return Adapted(gated.requires_grad_(False))


def calibrated_first(network: nn.Module, calibration: Calibration | None = None) -> Adapted:
    """`calibrated` in the first norm alone: all others stay batch norm, and fold."""
    return calibrated(network, calibration, layers=1)


CALIBRATED = Method(
    name="calibrated",
    title="calibrated gates",
    source=_SOURCE,
    summary="Batch norms become batch-instance norms whose gates are set in closed form from pictures as they are and "
    "restyled; then static.",
    batch=False,
    calibrates=True,
    prepare=calibrated,
)
CALIBRATED_FIRST = Method(
    name="calibrated_first",
    title="calibrated gates, first norm",
    source=_SOURCE,
    summary="The same in the first norm alone; all others stay batch norms, and fold into their convolutions.",
    batch=False,
    calibrates=True,
    prepare=calibrated_first,
)
