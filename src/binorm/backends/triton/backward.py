"""The kernels of the backward pass: two sums, their merge, the gradient of the input."""

# Constants of a compilation are in capitals, as everywhere in Triton; arguments of one meaning share an entry.
# ruff: noqa: D417, N803

import triton
import triton.language as tl

from binorm.backends.triton.blocks import (
    inverse_root,
    load_coefficients,
    load_vector,
    locate,
    preactivation,
    through_activation,
)


@triton.jit(do_not_specialize=["samples"])
def sums_kernel(
    grad_output_ptr, input_ptr, gate_ptr, weight_ptr, bias_ptr, residual_ptr, statistics_ptr, partial_ptr,
    grad_residual_ptr, samples, channels, space, chunks,
    EPS: tl.constexpr, ACTIVATION: tl.constexpr, SLOPE: tl.constexpr,
    CHANNELS_LAST: tl.constexpr, ALIGNMENT: tl.constexpr,
    INSTANCES: tl.constexpr, SPACE: tl.constexpr, TILES: tl.constexpr,
):  # fmt: skip
    """Σ g and Σ g·(x − m_I) of every chunk of every instance, where g = grad_output·activation'(z); keep g if asked.

    Args:
        grad_output_ptr: laid out as the input.
        input_ptr, gate_ptr, weight_ptr, bias_ptr, residual_ptr, statistics_ptr, EPS, ACTIVATION, SLOPE: as in
            `output_kernel`.
        partial_ptr: out, (2, chunks·N + 1, C), Σ g before Σ g·(x − m_I).
        grad_residual_ptr: out, None, or g laid out as the input.
        chunks: how many share an instance.
        samples, channels, space, CHANNELS_LAST, ALIGNMENT, INSTANCES, SPACE, TILES: see `locate`.
    """
    channel, instance, exists, base, offsets, step, chunk, positions = locate(
        tl.program_id(0), samples, channels, space, CHANNELS_LAST, ALIGNMENT, INSTANCES, SPACE, TILES
    )
    _, _, _, _, mean, _, scale, shift = load_coefficients(
        gate_ptr, weight_ptr, bias_ptr, statistics_ptr, samples, channels, channel, instance, exists, EPS, SPACE == 1
    )
    column = tl.arange(0, SPACE)[None, :]
    total = tl.zeros((INSTANCES, SPACE), mean.dtype)
    product = tl.zeros((INSTANCES, SPACE), mean.dtype)
    for tile in range(TILES):
        place = (base + tile * step) + offsets
        mask = exists[:, None] & (column < positions - tile * SPACE)
        g = tl.load(grad_output_ptr + place, mask=mask, other=0.0).to(mean.dtype)
        centred = tl.load(input_ptr + place, mask=mask, other=0.0).to(mean.dtype) - mean[:, None]
        if ACTIVATION != "identity":
            z = preactivation(centred, scale, shift, residual_ptr, place, mask)
            g = through_activation(g, z, ACTIVATION, SLOPE)
        if grad_residual_ptr is not None:
            tl.store(grad_residual_ptr + place, g.to(grad_residual_ptr.dtype.element_ty), mask=mask)
        total += g
        product += g * centred
    per_chunk = samples.to(tl.int64) * channels
    place = partial_ptr + chunk * per_chunk + instance
    tl.store(place, tl.sum(total, 1), mask=exists)
    tl.store(place + per_chunk * chunks + channels, tl.sum(product, 1), mask=exists)


@triton.jit(do_not_specialize=["samples"])
def merge_sums_kernel(
    partial_ptr, gate_ptr, weight_ptr, statistics_ptr, sums_ptr, grad_gate_ptr, grad_weight_ptr, grad_bias_ptr,
    samples, channels, space, chunks,
    EPS: tl.constexpr, CHUNK: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Add up the sums of chunks: group 0 all of a channel, for the gradients of γ, β, ρ; group n + 1 those of sample n.

    With s0 = Σ g, s1 = Σ g·(x − m_I) of an instance and sums over the samples: G0 = Σ s0 = grad β,
    G1 = Σ (s1 + (m_I − m_B)·s0), grad γ = ρ·r_B·G1 + (1 − ρ)·Σ r_I·s1, grad ρ = γ·(r_B·G1 − Σ r_I·s1).

    Args:
        partial_ptr: (2, chunks·N + 1, C), Σ g before Σ g·(x − m_I).
        gate_ptr, weight_ptr, statistics_ptr, EPS: as in `load_coefficients`.
        sums_ptr: out, (2, N + 1, C), s0 and G0 before s1 and G1; the instances' are there already if chunks is 1.
        grad_gate_ptr, grad_weight_ptr, grad_bias_ptr: out, (C,), each in its vector's dtype.
        samples, channels, space, chunks, CHUNK, ROWS, CHANNELS: as in `merge_statistics_kernel`.
    """
    blocks = tl.cdiv(channels, CHANNELS)
    group = tl.program_id(0) // blocks
    channel = tl.program_id(0) % blocks * CHANNELS + tl.arange(0, CHANNELS)
    exists = channel < channels
    product_distance = (samples.to(tl.int64) + 1) * channels
    if group == 0:
        batch_ptr = statistics_ptr + samples.to(tl.int64) * channels + channel
        batch_mean = tl.load(batch_ptr, mask=exists, other=0.0)
        batch_rstd = tl.rsqrt(tl.load(batch_ptr + product_distance, mask=exists, other=1.0) + EPS)
        total, product, scaled = _sum_over_batch(
            partial_ptr, statistics_ptr, batch_mean, channel, exists, samples, channels, chunks,
            EPS, CHUNK == 1, ROWS, CHANNELS,
        )  # fmt: skip
        place = sums_ptr + samples.to(tl.int64) * channels + channel
        tl.store(place, total, mask=exists)
        tl.store(place + product_distance, product, mask=exists)
        gate = load_vector(gate_ptr, channel, exists, 0.0, total.dtype)
        weight = load_vector(weight_ptr, channel, exists, 1.0, total.dtype)
        of_gate = weight * (batch_rstd * product - scaled)
        of_weight = gate * batch_rstd * product + (1.0 - gate) * scaled
        tl.store(grad_gate_ptr + channel, of_gate.to(grad_gate_ptr.dtype.element_ty), mask=exists)
        tl.store(grad_weight_ptr + channel, of_weight.to(grad_weight_ptr.dtype.element_ty), mask=exists)
        tl.store(grad_bias_ptr + channel, total.to(grad_bias_ptr.dtype.element_ty), mask=exists)
    else:
        sample = (group - 1).to(tl.int64)
        total, product = _sum_over_chunks(
            partial_ptr, sample, channel, exists, samples, channels, chunks, ROWS, CHANNELS
        )
        place = sums_ptr + sample * channels + channel
        tl.store(place, total, mask=exists)
        tl.store(place + product_distance, product, mask=exists)


@triton.jit
def _sum_over_batch(
    partial_ptr, statistics_ptr, batch_mean, channel, exists, samples, channels, chunks,
    EPS: tl.constexpr, SINGLE: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Σ s0, Σ (s1 + (m_I − m_B)·s0) and Σ r_I·s1 over chunks and samples, each (CHANNELS,)."""
    dtype: tl.constexpr = partial_ptr.dtype.element_ty
    total = tl.zeros((ROWS, CHANNELS), dtype)
    product = tl.zeros((ROWS, CHANNELS), dtype)
    scaled = tl.zeros((ROWS, CHANNELS), dtype)
    for first in range(0, samples * chunks, ROWS):
        row = first + tl.arange(0, ROWS)
        mask = (row < samples * chunks)[:, None] & exists[None, :]
        place = partial_ptr + row.to(tl.int64)[:, None] * channels + channel[None, :]
        s0 = tl.load(place, mask=mask, other=0.0)
        s1 = tl.load(place + (samples.to(tl.int64) * chunks + 1) * channels, mask=mask, other=0.0)
        place = statistics_ptr + (row % samples).to(tl.int64)[:, None] * channels + channel[None, :]
        mean = tl.load(place, mask=mask, other=0.0)
        total += s0
        product += tl.fma(mean - batch_mean[None, :], s0, s1)  # where the mask is off, both sums are 0
        if not SINGLE:
            var = tl.load(place + (samples.to(tl.int64) + 1) * channels, mask=mask, other=1.0)
            scaled += inverse_root(var, EPS) * s1
    return tl.sum(total, 0), tl.sum(product, 0), tl.sum(scaled, 0)


@triton.jit
def _sum_over_chunks(
    partial_ptr, sample, channel, exists, samples, channels, chunks, ROWS: tl.constexpr, CHANNELS: tl.constexpr
):  # fmt: skip
    """Σ s0 and Σ s1 over the chunks of one sample's instances, each (CHANNELS,)."""
    dtype: tl.constexpr = partial_ptr.dtype.element_ty
    total = tl.zeros((ROWS, CHANNELS), dtype)
    product = tl.zeros((ROWS, CHANNELS), dtype)
    for first in range(0, chunks, ROWS):
        row = first + tl.arange(0, ROWS)
        mask = (row < chunks)[:, None] & exists[None, :]
        place = partial_ptr + (row * samples + sample)[:, None] * channels + channel[None, :]
        total += tl.load(place, mask=mask, other=0.0)
        product += tl.load(place + (samples.to(tl.int64) * chunks + 1) * channels, mask=mask, other=0.0)
    return tl.sum(total, 0), tl.sum(product, 0)


@triton.jit(do_not_specialize=["samples"])
def grad_input_kernel(
    grad_output_ptr, input_ptr, gate_ptr, weight_ptr, bias_ptr, residual_ptr, statistics_ptr, sums_ptr, grad_input_ptr,
    samples, channels, space,
    EPS: tl.constexpr, ACTIVATION: tl.constexpr, SLOPE: tl.constexpr, TRAINING: tl.constexpr,
    CHANNELS_LAST: tl.constexpr, ALIGNMENT: tl.constexpr,
    INSTANCES: tl.constexpr, SPACE: tl.constexpr, TILES: tl.constexpr,
):  # fmt: skip
    """grad_input = scale·g − slope·(x − m_I) − level, where g = grad_output·activation'(z).

    With S positions, M = N·S and k_I = γ·(1 − ρ)·r_I, k_B = γ·ρ·r_B,
    slope = k_I·r_I²·s1/S + k_B·r_B²·G1/M and level = k_I·s0/S + k_B·(G0/M + r_B²·(m_I − m_B)·G1/M);
    outside of training without the terms of the batch.

    Args:
        grad_output_ptr, input_ptr, gate_ptr, weight_ptr, bias_ptr, residual_ptr, statistics_ptr, EPS, ACTIVATION,
            SLOPE: as in `sums_kernel`.
        sums_ptr: (2, N + 1, C), s0 and G0 before s1 and G1.
        grad_input_ptr: out, laid out as the input.
        samples, channels, space, CHANNELS_LAST, ALIGNMENT, INSTANCES, SPACE, TILES: see `locate`.
        TRAINING: the batch's statistics depend on the input.
    """
    program = tl.num_programs(0) - 1 - tl.program_id(0)  # backwards, as in `output_kernel`
    channel, instance, exists, base, offsets, step, _, positions = locate(
        program, samples, channels, space, CHANNELS_LAST, ALIGNMENT, INSTANCES, SPACE, TILES
    )
    weight, gate, batch_rstd, instance_rstd, mean, distance, scale, shift = load_coefficients(
        gate_ptr, weight_ptr, bias_ptr, statistics_ptr, samples, channels, channel, instance, exists, EPS, SPACE == 1
    )
    products_ptr = sums_ptr + (samples.to(tl.int64) + 1) * channels
    share = tl.full([1], 1.0, mean.dtype) / space  # of a position in its instance
    of_instance = weight * (1.0 - gate) * instance_rstd * share
    slope = of_instance * instance_rstd * instance_rstd * tl.load(products_ptr + instance, mask=exists, other=0.0)
    level = of_instance * tl.load(sums_ptr + instance, mask=exists, other=0.0)
    if TRAINING:
        batch = samples.to(tl.int64) * channels + channel
        of_batch = weight * gate * batch_rstd * (share / samples)
        tilt = of_batch * batch_rstd * batch_rstd * tl.load(products_ptr + batch, mask=exists, other=0.0)
        slope += tilt
        level += tl.fma(tilt, distance, of_batch * tl.load(sums_ptr + batch, mask=exists, other=0.0))
    column = tl.arange(0, SPACE)[None, :]
    for tile in range(TILES):
        place = (base + tile * step) + offsets
        mask = exists[:, None] & (column < positions - tile * SPACE)
        g = tl.load(grad_output_ptr + place, mask=mask, other=0.0).to(mean.dtype)
        centred = tl.load(input_ptr + place, mask=mask, other=0.0).to(mean.dtype) - mean[:, None]
        if ACTIVATION != "identity":
            z = preactivation(centred, scale, shift, residual_ptr, place, mask)
            g = through_activation(g, z, ACTIVATION, SLOPE)
        grad = scale[:, None] * g - slope[:, None] * centred - level[:, None]
        tl.store(grad_input_ptr + place, grad.to(grad_input_ptr.dtype.element_ty), mask=mask)
