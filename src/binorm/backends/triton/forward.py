"""The kernels of the forward pass: statistics, their merge, the output; and the running statistics."""

# Constants of a compilation are in capitals, as everywhere in Triton; arguments of one meaning share an entry.
# ruff: noqa: D417, N803

import triton
import triton.language as tl

from binorm.backends.triton.blocks import activate, load_coefficients, locate, preactivation


@triton.jit(do_not_specialize=["samples"])
def statistics_kernel(
    input_ptr, partial_ptr, samples, channels, space, chunks, CHANNELS_LAST: tl.constexpr, ALIGNMENT: tl.constexpr,
    INSTANCES: tl.constexpr, SPACE: tl.constexpr, TILES: tl.constexpr,
):  # fmt: skip
    """Mean and biased variance of every chunk of every instance.

    Sums are of x − pivot, the pivot being the mean of the chunk's first block. Were that block far from the rest, it
    alone would raise the variance to 1 / TILES of the squared shift: cancellation costs a factor of TILES at most. With
    one block this is the two-pass algorithm, corrected for the rounding of the mean.

    Args:
        input_ptr: x, (N, C, S) in either order.
        partial_ptr: out, (2, chunks·N + 1, C), means before variances, in the dtype of the arithmetic.
        chunks: how many share an instance.
        samples, channels, space, CHANNELS_LAST, ALIGNMENT, INSTANCES, SPACE, TILES: see `locate`.
    """
    dtype = partial_ptr.dtype.element_ty
    _, instance, exists, base, offsets, step, chunk, positions = locate(
        tl.program_id(0), samples, channels, space, CHANNELS_LAST, ALIGNMENT, INSTANCES, SPACE, TILES
    )
    column = tl.arange(0, SPACE)[None, :]
    mask = exists[:, None] & (column < positions)
    x = tl.load(input_ptr + base + offsets, mask=mask, other=0.0).to(dtype)
    pivot = tl.sum(x, 1) / tl.minimum(positions, SPACE)
    shifted = tl.where(mask, x - pivot[:, None], 0.0)
    total, squares = shifted, shifted * shifted
    for tile in range(1, TILES):
        mask = exists[:, None] & (column < positions - tile * SPACE)
        x = tl.load(input_ptr + (base + tile * step) + offsets, mask=mask, other=0.0).to(dtype)
        shifted = tl.where(mask, x - pivot[:, None], 0.0)
        total += shifted
        squares += shifted * shifted
    shift = tl.sum(total, 1) / positions
    var = tl.sum(squares, 1) / positions - shift * shift
    per_chunk = samples.to(tl.int64) * channels
    place = partial_ptr + chunk * per_chunk + instance
    tl.store(place, pivot + shift, mask=exists)
    tl.store(place + per_chunk * chunks + channels, tl.where(var < 0.0, 0.0, var), mask=exists)  # NaN stays NaN


@triton.jit(do_not_specialize=["samples"])
def merge_statistics_kernel(
    partial_ptr, given_mean_ptr, given_var_ptr, statistics_ptr, samples, channels, space, chunks,
    CHUNK: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Merge chunks, weighted by their sizes: group 0 all of a channel, group n + 1 those of sample n.

    mean = Σ wₖ·mₖ / Σ wₖ and var = Σ wₖ·(vₖ + (mₖ − mean)²) / Σ wₖ, shifted as in `statistics_kernel`. Where the
    channels' statistics are given, group 0 copies them.

    Args:
        partial_ptr: (2, chunks·N + 1, C), means before variances.
        given_mean_ptr: (C,), any floating dtype, or None.
        given_var_ptr: likewise.
        statistics_ptr: out, (2, N + 1, C), means before variances, the instances' before the batch's.
        samples: N.
        channels: C.
        space: S.
        chunks: how many share an instance.
        CHUNK: positions of every chunk but the last.
        ROWS: (chunk, sample) pairs read at once.
        CHANNELS: channels of a program.
    """
    blocks = tl.cdiv(channels, CHANNELS)
    group = tl.program_id(0) // blocks
    channel = tl.program_id(0) % blocks * CHANNELS + tl.arange(0, CHANNELS)
    exists = channel < channels
    all_pairs = (group == 0) & (given_mean_ptr is None)
    first = tl.where(group == 0, 0, group - 1)
    stride = tl.where(all_pairs, 1, samples)
    count = tl.where(all_pairs, samples * chunks, chunks)
    mean, var = _merge_chunks(
        partial_ptr, first, stride, count, samples, channels, space, chunks, channel, CHUNK, ROWS, CHANNELS
    )
    if given_mean_ptr is not None:
        given_mean = tl.load(given_mean_ptr + channel, mask=exists, other=0.0).to(mean.dtype)
        given_var = tl.load(given_var_ptr + channel, mask=exists, other=0.0).to(mean.dtype)
        mean = tl.where(group == 0, given_mean, mean)
        var = tl.where(group == 0, given_var, var)
    row = tl.where(group == 0, samples, group - 1).to(tl.int64)
    place = statistics_ptr + row * channels + channel
    tl.store(place, mean, mask=exists)
    tl.store(place + (samples.to(tl.int64) + 1) * channels, var, mask=exists)


@triton.jit
def _merge_chunks(
    partial_ptr, first, stride, count, samples, channels, space, chunks, channel,
    CHUNK: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Mean and variance (CHANNELS,) of the ``count`` pairs first, first + stride, … of (chunk, sample)."""
    mean, var, weight, mask = _load_chunks(
        partial_ptr, 0, first, stride, count, samples, channels, space, chunks, channel, CHUNK, ROWS
    )
    pivot = tl.sum(weight * mean, 0) / tl.sum(weight, 0)
    shifted = tl.where(mask, mean - pivot[None, :], 0.0)
    weights, total, squares = weight, weight * shifted, weight * (var + shifted * shifted)
    for row in range(ROWS, count, ROWS):
        mean, var, weight, mask = _load_chunks(
            partial_ptr, row, first, stride, count, samples, channels, space, chunks, channel, CHUNK, ROWS
        )
        shifted = tl.where(mask, mean - pivot[None, :], 0.0)
        weights += weight
        total += weight * shifted
        squares += weight * (var + shifted * shifted)
    weight = tl.sum(weights, 0)
    shift = tl.sum(total, 0) / weight
    var = tl.sum(squares, 0) / weight - shift * shift
    return pivot + shift, tl.where(var < 0.0, 0.0, var)


@triton.jit
def _load_chunks(
    partial_ptr, row, first, stride, count, samples, channels, space, chunks, channel,
    CHUNK: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """Means, variances, weights and mask of ROWS pairs from ``row`` on; (ROWS, CHANNELS), the weights (ROWS, 1)."""
    rows = row + tl.arange(0, ROWS)
    pair = first + rows * stride
    mask = (rows < count)[:, None] & (channel < channels)[None, :]
    place = partial_ptr + pair.to(tl.int64)[:, None] * channels + channel[None, :]
    mean = tl.load(place, mask=mask, other=0.0)
    var = tl.load(place + (samples.to(tl.int64) * chunks + 1) * channels, mask=mask, other=0.0)
    last = ((space - 1) % CHUNK + 1) * tl.full([ROWS], 1.0, mean.dtype)
    weight = tl.where(rows < count, tl.where(pair < (chunks - 1) * samples, CHUNK, last), 0.0)
    return mean, var, weight[:, None], mask


@triton.jit(do_not_specialize=["samples"])
def output_kernel(
    input_ptr, gate_ptr, weight_ptr, bias_ptr, residual_ptr, statistics_ptr, output_ptr, samples, channels, space,
    EPS: tl.constexpr, ACTIVATION: tl.constexpr, SLOPE: tl.constexpr,
    CHANNELS_LAST: tl.constexpr, ALIGNMENT: tl.constexpr,
    INSTANCES: tl.constexpr, SPACE: tl.constexpr, TILES: tl.constexpr,
):  # fmt: skip
    """The output: y = activation(scale·(x − m_I) + shift (+ residual)).

    Args:
        input_ptr: x, (N, C, S) in either order.
        gate_ptr, weight_ptr, bias_ptr, statistics_ptr, EPS: see `load_coefficients`.
        residual_ptr: None, or laid out as the input.
        output_ptr: out, y, laid out as the input.
        samples, channels, space, CHANNELS_LAST, ALIGNMENT, INSTANCES, SPACE, TILES: see `locate`.
        ACTIVATION: its name.
        SLOPE: of leaky_relu below 0.
    """
    # Backwards: what the statistics' kernel read last is still in the cache.
    program = tl.num_programs(0) - 1 - tl.program_id(0)
    channel, instance, exists, base, offsets, step, _, positions = locate(
        program, samples, channels, space, CHANNELS_LAST, ALIGNMENT, INSTANCES, SPACE, TILES
    )
    _, _, _, _, mean, _, scale, shift = load_coefficients(
        gate_ptr, weight_ptr, bias_ptr, statistics_ptr, samples, channels, channel, instance, exists, EPS, SPACE == 1
    )
    column = tl.arange(0, SPACE)[None, :]
    for tile in range(TILES):
        place = (base + tile * step) + offsets
        mask = exists[:, None] & (column < positions - tile * SPACE)
        x = tl.load(input_ptr + place, mask=mask, other=0.0).to(mean.dtype)
        z = preactivation(x - mean[:, None], scale, shift, residual_ptr, place, mask)
        y = activate(z, ACTIVATION, SLOPE)
        tl.store(output_ptr + place, y.to(output_ptr.dtype.element_ty), mask=mask)


@triton.jit(do_not_specialize=["samples"])
def running_statistics_kernel(
    mean_ptr, var_ptr, statistics_ptr, mean_stride, var_stride, samples, channels,
    momentum, momentum_rest, unbiased, unbiased_rest, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Move running statistics towards the batch's: running += momentum·(batch − running).

    Args:
        mean_ptr: (C,), any floating dtype, or None; in place.
        var_ptr: likewise.
        statistics_ptr: (2, N + 1, C), means before variances; the last row is the batch's.
        mean_stride: of the running mean.
        var_stride: of the running variance.
        samples: N.
        channels: C.
        momentum, momentum_rest: two float32 numbers whose sum is the momentum.
        unbiased, unbiased_rest: likewise M / (M − 1), which makes the batch's variance unbiased.
        CHANNELS: channels of a program.
    """
    dtype: tl.constexpr = statistics_ptr.dtype.element_ty
    channel = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)
    exists = channel < channels
    batch_ptr = statistics_ptr + samples.to(tl.int64) * channels + channel
    share = tl.full([1], momentum, dtype) + momentum_rest
    if mean_ptr is not None:
        place = mean_ptr + channel.to(tl.int64) * mean_stride
        running = tl.load(place, mask=exists, other=0.0).to(dtype)
        running += share * (tl.load(batch_ptr, mask=exists, other=0.0) - running)
        tl.store(place, running.to(mean_ptr.dtype.element_ty), mask=exists)
    if var_ptr is not None:
        var = tl.load(batch_ptr + (samples.to(tl.int64) + 1) * channels, mask=exists, other=0.0)
        var *= tl.full([1], unbiased, dtype) + unbiased_rest
        place = var_ptr + channel.to(tl.int64) * var_stride
        running = tl.load(place, mask=exists, other=0.0).to(dtype)
        running += share * (var - running)
        tl.store(place, running.to(var_ptr.dtype.element_ty), mask=exists)
