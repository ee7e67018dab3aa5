"""The norms that experiments compare, by name: each is what a network takes as ``norm_layer``."""

from collections.abc import Callable
from functools import partial

from torch import nn

from binorm import BatchInstanceNorm2d

NormLayer = Callable[[int], nn.Module]


def _fixed_mix(num_features: int) -> nn.Module:
    """Half batch norm, half instance norm: the paper's BN+IN, which it does not define further."""
    norm = BatchInstanceNorm2d(num_features, gate_init=0.5)
    norm.gate.requires_grad_(False)
    return norm


NORMS: dict[str, NormLayer] = {
    "bn": nn.BatchNorm2d,
    "in": partial(nn.InstanceNorm2d, affine=True),
    "bn+in": _fixed_mix,
    "bin": BatchInstanceNorm2d,
}
