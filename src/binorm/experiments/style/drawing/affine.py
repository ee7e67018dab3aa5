"""A style network's norms in evaluation as what they are for one picture: an affine map of each channel."""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn


class ChannelStatistics:
    """Mean and biased variance of each channel of a map that comes in pieces.

    Pieces are merged in float64 (Chan, Golub & LeVeque, *Updating Formulae and a Pairwise Algorithm for Computing
    Sample Variances*, 1979). ``mean`` and ``variance`` are (C,).
    """

    def __init__(self, channels: int) -> None:
        self.count = 0  # values of each channel so far
        self.mean = torch.zeros(channels, dtype=torch.float64)
        self._squares = torch.zeros(channels, dtype=torch.float64)  # summed distances from the mean

    def add(self, piece: Tensor) -> None:
        """Count in a piece (1, C, H, W)."""
        mean = piece.mean((0, 2, 3), keepdim=True)
        squares = (piece - mean).square_().mean((0, 2, 3)).double()
        new = piece.shape[2] * piece.shape[3]
        distance = mean.flatten().double() - self.mean
        total = self.count + new
        self.mean += distance * (new / total)
        self._squares += squares * new + distance.square() * (self.count * new / total)
        self.count = total

    @property
    def variance(self) -> Tensor:
        """Of all values so far."""
        return self._squares / self.count


@dataclass(frozen=True, eq=False)
class Affine:
    """y = scale * x + shift for each channel; both (C,), float32."""

    scale: Tensor
    shift: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """(1, C, H, W) -> a new map of the same shape."""
        return torch.addcmul(self.shift[:, None, None], x, self.scale[:, None, None])


def norm_as_affine(norm: nn.Module, statistics: ChannelStatistics) -> Affine:
    r"""What a norm of a style network does in evaluation, without residual and activation.

    .. math:: y = \gamma \left( \rho \, \frac{x - \mu_r}{\sqrt{v_r + \epsilon}}
        + (1 - \rho) \, \frac{x - \mu}{\sqrt{v + \epsilon}} \right) + \beta

    with the running statistics :math:`\mu_r, v_r` and the ``statistics`` of its whole input. The gate ρ is 1 for batch
    norm and 0 for instance norm.
    """
    state = {name: tensor.detach().double() for name, tensor in norm.state_dict().items()}
    gate = state.get("gate", torch.full_like(statistics.mean, float("running_mean" in state))).clamp(0.0, 1.0)
    eps = float(cast(float, norm.eps))
    instance = (1 - gate) * (statistics.variance + eps).rsqrt()
    scale, offset = instance, instance * statistics.mean
    if "running_mean" in state:
        batch = gate * (state["running_var"] + eps).rsqrt()
        scale, offset = scale + batch, offset + batch * state["running_mean"]
    return Affine((state["weight"] * scale).float(), (state["bias"] - state["weight"] * offset).float())
