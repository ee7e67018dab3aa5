"""The operators on the GPU: what is allocated, and which kernels run over it."""

import math
import struct

import torch
import triton
from torch import Tensor

from binorm.backends.triton import backward as backward_kernels
from binorm.backends.triton import forward as forward_kernels
from binorm.backends.triton.plan import plan_for


def forward(
    input: Tensor,
    gate: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    residual: Tensor | None,
    mean: Tensor | None,
    var: Tensor | None,
    eps: float,
    activation: str,
    negative_slope: float,
    clip_gate: bool = False,
) -> tuple[Tensor, Tensor]:
    """The operator ``binorm::batch_instance_norm`` of a non-empty input; see `binorm.backends.operator`."""
    shape = (samples, channels, _) = (*input.shape[:2], math.prod(input.shape[2:]))
    plan = plan_for(*shape, not input.is_contiguous())
    vectors = [_dense(each) for each in (_read(gate, clip_gate), weight, bias)]
    output = torch.empty_like(input)
    dtype = torch.promote_types(input.dtype, torch.float32)
    statistics = input.new_empty((2, samples + 1, channels), dtype=dtype)
    partial_statistics = plan.room_for_chunks(statistics)
    with torch.cuda.device_of(input):
        forward_kernels.statistics_kernel[plan.grid](input, partial_statistics, *shape, plan.chunks, **plan.block)
        forward_kernels.merge_statistics_kernel[plan.merge_grid](
            partial_statistics, _dense(mean), _dense(var), statistics, *shape, plan.chunks, **plan.merge
        )
        forward_kernels.output_kernel[plan.grid](
            input, *vectors, residual, statistics, output, *shape, eps, activation, negative_slope, **plan.block
        )
    return output, statistics


def backward(
    grad_output: Tensor,
    input: Tensor,
    gate: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    residual: Tensor | None,
    statistics: Tensor,
    training: bool,
    eps: float,
    activation: str,
    negative_slope: float,
    clip_gate: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The operator ``binorm::batch_instance_norm_backward`` of a non-empty input."""
    shape = (*input.shape[:2], math.prod(input.shape[2:]))
    plan = plan_for(*shape, not input.is_contiguous())
    grad_input = torch.empty_like(input)
    grad_residual = None if residual is None else torch.empty_like(input)
    grad_gate, grad_weight, grad_bias = (
        torch.empty_like(gate if each is None else each, memory_format=torch.contiguous_format)
        for each in (gate, weight, bias)
    )
    vectors = [_dense(each) for each in (_read(gate, clip_gate), weight, bias)]
    sums = torch.empty_like(statistics)
    partial_sums = plan.room_for_chunks(sums)
    with torch.cuda.device_of(input):
        backward_kernels.sums_kernel[plan.grid](
            grad_output, input, *vectors, residual, statistics, partial_sums, grad_residual,
            *shape, plan.chunks, eps, activation, negative_slope, **plan.block,
        )  # fmt: skip
        backward_kernels.merge_sums_kernel[plan.merge_grid](
            partial_sums, *vectors[:2], statistics, sums, grad_gate, grad_weight, grad_bias,
            *shape, plan.chunks, eps, **plan.merge,
        )  # fmt: skip
        if grad_residual is not None:  # the activation's part is done: one tensor less to read
            grad_output, residual, activation = grad_residual, None, "identity"
        backward_kernels.grad_input_kernel[plan.grid](
            grad_output, input, *vectors, residual, statistics, sums, grad_input,
            *shape, eps, activation, negative_slope, TRAINING=training, **plan.block,
        )  # fmt: skip
    if grad_residual is None:
        grad_residual = input.new_empty(0)
    return grad_input, grad_gate, grad_weight, grad_bias, grad_residual


def update_running_statistics(
    running_mean: Tensor | None, running_var: Tensor | None, statistics: Tensor, momentum: float, count: int
) -> None:
    """The operator ``binorm::update_running_statistics``, for ``count`` > 1 values of each channel."""
    _, rows, channels = statistics.shape
    strides = (1 if each is None else each.stride(0) for each in (running_mean, running_var))
    with torch.cuda.device_of(statistics):
        forward_kernels.running_statistics_kernel[(triton.cdiv(channels, 256),)](
            running_mean, running_var, statistics, *strides, rows - 1, channels,
            *_in_two_floats(momentum), *_in_two_floats(count / (count - 1)), CHANNELS=256,
        )  # fmt: skip


def _in_two_floats(number: float) -> tuple[float, float]:
    """Two float32 numbers, as Triton passes them, whose sum has nearly all digits of a float64."""
    rounded = struct.unpack("f", struct.pack("f", number))[0]
    return rounded, number - rounded


def _read(gate: Tensor, clip_gate: bool) -> Tensor:
    return gate.clamp(0.0, 1.0) if clip_gate else gate


def _dense(vector: Tensor | None) -> Tensor | None:
    return None if vector is None else vector.contiguous()
