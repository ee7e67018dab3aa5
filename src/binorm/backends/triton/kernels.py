"""The kernels: what one program computes on its block of values."""

# Constants of a compilation are in capitals, as everywhere in Triton; arguments of one meaning share an entry.
# ruff: noqa: D417, N803

import triton
import triton.language as tl


@triton.jit
def locate(
    program, samples, channels, space, CHANNELS_LAST: tl.constexpr, ALIGNMENT: tl.constexpr,
    INSTANCES: tl.constexpr, SPACE: tl.constexpr, TILES: tl.constexpr,
):  # fmt: skip
    """Where ``program`` works: on INSTANCES instances, and on TILES blocks of SPACE positions of each.

    Args:
        program: its number; neighbours in memory have neighbouring numbers.
        samples: N.
        channels: C.
        space: S.
        CHANNELS_LAST: memory order (N, S, C), else (N, C, S).
        ALIGNMENT: a power of two that divides the dense dimension, which tells Triton how wide its loads may be.
        INSTANCES: rows of a block; in channels-last memory, channels of one sample.
        SPACE: columns of a block. 1 means that an instance is a single value.
        TILES: blocks of a program, one after another in space.

    Returns:
        The instances' channels (INSTANCES,), their numbers n·C + c (INSTANCES,), which of these exist (INSTANCES,);
        the first value's place in memory, the distance of the first block's values from it (INSTANCES, SPACE), the step
        to the next block; the chunk's number and how many positions it has.
    """
    row = tl.arange(0, INSTANCES)
    column = tl.arange(0, SPACE)
    if CHANNELS_LAST:
        channels = channels // ALIGNMENT * ALIGNMENT
        per_sample = tl.cdiv(channels, INSTANCES)
        blocks = samples * per_sample
        sample = (program % blocks // per_sample).to(tl.int64)
        first = program % per_sample * INSTANCES
        channel = first + row
        instance = sample * channels + channel
        exists = channel < channels
    else:
        space = space // ALIGNMENT * ALIGNMENT
        instances = samples.to(tl.int64) * channels
        blocks = tl.cdiv(instances, INSTANCES).to(tl.int32)
        first = (program % blocks).to(tl.int64) * INSTANCES
        instance = first + row
        channel = ((first % channels).to(tl.int32) + row) % channels
        exists = instance < instances
    chunk = (program // blocks).to(tl.int64)
    start = chunk * (SPACE * TILES)
    positions = tl.minimum(space - start, SPACE * TILES).to(tl.int32)
    if CHANNELS_LAST:
        base = (sample * space + start) * channels + first
        offsets = row[:, None] + column[None, :] * channels
        step = channels * SPACE
    else:
        base = first * space + start
        offsets = row[:, None] * space + column[None, :]
        step = SPACE
    return channel, instance, exists, base, offsets, step, chunk, positions


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


@triton.jit
def _load_vector(pointer, channel, exists, default, dtype: tl.constexpr):
    """The values of ``channel`` in a (C,) vector, or ``default`` where there is no vector."""
    if pointer is None:
        return tl.full(channel.shape, default, dtype)
    else:  # noqa: RET505 - Triton compiles one branch only
        return tl.load(pointer + channel, mask=exists, other=default).to(dtype)


@triton.jit
def _load_coefficients(
    gate_ptr, weight_ptr, bias_ptr, statistics_ptr, samples, channels, channel, instance, exists,
    EPS: tl.constexpr, SINGLE: tl.constexpr,
):  # fmt: skip
    """What instances need: γ, ρ, r_B, r_I, m_I, m_I − m_B and the scale and shift of z = scale·(x − m_I) + shift.

    Args:
        gate_ptr: ρ, (C,), any floating dtype, like the next two.
        weight_ptr: γ, (C,) or None.
        bias_ptr: β, (C,) or None.
        statistics_ptr: (2, N + 1, C), means before variances, the instances' before the batch's.
        samples: N.
        channels: C.
        channel: of each instance.
        instance: their numbers n·C + c.
        exists: which of these exist.
        EPS: added to variances.
        SINGLE: an instance is a single value, whose x̂_I is 0.
    """
    dtype: tl.constexpr = statistics_ptr.dtype.element_ty
    gate = _load_vector(gate_ptr, channel, exists, 0.0, dtype)
    weight = _load_vector(weight_ptr, channel, exists, 1.0, dtype)
    bias = _load_vector(bias_ptr, channel, exists, 0.0, dtype)
    batch_ptr = statistics_ptr + samples.to(tl.int64) * channels
    var_distance = (samples.to(tl.int64) + 1) * channels
    mean = tl.load(statistics_ptr + instance, mask=exists, other=0.0)
    distance = mean - tl.load(batch_ptr + channel, mask=exists, other=0.0)
    batch_rstd = tl.rsqrt(tl.load(batch_ptr + var_distance + channel, mask=exists, other=1.0) + EPS)
    if SINGLE:
        instance_rstd = tl.zeros_like(mean)
    else:
        instance_rstd = tl.rsqrt(tl.load(statistics_ptr + var_distance + instance, mask=exists, other=1.0) + EPS)
    scale = weight * tl.fma(gate, batch_rstd, (1.0 - gate) * instance_rstd)
    shift = tl.fma(weight * gate * batch_rstd, distance, bias)
    return weight, gate, batch_rstd, instance_rstd, mean, distance, scale, shift


@triton.jit
def _activate(z, ACTIVATION: tl.constexpr, SLOPE: tl.constexpr):
    """activation(z), with NaN for NaN."""
    if ACTIVATION == "relu":
        z = tl.where(z < 0.0, 0.0, z)
    elif ACTIVATION == "leaky_relu":
        z = tl.where(z < 0.0, z * SLOPE, z)
    elif ACTIVATION == "silu":
        z = z / (1.0 + tl.exp(-z))
    elif ACTIVATION == "gelu":
        z = 0.5 * z * (1.0 + tl.erf(z * 0.7071067811865476))
    else:
        tl.static_assert(ACTIVATION == "identity", "unknown activation")
    return z


@triton.jit
def _through_activation(grad, z, ACTIVATION: tl.constexpr, SLOPE: tl.constexpr):
    """grad·activation'(z)."""
    if ACTIVATION == "relu":
        grad = tl.where(z > 0.0, grad, 0.0)
    elif ACTIVATION == "leaky_relu":
        grad = tl.where(z > 0.0, grad, grad * SLOPE)
    elif ACTIVATION == "silu":
        sigmoid = 1.0 / (1.0 + tl.exp(-z))
        grad = grad * sigmoid * (1.0 + z * (1.0 - sigmoid))
    elif ACTIVATION == "gelu":
        density = 0.3989422804014327 * tl.exp(-0.5 * z * z)
        grad = grad * (0.5 * (1.0 + tl.erf(z * 0.7071067811865476)) + z * density)
    else:
        tl.static_assert(ACTIVATION == "identity", "unknown activation")
    return grad


@triton.jit
def _preactivation(centred, scale, shift, residual_ptr, place, mask):
    """What is activated: z = scale·(x − m_I) + shift (+ residual), by the same arithmetic in both passes."""
    z = tl.fma(scale[:, None], centred, shift[:, None])
    if residual_ptr is not None:
        z += tl.load(residual_ptr + place, mask=mask, other=0.0).to(z.dtype)
    return z


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
        gate_ptr, weight_ptr, bias_ptr, statistics_ptr, EPS: see `_load_coefficients`.
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
    _, _, _, _, mean, _, scale, shift = _load_coefficients(
        gate_ptr, weight_ptr, bias_ptr, statistics_ptr, samples, channels, channel, instance, exists, EPS, SPACE == 1
    )
    column = tl.arange(0, SPACE)[None, :]
    for tile in range(TILES):
        place = (base + tile * step) + offsets
        mask = exists[:, None] & (column < positions - tile * SPACE)
        x = tl.load(input_ptr + place, mask=mask, other=0.0).to(mean.dtype)
        z = _preactivation(x - mean[:, None], scale, shift, residual_ptr, place, mask)
        y = _activate(z, ACTIVATION, SLOPE)
        tl.store(output_ptr + place, y.to(output_ptr.dtype.element_ty), mask=mask)


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
    _, _, _, _, mean, _, scale, shift = _load_coefficients(
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
            z = _preactivation(centred, scale, shift, residual_ptr, place, mask)
            g = _through_activation(g, z, ACTIVATION, SLOPE)
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
        gate_ptr, weight_ptr, statistics_ptr, EPS: as in `_load_coefficients`.
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
        gate = _load_vector(gate_ptr, channel, exists, 0.0, total.dtype)
        weight = _load_vector(weight_ptr, channel, exists, 1.0, total.dtype)
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
            scaled += tl.rsqrt(var + EPS) * s1
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
    weight, gate, batch_rstd, instance_rstd, mean, distance, scale, shift = _load_coefficients(
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
            z = _preactivation(centred, scale, shift, residual_ptr, place, mask)
            g = _through_activation(g, z, ACTIVATION, SLOPE)
        grad = scale[:, None] * g - slope[:, None] * centred - level[:, None]
        tl.store(grad_input_ptr + place, grad.to(grad_input_ptr.dtype.element_ty), mask=mask)


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
