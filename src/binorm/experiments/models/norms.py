"""The norms that experiments compare, by name, each with the ReLU that follows it in the networks.

A norm layer is called with a number of channels (and ``apply_act=False`` where no ReLU follows), and gives a module
that takes an input and, in residual blocks, what is added before the ReLU: ``norm(x, residual)``.
"""

from typing import Protocol

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from binorm import BatchInstanceNormAct2d
from binorm.experiments.models.rival_norms import GroupNorm, InstanceBatchNorm2d, SwitchableNorm2d


class NormLayer(Protocol):
    """What a network takes as ``norm_layer``."""

    def __call__(self, num_features: int, *, apply_act: bool = True) -> nn.Module:
        """A norm of (N, num_features, H, W) maps, with a ReLU if ``apply_act``."""


class _Activated(nn.Module):
    """Mixed into a norm: then the addition of a residual, then ReLU."""

    apply_act: bool

    def forward(self, input: Tensor, residual: Tensor | None = None) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        x: Tensor = super().forward(input)
        x = x if residual is None else x + residual
        return F.relu(x, inplace=True) if self.apply_act else x


class BatchNormAct2d(_Activated, nn.BatchNorm2d):
    """Batch norm, then the addition of a residual, then ReLU."""

    def __init__(self, num_features: int, *, apply_act: bool = True) -> None:
        super().__init__(num_features)
        self.apply_act = apply_act


class InstanceNormAct2d(_Activated, nn.InstanceNorm2d):
    """Instance norm with weight and bias, then the addition of a residual, then ReLU."""

    def __init__(self, num_features: int, *, apply_act: bool = True) -> None:
        super().__init__(num_features, affine=True)
        self.apply_act = apply_act


class GroupNormAct(_Activated, GroupNorm):
    """Group norm, then the addition of a residual, then ReLU."""

    def __init__(self, num_features: int, *, apply_act: bool = True) -> None:
        super().__init__(num_features)
        self.apply_act = apply_act


class InstanceBatchNormAct2d(_Activated, InstanceBatchNorm2d):
    """IBN-a's norm, then the addition of a residual, then ReLU."""

    def __init__(self, num_features: int, *, apply_act: bool = True) -> None:
        super().__init__(num_features)
        self.apply_act = apply_act


class SwitchableNormAct2d(_Activated, SwitchableNorm2d):
    """Switchable norm, then the addition of a residual, then ReLU."""

    def __init__(self, num_features: int, *, apply_act: bool = True) -> None:
        super().__init__(num_features)
        self.apply_act = apply_act


def _fixed_mix(num_features: int, *, apply_act: bool = True) -> nn.Module:
    """Half batch norm, half instance norm: the paper's BN+IN, which it does not define further."""
    norm = BatchInstanceNormAct2d(num_features, apply_act=apply_act, gate_init=0.5)
    norm.gate.requires_grad_(False)
    return norm


NORMS: dict[str, NormLayer] = {
    "bn": BatchNormAct2d,
    "in": InstanceNormAct2d,
    "bn+in": _fixed_mix,
    "bin": BatchInstanceNormAct2d,
    "gn": GroupNormAct,
    "ibn-a": BatchNormAct2d,  # `ibn.insert_ibn_a` then replaces the first norm of each block
    "sn": SwitchableNormAct2d,
}
