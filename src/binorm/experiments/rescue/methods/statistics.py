"""Norms that mix the statistics of their training with those of the test batch: what most test-time methods share."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from binorm.experiments.common.errors import UserError
from binorm.experiments.rescue.methods.method import own_copy
from binorm.norm_layers import NormLayer

SourceShare = Callable[[str, int], float | Tensor]


def mix_statistics(network: nn.Module, source_share: SourceShare, *, between: bool = False) -> nn.Module:
    r"""Copy a network so that its norms normalize with a mix of running and batch statistics, in evaluation mode.

    .. math:: \mu = a \mu_{run} + (1 - a) \mu_{batch}, \quad
              \sigma^2 = a \sigma^2_{run} + (1 - a) \sigma^2_{batch} \; [+ a (1 - a) (\mu_{run} - \mu_{batch})^2]

    with the biased variance of the batch, as in training. Each norm's input is moved and scaled so that the norm, with
    its running statistics, computes just this. So it goes for every kind of norm: with an activation, with a residual,
    and with gates below 1, whose share of instance norm stays as it is. Gradients reach the batch's statistics. Norms
    without running statistics normalize with the batch's anyway, and are left alone.

    One picture is a batch, too. Where a norm then has one value a channel (after global pooling), its variance is 0 and
    statistics of the batch alone leave nothing of the picture there.

    Args:
        network: with batch norms or batch-instance norms; not changed.
        source_share: a, of a layer's name and the number of samples in its batch; one number, or one a channel, (C,).
        between: with the variance between both means, so that σ² is that of the mixture of both distributions.

    Raises:
        UserError: for a network without such norms, and for one whose norms have no running statistics.
    """
    mixed = own_copy(network)
    for name, layer in named_norms(mixed).items():
        layer.register_forward_pre_hook(_Mix(name, source_share, between), with_kwargs=True)
    return mixed


def named_norms(network: nn.Module) -> dict[str, NormLayer]:
    """Batch norms and batch-instance norms with running statistics, each once, by name; a `UserError` for none."""
    found = {name: each for name, each in network.named_modules() if isinstance(each, NormLayer)}
    if not found:
        raise UserError(
            f"{type(network).__name__} has no batch norms or batch-instance norms, which this method works on "
            f"(layers with Norm in their names: {_others(network)}): give a network with them, or the method none"
        )
    tracking = {name: each for name, each in found.items() if each.running_mean is not None}
    if not tracking:
        raise UserError(
            f"{type(network).__name__} has {len(found)} norms without running statistics, which always take the "
            "batch's: give a network whose norms track them"
        )
    return tracking


def affine_parameters(network: nn.Module, share: float = 1.0) -> list[nn.Parameter]:
    """Weights and biases of a network's norms, each once, now with gradients; a `UserError` where there are none.

    ``share`` of the norms, first ones first as the network holds them, at least one.
    """
    layers = list(named_norms(network).values())
    layers = layers[: math.ceil(share * len(layers))]
    owned = {id(each): each for layer in layers for each in (layer.weight, layer.bias) if each is not None}
    if not owned:
        raise UserError(
            f"the norms of {type(network).__name__} have no weights and biases, which this method learns: give a "
            "network whose norms are affine"
        )
    for each in owned.values():
        each.requires_grad_()
    return list(owned.values())


def leading_input(inputs: tuple[Any, ...], named: dict[str, Any]) -> Tensor:
    """What a layer normalizes, however it was called."""
    x: Tensor = inputs[0] if inputs else named["input" if "input" in named else "x"]
    return x


def replace_leading_input(
    inputs: tuple[Any, ...], named: dict[str, Any], x: Tensor
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call, with ``x`` for what `leading_input` gives."""
    if inputs:
        return (x, *inputs[1:]), named
    return inputs, {**named, "input" if "input" in named else "x": x}


def per_channel(values: Tensor, x: Tensor) -> Tensor:
    """(C,) or (N, C) in a shape that goes with ``x``, (N, C, *spatial)."""
    return values.reshape(*([1] if values.dim() == 1 else []), *values.shape, *[1] * (x.dim() - 2))


@dataclass(frozen=True)
class _Mix:
    """A hook before a norm; it is copied and pickled with it."""

    name: str
    source_share: SourceShare
    between: bool

    def __call__(self, layer: NormLayer, inputs: tuple[Any, ...], named: dict[str, Any]) -> Any:
        given = leading_input(inputs, named)
        if not given.numel():
            return None
        assert layer.running_mean is not None  # noqa: S101 - named_norms has asked
        assert layer.running_var is not None  # noqa: S101
        x = given.to(torch.promote_types(given.dtype, torch.float32))
        source_mean, source_var = layer.running_mean.to(x.dtype), layer.running_var.to(x.dtype)
        batch_var, batch_mean = torch.var_mean(x, dim=[each for each in range(x.dim()) if each != 1], correction=0)
        share = self.source_share(self.name, len(x))
        share = share.to(x) if isinstance(share, Tensor) else share
        mean = share * source_mean + (1 - share) * batch_mean
        var = share * source_var + (1 - share) * batch_var
        if self.between:
            var = var + share * (1 - share) * (source_mean - batch_mean).square()
        eps = float(layer.eps)
        scale = ((source_var + eps) / (var + eps)).sqrt()
        moved = (x - per_channel(mean, x)) * per_channel(scale, x) + per_channel(source_mean, x)
        return replace_leading_input(inputs, named, moved.to(given.dtype))


def _others(network: nn.Module) -> str:
    names = sorted({type(each).__name__ for each in network.modules() if "Norm" in type(each).__name__})
    return ", ".join(names) or "none"
