"""Batch-instance normalization in plain PyTorch: the truth that every other backend is tested against.

Differentiable twice, and what ``torch.compile`` and ``torch.export`` trace.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from binorm.backends.layout import in_batch_norm_layout


def batch_instance_norm(
    input: Tensor,
    gate: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    residual: Tensor | None = None,
    activation: str = "identity",
    negative_slope: float = 0.01,
    clip_gate: bool = False,
    *,
    merge: Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor, Tensor]] | None = None,
) -> Tensor:
    """Normalize ``input``; the arguments are those of `binorm.functional.batch_instance_norm`, already checked.

    ``merge`` makes the batch's mean, biased variance and number of values a channel from those of this process.
    """
    input = in_batch_norm_layout(input)
    gate = clipped(gate) if clip_gate else gate
    if input.numel() == 0 and merge is None:
        return _normalize_nothing(input, gate, weight, bias, residual)
    # Half precision accumulates in float32: a sum over one 500x500 instance already overflows float16.
    dtype = torch.promote_types(input.dtype, torch.float32)
    x = input.to(dtype)
    instance_mean, instance_var = _instance_statistics(x)
    if training:
        batch_mean, batch_var = _batch_statistics(instance_mean, instance_var)
        count: int | Tensor = x.numel() // x.shape[1]
        if merge is not None:
            batch_mean, batch_var, count = merge(batch_mean, batch_var, x.numel() // x.shape[1])
        update_running_statistics(running_mean, running_var, batch_mean, batch_var, count, momentum)
        if input.numel() == 0:  # the backward pass of merge waits for this process too
            return _normalize_nothing(input, gate, weight, bias, residual, batch_mean, batch_var)
    else:
        assert running_mean is not None  # noqa: S101 - functional.py has checked both
        assert running_var is not None  # noqa: S101
        batch_mean, batch_var = running_mean.to(dtype), running_var.to(dtype)

    # y = scale * (x - instance_mean) + shift. Centring on the instance keeps the digits of nearly constant instances,
    # which the shorter scale * x + shift' would lose.
    gate = gate.to(dtype)
    batch_rstd = (batch_var + eps).rsqrt()
    scale = gate * batch_rstd + (1 - gate) * _inverse_root(instance_var, eps)
    shift = gate * batch_rstd * (instance_mean - batch_mean)
    if weight is not None:
        scale, shift = scale * weight.to(dtype), shift * weight.to(dtype)
    if bias is not None:
        shift = shift + bias.to(dtype)
    if x.numel() == shift.numel():  # one value per instance: x - instance_mean is 0, its gradient a loss of digits
        output = shift.view(x.shape)
    else:
        scale, shift, instance_mean = (_per_instance(each, x) for each in (scale, shift, instance_mean))
        output = torch.addcmul(shift, scale, x - instance_mean)
    if residual is not None:
        output = output + residual.to(input.dtype)
    # In the input's dtype: compiled, the backward pass of an activation keeps what it saw.
    return _activate(output.to(input.dtype), activation, negative_slope)


def clipped(gate: Tensor) -> Tensor:
    """The finite gate projected onto [0, 1], to the bit, with its own gradient, in any order and under any transform.

    A clamp's own gradient is 0 or halved at the bounds, where gates start and often live: they would never move.
    """
    stopped = gate.detach()
    return stopped.clamp(0.0, 1.0) + (gate - stopped)


def batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    eps: float,
    activation: str,
    negative_slope: float,
) -> Tensor:
    """What evaluation is where every gate is 1, in the bits of the network that these gates stand for."""
    output = F.batch_norm(input, running_mean, running_var, weight, bias, training=False, eps=eps)
    return _activate(output, activation, negative_slope, inplace=True)


def _activate(x: Tensor, activation: str, negative_slope: float, inplace: bool = False) -> Tensor:
    match activation:
        case "relu":
            return F.relu(x, inplace)
        case "relu6":
            return F.relu6(x, inplace)
        case "leaky_relu":
            return F.leaky_relu(x, negative_slope, inplace)
        case "silu":
            return F.silu(x, inplace)
        case "gelu":
            return F.gelu(x)
        case _:
            return x


def _instance_statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of each (sample, channel), both (N, C)."""
    if math.prod(x.shape[2:]) == 1:
        return x.flatten(1), torch.zeros_like(x).flatten(1)
    if x.numel() == 0:  # var_mean would warn
        nothing = x.sum(tuple(range(2, x.dim())))
        return nothing, nothing
    # Inductor makes one Welford pass of var_mean; a mean, then a mean of squares, would read x twice.
    var, mean = torch.var_mean(x, tuple(range(2, x.dim())), correction=0)
    return mean, var


def _inverse_root(var: Tensor, eps: float) -> Tensor:
    """(var + eps)^-1/2; 0 where both are 0: the instance is constant, and x - instance_mean 0 in all of it."""
    if eps > 0.0:
        return (var + eps).rsqrt()
    return torch.where(var == 0.0, 0.0, torch.where(var == 0.0, 1.0, var).rsqrt())


def _batch_statistics(instance_mean: Tensor, instance_var: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of each channel: exact merges, as every instance has as many values; 0 of nothing."""
    if instance_mean.shape[0] == 0:
        return instance_mean.sum(0), instance_var.sum(0)
    mean = instance_mean.mean(0)
    return mean, instance_var.mean(0) + (instance_mean - mean).square().mean(0)


def _per_instance(statistic: Tensor, x: Tensor) -> Tensor:
    """View an (N, C) statistic so that it broadcasts over the spatial dimensions of ``x``."""
    return statistic.view(*statistic.shape, *(1 for _ in range(x.dim() - 2)))


@torch.no_grad()
def update_running_statistics(
    running_mean: Tensor | None,
    running_var: Tensor | None,
    batch_mean: Tensor,
    batch_var: Tensor,
    count: int | Tensor,
    momentum: float,
) -> None:
    """Move the running statistics towards the batch's, in place; the variance becomes unbiased, as in batch norm."""
    if running_mean is not None:
        running_mean.lerp_(batch_mean.to(running_mean.dtype), momentum)
    if running_var is not None:
        running_var.lerp_((batch_var * (count / (count - 1))).to(running_var.dtype), momentum)


def _normalize_nothing(input: Tensor, gate: Tensor, *others: Tensor | None) -> Tensor:
    """An empty batch: an empty output with zero gradients for everything; no statistics are touched."""
    shape = (1, -1, *(1 for _ in range(input.dim() - 2)))
    output = input * gate.view(shape)
    for other in others:
        if other is not None:
            output = output * (other.view(shape) if other.dim() == 1 else other)
    return output.to(input.dtype)
