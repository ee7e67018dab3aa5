"""The operator ``binorm::batch_instance_norm``: schema, shapes and gradient, whichever kernel computes it.

One read of the input gives the statistics of both norms, a second the output,

    y = activation(scale * (x - instance_mean) + shift + residual),

with one scale and shift for each (sample, channel). With ``clip_gate`` the gate is projected onto [0, 1] as it is read,
and its gradient is that of the projected gate. The backward pass reads input and gradient twice: for two sums of
each (sample, channel), then for the gradient of the input, which is affine in both. Saved for it are the input (and
the residual, where there is an activation) and O(N·C) numbers. Kernels (C++ in `binorm.backends.cpu`, Triton in
`binorm.backends.triton`) register for a device; second derivatives go through `binorm.backends.reference`.
"""

from typing import Any

import torch
from torch import Tensor

from binorm.backends import reference
from binorm.backends.layout import in_batch_norm_layout

library = torch.library.Library("binorm", "DEF")
library.define(
    # statistics: (2, N + 1, C), means before variances, those of the instances before the batch's (or the given ones)
    """batch_instance_norm(
        Tensor input, Tensor gate, Tensor? weight, Tensor? bias, Tensor? residual, Tensor? mean, Tensor? var,
        float eps, str activation, float negative_slope, bool clip_gate=False
    ) -> (Tensor output, Tensor statistics)""",
    tags=(torch.Tag.pt2_compliant_tag,),
)
library.define(
    """batch_instance_norm_backward(
        Tensor grad_output, Tensor input, Tensor gate, Tensor? weight, Tensor? bias, Tensor? residual,
        Tensor statistics, bool training, float eps, str activation, float negative_slope, bool clip_gate=False
    ) -> (Tensor grad_input, Tensor grad_gate, Tensor grad_weight, Tensor grad_bias, Tensor grad_residual)""",
    tags=(torch.Tag.pt2_compliant_tag,),
)
library.define(
    """update_running_statistics(
        Tensor(a!)? running_mean, Tensor(b!)? running_var, Tensor statistics, float momentum, int count
    ) -> ()""",
    tags=(torch.Tag.pt2_compliant_tag,),
)
_forward = torch.ops.binorm.batch_instance_norm.default
_backward = torch.ops.binorm.batch_instance_norm_backward.default
_update_running_statistics = torch.ops.binorm.update_running_statistics.default


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
    residual: Tensor | None,
    activation: str,
    negative_slope: float,
    clip_gate: bool,
) -> Tensor:
    """Normalize ``input`` with the kernel of its device; the arguments are checked already."""
    input = in_batch_norm_layout(input)
    if residual is not None:
        residual = _as_laid_out(residual, input)
    mean, var = (None, None) if training else (running_mean, running_var)
    output, statistics = _differentiable(
        input, gate, weight, bias, residual, mean, var, eps, activation, negative_slope, clip_gate
    )
    if training and (running_mean is not None or running_var is not None):
        count = input.numel() // input.shape[1]
        _update_running_statistics(running_mean, running_var, statistics, momentum, count)
    return output


def _as_laid_out(other: Tensor, input: Tensor) -> Tensor:
    """``other`` with the strides and dtype of ``input``, as kernels expect of residuals and gradients."""
    if other.stride() == input.stride() and other.dtype == input.dtype:
        return other
    return torch.empty_like(input).copy_(other)


class _BatchInstanceNorm(torch.autograd.Function):
    """Returns (output, statistics); the statistics are not differentiable."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, Tensor]:
        input, gate, weight, bias, residual, mean, var, *ctx.settings = arguments
        with torch._C._AutoDispatchBelowAutograd():
            output, statistics = _forward(*arguments)
        ctx.mark_non_differentiable(statistics)
        ctx.set_materialize_grads(False)
        ctx.has_residual = residual is not None
        if ctx.settings[1] == "identity":
            residual = None  # its gradient is the output's: nothing of it is needed
        ctx.save_for_backward(input, gate, weight, bias, residual, mean, var, statistics)
        return output, statistics

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
        if grad_output is None:
            return (None,) * 11
        input, gate, weight, bias, residual, mean, var, statistics = ctx.saved_tensors
        batched = torch._C._functorch.is_legacy_batchedtensor(grad_output)  # is_grads_batched=True: no kernel knows it
        if torch.is_grad_enabled() or batched:  # the former where gradients will be differentiated (create_graph=True)
            arguments = (input, gate, weight, bias, residual)
            gradients = _differentiable_gradients(grad_output, arguments, mean, var, *ctx.settings)
        else:
            grad_output = _as_laid_out(grad_output, input)
            gradients = _backward(
                grad_output, input, gate, weight, bias, residual, statistics, mean is None, *ctx.settings
            )
        grad_input, grad_gate, grad_weight, grad_bias, grad_residual = gradients
        if residual is None:
            grad_residual = grad_output if ctx.has_residual else None
        needs = ctx.needs_input_grad
        return (
            grad_input if needs[0] else None,
            grad_gate if needs[1] else None,
            grad_weight if needs[2] else None,
            grad_bias if needs[3] else None,
            grad_residual if needs[4] else None,
            None, None, None, None, None, None,
        )  # fmt: skip


def _differentiable_gradients(
    grad_output: Tensor,
    arguments: tuple[Tensor | None, ...],
    mean: Tensor | None,
    var: Tensor | None,
    eps: float,
    activation: str,
    negative_slope: float,
    clip_gate: bool,
) -> tuple[Tensor | None, ...]:
    """Gradients of input, gate, weight, bias and residual by the reference, with a graph of their own if wanted."""
    # New views: the graph of a saved tensor must not lead back into this node.
    with torch.enable_grad():
        views = [None if each is None else each.view_as(each) for each in arguments]
    x, gate, weight, bias, residual = views
    assert x is not None and gate is not None  # noqa: S101, PT018 - for the type checker
    with torch.enable_grad():
        output = reference.batch_instance_norm(
            x, gate, weight, bias, mean, var, mean is None, 0.0, eps, residual, activation, negative_slope, clip_gate
        )
    wanted = [each for each in views if each is not None and each.requires_grad]
    create_graph = torch.is_grad_enabled()
    found = iter(torch.autograd.grad(output, wanted, grad_output, create_graph=create_graph) if wanted else ())
    return tuple(next(found) if each is not None and each.requires_grad else None for each in views)


def _differentiable(*arguments: Any) -> tuple[Tensor, Tensor]:
    if torch.is_grad_enabled() and any(isinstance(each, Tensor) and each.requires_grad for each in arguments[:5]):
        return _BatchInstanceNorm.apply(*arguments)  # type: ignore[no-any-return]
    with torch._C._AutoDispatchBelowAutograd():
        return _forward(*arguments)  # type: ignore[no-any-return]


library.impl("batch_instance_norm", _differentiable, "Autograd")


@torch.library.register_fake("binorm::batch_instance_norm", lib=library)
def _(input: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    dtype = torch.promote_types(input.dtype, torch.float32)
    return torch.empty_like(input), input.new_empty((2, input.shape[0] + 1, input.shape[1]), dtype=dtype)


@torch.library.register_fake("binorm::batch_instance_norm_backward", lib=library)
def _(grad_output: Tensor, input: Tensor, gate: Tensor, weight: Tensor | None, bias: Tensor | None,
      residual: Tensor | None, *_: Any) -> tuple[Tensor, ...]:  # fmt: skip
    grad_residual = input.new_empty(0) if residual is None else torch.empty_like(input)
    vectors = (torch.empty_like(gate if vector is None else vector) for vector in (gate, weight, bias))
    return torch.empty_like(input), *vectors, grad_residual


@torch.library.register_fake("binorm::update_running_statistics", lib=library)
def _(*_: Any) -> None:
    return None
