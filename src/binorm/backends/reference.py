"""Batch-instance normalization in plain PyTorch: the truth that every other backend is tested against.

Differentiable twice, and what ``torch.compile`` and ``torch.export`` trace.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

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
) -> Tensor:
    """Normalize ``input``; the arguments are those of `binorm.functional.batch_instance_norm`, already checked."""
    input = in_batch_norm_layout(input)
    if input.numel() == 0:
        return _normalize_nothing(input, gate, weight, bias, residual)
    # Half precision accumulates in float32: a sum over one 500x500 instance already overflows float16.
    dtype = torch.promote_types(input.dtype, torch.float32)
    x = input.to(dtype)
    instance_mean, instance_var = _instance_statistics(x)
    if training:
        # Every instance has as many values, so the batch's statistics are exact merges of the instances'.
        batch_mean = instance_mean.mean(0)
        batch_var = instance_var.mean(0) + (instance_mean - batch_mean).square().mean(0)
        update_running_statistics(running_mean, running_var, batch_mean, batch_var, x.numel() // x.shape[1], momentum)
    else:
        assert running_mean is not None  # noqa: S101 - functional.py has checked both
        assert running_var is not None  # noqa: S101
        batch_mean, batch_var = running_mean.to(dtype), running_var.to(dtype)

    # y = scale * (x - instance_mean) + shift. Centring on the instance keeps the digits of nearly constant instances,
    # which the shorter scale * x + shift' would lose.
    gate = gate.to(dtype)
    batch_rstd = (batch_var + eps).rsqrt()
    scale = gate * batch_rstd + (1 - gate) * (instance_var + eps).rsqrt()
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
        output = output + residual.to(dtype)
    return _activate(output, activation, negative_slope).to(input.dtype)


def _activate(x: Tensor, activation: str, negative_slope: float) -> Tensor:
    if activation == "leaky_relu":
        return F.leaky_relu(x, negative_slope)
    functions = {"relu": F.relu, "silu": F.silu, "gelu": F.gelu}
    return functions[activation](x) if activation != "identity" else x


def _instance_statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of each (sample, channel), both (N, C)."""
    if x.numel() == x.shape[0] * x.shape[1]:
        return x.flatten(1), torch.zeros_like(x).flatten(1)
    # Inductor makes one Welford pass of var_mean; a mean, then a mean of squares, would read x twice.
    var, mean = torch.var_mean(x, tuple(range(2, x.dim())), correction=0)
    return mean, var


def _per_instance(statistic: Tensor, x: Tensor) -> Tensor:
    """View an (N, C) statistic so that it broadcasts over the spatial dimensions of ``x``."""
    return statistic.view(*statistic.shape, *(1 for _ in range(x.dim() - 2)))


@torch.no_grad()
def update_running_statistics(
    running_mean: Tensor | None,
    running_var: Tensor | None,
    batch_mean: Tensor,
    batch_var: Tensor,
    count: int,
    momentum: float,
) -> None:
    """Move the running statistics towards the batch's, in place; the variance becomes unbiased, as in batch norm."""
    if running_mean is not None:
        running_mean.lerp_(batch_mean.to(running_mean.dtype), momentum)
    if running_var is not None:
        running_var.lerp_((batch_var * (count / (count - 1))).to(running_var.dtype), momentum)


def _normalize_nothing(
    input: Tensor, gate: Tensor, weight: Tensor | None, bias: Tensor | None, residual: Tensor | None
) -> Tensor:
    """An empty batch: an empty output with zero gradients for every parameter; no statistics are touched."""
    shape = (1, -1, *(1 for _ in range(input.dim() - 2)))
    output = input * gate.view(shape)
    for parameter in (weight, bias):
        if parameter is not None:
            output = output * parameter.view(shape)
    if residual is not None:
        output = output * residual
    return output.to(input.dtype)
