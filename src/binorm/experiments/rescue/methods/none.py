"""The network as it was trained: what all others are held against."""

from torch import nn

from binorm.experiments.rescue.methods.method import Adapted, Calibration, Method, own_copy


def as_trained(network: nn.Module, calibration: Calibration | None = None) -> Adapted:
    """A copy in evaluation mode."""
    return Adapted(own_copy(network))


NONE = Method(
    name="none",
    title="as trained",
    source="",
    summary="The network as it was trained.",
    batch=False,
    calibrates=False,
    prepare=as_trained,
)
