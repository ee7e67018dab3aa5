"""Batch-instance normalization as the paper writes it: both norms apart, in float64, then mixed by the gate."""

import torch
from torch import Tensor, nn

import binorm

SHAPES = [(6, 4), (5, 4, 7), (4, 3, 5, 6), (3, 4, 2, 5, 3)]

LAYERS = {
    2: binorm.BatchInstanceNorm1d,
    3: binorm.BatchInstanceNorm1d,
    4: binorm.BatchInstanceNorm2d,
    5: binorm.BatchInstanceNorm3d,
}
BATCH_NORMS = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}


def naive_batch_instance_norm(
    x: Tensor,
    gate: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    training: bool = True,
    eps: float = 1e-5,
) -> Tensor:
    values = x.double().flatten(2) if x.dim() > 2 else x.double().unsqueeze(2)
    column = lambda vector: vector.double().reshape(1, -1, 1)  # noqa: E731

    def normalize(mean: Tensor, var: Tensor) -> Tensor:
        return (values - mean) / torch.sqrt(var + eps)

    def biased_var(mean: Tensor, dims: tuple[int, ...]) -> Tensor:
        return ((values - mean) ** 2).mean(dims, keepdim=True)

    instance_mean = values.mean((2,), keepdim=True)
    by_instance = normalize(instance_mean, biased_var(instance_mean, (2,)))
    if training:
        batch_mean = values.mean((0, 2), keepdim=True)
        by_batch = normalize(batch_mean, biased_var(batch_mean, (0, 2)))
    else:
        by_batch = normalize(column(running_mean), column(running_var))
    mixed = column(gate) * by_batch + (1 - column(gate)) * by_instance
    if weight is not None:
        mixed = mixed * column(weight)
    if bias is not None:
        mixed = mixed + column(bias)
    return mixed.reshape(x.shape)


def batch_of_styles(shape: tuple[int, ...], dtype: torch.dtype = torch.float64) -> Tensor:
    """Random input whose instances differ in mean and spread, so that the two norms differ."""
    per_instance = (*shape[:2], *(1 for _ in shape[2:]))
    x = torch.randn(shape, dtype=torch.float64) * (0.5 + torch.rand(per_instance, dtype=torch.float64))
    return (x + torch.randn(per_instance, dtype=torch.float64)).to(dtype)


def randomize_(layer: nn.Module) -> nn.Module:
    """Give every parameter and buffer its own values; the gates span [0, 1] with both ends."""
    with torch.no_grad():
        if hasattr(layer, "gate"):
            layer.gate.copy_(torch.linspace(0, 1, layer.num_features))
        if layer.affine:
            layer.weight.uniform_(0.5, 2.0)
            layer.bias.normal_()
        if layer.running_mean is not None:
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2.0)
    return layer
