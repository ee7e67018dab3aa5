"""Calibrated gates: what this project offers, beside the others."""

from torch import nn

from binorm import BatchInstanceNormAct2d, calibrate_gates, convert_batch_norm
from binorm.experiments.common.errors import UserError
from binorm.experiments.models.norms import BatchNormAct2d
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
        gated = convert_batch_norm(_with_our_gates(own_copy(network)))
        calibrate_gates(gated, calibration.pairs(gated), layers=layers)
    except (TypeError, ValueError) as error:
        raise UserError(f"the gates of {type(network).__name__} cannot be calibrated: {error}") from error
    return Adapted(gated.requires_grad_(False))


def calibrated_first(network: nn.Module, calibration: Calibration | None = None) -> Adapted:
    """`calibrated` in the first norm alone: all others stay batch norm, and fold."""
    return calibrated(network, calibration, layers=1)


def _with_our_gates(network: nn.Module) -> nn.Module:
    """Our networks' batch norms, subclasses which the library leaves alone, as batch-instance norms with gate 1."""
    for place, norm in list(network.named_modules(remove_duplicate=False)):
        if type(norm) is BatchNormAct2d:
            gated = BatchInstanceNormAct2d(
                norm.num_features,
                norm.eps,
                norm.momentum,
                norm.affine,
                norm.track_running_stats,
                norm.apply_act,
                device=norm.running_mean.device if norm.running_mean is not None else None,
            )
            gated.load_state_dict(norm.state_dict())
            network.set_submodule(place, gated.to(norm.weight.dtype).eval())
    return network


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
