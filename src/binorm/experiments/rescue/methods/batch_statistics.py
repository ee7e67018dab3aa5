"""Batch statistics: norms normalize with what the test batch is like, alone or with a prior for the training's."""

import math
from dataclasses import dataclass

from torch import nn

from binorm.experiments.common.errors import UserError
from binorm.experiments.rescue.methods.method import Adapted, Calibration, Method
from binorm.experiments.rescue.methods.statistics import mix_statistics

_SOURCE = (
    "Schneider et al., *Improving robustness against common corruptions by covariate shift adaptation*, NeurIPS 2020"
)
PRIOR = 16


@dataclass(frozen=True)
class PriorShare:
    r"""The running statistics count as ``prior`` pictures: :math:`a = N / (N + n)` for a batch of n.

    Raises:
        UserError: for a prior below 0, or that is not finite.
    """

    prior: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.prior) and self.prior >= 0):
            raise UserError(f"prior should be a number of pictures, 0 or more (got {self.prior})")

    def __call__(self, name: str, samples: int) -> float:
        """Of any layer."""
        return self.prior / (self.prior + samples)


def batch_statistics(network: nn.Module, calibration: Calibration | None = None, *, prior: float = 0.0) -> Adapted:
    """The network with the statistics of each batch; the running ones count as ``prior`` pictures.

    Raises:
        UserError: as `mix_statistics` does, and for a prior below 0.
    """
    return Adapted(mix_statistics(network, PriorShare(prior)))


def batch_statistics_prior(network: nn.Module, calibration: Calibration | None = None) -> Adapted:
    """`batch_statistics` with the paper's choice for small batches."""
    return batch_statistics(network, prior=PRIOR)


BATCH_STATISTICS = Method(
    name="batch_statistics",
    title="batch statistics",
    source=_SOURCE,
    summary="Norms take mean and variance from the test batch alone. At batch 1 this is instance norm throughout, "
    "which few networks bear.",
    batch=True,
    calibrates=False,
    prepare=batch_statistics,
)
BATCH_STATISTICS_PRIOR = Method(
    name="batch_statistics_prior",
    title=f"batch statistics, prior {PRIOR}",
    source=_SOURCE,
    summary=f"Mean and variance of the test batch, mixed with the running ones, which count as {PRIOR} pictures.",
    batch=True,
    calibrates=False,
    prepare=batch_statistics_prior,
)
