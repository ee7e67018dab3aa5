"""The functional face of batch-instance normalization: checks its arguments, then hands over to a backend."""

import torch
from torch import Tensor

from binorm.backends import operator, reference
from binorm.backends.selection import has_kernels, is_traced

ACTIVATIONS = ("identity", "relu", "relu6", "leaky_relu", "silu", "gelu")


def batch_instance_norm(
    input: Tensor,
    gate: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    residual: Tensor | None = None,
    activation: str = "identity",
    negative_slope: float = 0.01,
    clip_gate: bool = False,
) -> Tensor:
    r"""Mix batch and instance normalization by one gate per channel; add and activate in the same pass, if asked.

    .. math:: y = \phi((\rho \, \hat{x}_{BN} + (1 - \rho) \, \hat{x}_{IN}) \, \gamma + \beta + residual)

    where x̂_BN is normalized with the mean and biased variance of a channel over the batch (with the running statistics
    unless ``training``), and x̂_IN always with those of each (sample, channel) over its spatial values.

    Args:
        input: shape (N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W), any floating dtype and any strides. Where a
            (sample, channel) has one value only, x̂_IN is 0.
        gate: ρ, shape (C,). Used as it is, unless ``clip_gate``.
        weight: γ, shape (C,); 1 if None.
        bias: β, shape (C,); 0 if None.
        running_mean: shape (C,); read unless ``training``, else moved towards the batch's mean in place, if given.
        running_var: shape (C,); likewise, with the unbiased variance.
        training: normalize with the batch's statistics.
        momentum: the share of the batch in the updated running statistics.
        eps: added to every variance.
        residual: added before the activation; of ``input``'s shape, taken in its dtype.
        activation: φ, one of "identity", "relu", "relu6", "leaky_relu", "silu" and "gelu" (the exact one, by erf).
        negative_slope: of leaky_relu.
        clip_gate: compute with the gate projected onto [0, 1], and pass the projected gate's gradient on to ``gate``
            unchanged (a clamp would stop it at the bounds), as the layers do. ``gate`` itself is only read.

    Returns:
        A tensor of ``input``'s shape, dtype and device, in the memory layout that batch normalization gives. On the
        CPU, unless ``training``, where every gate is 1 and needs no gradient and there is no residual: the very bits of
        ``torch.nn.functional.batch_norm``, which then computes it.

    Raises:
        ValueError: for shapes that don't fit together, for missing running statistics in evaluation, for a training
            batch with one value per channel or an ``eps`` that is not positive, and for an unknown activation.
        TypeError: for an input that is not floating point, and for float64 input with parameters of lower precision.

    Source: Nam & Kim, *Batch-Instance Normalization for Adaptively Style-Invariant Neural Networks*, NeurIPS 2018,
    section 3.
    """
    check_arguments(
        input, gate, weight, bias, running_mean, running_var,
        training=training, residual=residual, activation=activation,
    )  # fmt: skip
    eps = float(eps)  # a layer's is a `binorm.folding.GuardedEps`
    if training and input.numel() == input.shape[1] > 0:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {input.shape}")
    if training and eps <= 0.0:
        raise ValueError(f"batch_norm eps must be positive during training, but got {eps}")
    traced = is_traced(input, gate)
    if not (traced or training) and residual is None and _is_batch_norm(input, gate, clip_gate):
        vectors = (weight, bias, running_mean, running_var)
        if all(each is None or each.dtype == input.dtype for each in vectors) or _batch_norm_mixes(input, *vectors):
            return reference.batch_norm(input, weight, bias, running_mean, running_var, eps, activation, negative_slope)
    backend = operator.batch_instance_norm if not traced and has_kernels(input) else reference.batch_instance_norm
    return backend(
        input, gate, weight, bias, running_mean, running_var, training, momentum, eps,
        residual, activation, negative_slope, clip_gate,
    )  # fmt: skip


def _is_batch_norm(input: Tensor, gate: Tensor, clip_gate: bool) -> bool:
    """Whether a call in evaluation can be left to PyTorch's batch norm: every gate is 1, and stays out of the graph.

    Asked on the CPU alone: the answer is in the data, for which another device's queue would have to be waited for, and
    which is no constant in what is traced.
    """
    if not (input.is_cpu and gate.is_cpu) or (gate.requires_grad and torch.is_grad_enabled()) or not gate.numel():
        return False
    at_least_1: bool = gate.min().item() >= 1.0  # False for NaN
    return at_least_1 and (clip_gate or gate.max().item() == 1.0)


def _batch_norm_mixes(input: Tensor, *vectors: Tensor | None) -> bool:
    """Whether PyTorch's batch norm takes vectors of another dtype than the input's: float32 beside half precision."""
    dtypes = {vector.dtype for vector in vectors if vector is not None}
    return input.dtype.itemsize == 2 and dtypes <= {torch.float32}


def check_arguments(
    input: Tensor,
    gate: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    *,
    training: bool,
    residual: Tensor | None,
    activation: str,
    **_: object,
) -> None:
    """Raise what `batch_instance_norm` promises for arguments that do not fit together."""
    _check_input(input)
    vectors = (gate, weight, bias, running_mean, running_var)
    expected, dtype = (input.shape[1],), input.dtype
    if not all(each is None or (each.dtype == dtype and each.shape == expected) for each in vectors):
        for name, each in zip(("gate", "weight", "bias", "running_mean", "running_var"), vectors, strict=True):
            if each is not None:
                _check_vector(name, each, input)
    if not training and (running_mean is None or running_var is None):
        raise ValueError("running_mean and running_var must be given in evaluation mode (training=False)")
    if residual is not None and residual.shape != input.shape:
        raise ValueError(f"residual should have the input's shape {tuple(input.shape)} (got {tuple(residual.shape)})")
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation should be one of {', '.join(ACTIVATIONS)} (got {activation!r})")


def _check_input(input: Tensor) -> None:
    if input.is_complex():
        raise TypeError(
            f"expected a real floating-point input (got {input.dtype}): give real and imaginary parts as channels of "
            "their own, torch.cat([input.real, input.imag], dim=1)"
        )
    if not input.is_floating_point():
        raise TypeError(f"expected a floating-point input (got {input.dtype}): convert it with input.float()")
    if not 2 <= input.dim() <= 5:
        raise ValueError(f"expected 2D to 5D input (got {input.dim()}D input)")


def _check_vector(name: str, vector: Tensor, input: Tensor) -> None:
    channels = input.shape[1]
    if vector.shape != (channels,):
        raise ValueError(
            f"{name} should have shape ({channels},) for an input with {channels} channels "
            f"(got {tuple(vector.shape)} with input {tuple(input.shape)})"
        )
    if vector.dtype != input.dtype and torch.promote_types(vector.dtype, torch.float32) != torch.promote_types(
        input.dtype, torch.float32
    ):
        raise TypeError(
            f"{name} is {vector.dtype} but the input is {input.dtype}: convert the input with "
            f"input.to({vector.dtype}) or the model with model.to({input.dtype})"
        )
