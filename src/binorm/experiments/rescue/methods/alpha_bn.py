"""α-BN: a fixed mix of running and batch statistics."""

from dataclasses import dataclass

from torch import nn

from binorm.experiments.common.errors import UserError
from binorm.experiments.rescue.methods.method import Adapted, Calibration, Method
from binorm.experiments.rescue.methods.statistics import mix_statistics

ALPHA = 0.9


@dataclass(frozen=True)
class FixedShare:
    """The same share of the running statistics in every layer, for batches of every size.

    Raises:
        UserError: for a share outside [0, 1].
    """

    alpha: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.alpha <= 1.0:
            raise UserError(
                f"alpha should be from 0 (batch statistics) to 1 (running statistics alone) (got {self.alpha})"
            )

    def __call__(self, name: str, samples: int) -> float:
        """Of any layer."""
        return self.alpha


def alpha_bn(network: nn.Module, calibration: Calibration | None = None, *, alpha: float = ALPHA) -> Adapted:
    """The network with ``alpha`` of its running statistics, and the rest of each batch's.

    Raises:
        UserError: as `mix_statistics` does, and for an alpha outside [0, 1].
    """
    return Adapted(mix_statistics(network, FixedShare(alpha)))


ALPHA_BN = Method(
    name="alpha_bn",
    title=f"α-BN, α = {ALPHA}",
    source="You et al., *Test-time Batch Statistics Calibration for Covariate Shift*, arXiv 2110.04065, 2021",
    summary=f"Norms take {ALPHA} of their running statistics and the rest of the test batch's, whatever its size.",
    batch=True,
    calibrates=False,
    prepare=alpha_bn,
)
