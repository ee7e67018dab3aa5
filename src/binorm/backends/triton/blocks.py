"""What all kernels share: where a block lies, its coefficients, the activations."""

# Constants of a compilation are in capitals, as everywhere in Triton; arguments of one meaning share an entry.
# ruff: noqa: N803

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


@triton.jit
def load_vector(pointer, channel, exists, default, dtype: tl.constexpr):
    """The values of ``channel`` in a (C,) vector, or ``default`` where there is no vector."""
    if pointer is None:
        return tl.full(channel.shape, default, dtype)
    else:  # noqa: RET505 - Triton compiles one branch only
        return tl.load(pointer + channel, mask=exists, other=default).to(dtype)


@triton.jit
def inverse_root(var, EPS: tl.constexpr):
    """(var + eps)^-1/2 of instances; 0 where both are 0: the instance is constant."""
    if EPS == 0.0:
        return tl.where(var == 0.0, 0.0, tl.rsqrt(tl.where(var == 0.0, 1.0, var)))
    else:  # noqa: RET505 - Triton compiles one branch only
        return tl.rsqrt(var + EPS)


@triton.jit
def load_coefficients(
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
    gate = load_vector(gate_ptr, channel, exists, 0.0, dtype)
    weight = load_vector(weight_ptr, channel, exists, 1.0, dtype)
    bias = load_vector(bias_ptr, channel, exists, 0.0, dtype)
    batch_ptr = statistics_ptr + samples.to(tl.int64) * channels
    var_distance = (samples.to(tl.int64) + 1) * channels
    mean = tl.load(statistics_ptr + instance, mask=exists, other=0.0)
    distance = mean - tl.load(batch_ptr + channel, mask=exists, other=0.0)
    batch_rstd = tl.rsqrt(tl.load(batch_ptr + var_distance + channel, mask=exists, other=1.0) + EPS)
    if SINGLE:
        instance_rstd = tl.zeros_like(mean)
    else:
        instance_rstd = inverse_root(tl.load(statistics_ptr + var_distance + instance, mask=exists, other=1.0), EPS)
    scale = weight * tl.fma(gate, batch_rstd, (1.0 - gate) * instance_rstd)
    shift = tl.fma(weight * gate * batch_rstd, distance, bias)
    return weight, gate, batch_rstd, instance_rstd, mean, distance, scale, shift


@triton.jit
def activate(z, ACTIVATION: tl.constexpr, SLOPE: tl.constexpr):
    """activation(z), with NaN for NaN."""
    if ACTIVATION == "relu":
        z = tl.where(z < 0.0, 0.0, z)
    elif ACTIVATION == "relu6":
        z = tl.where(z < 0.0, 0.0, tl.where(z > 6.0, 6.0, z))
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
def through_activation(grad, z, ACTIVATION: tl.constexpr, SLOPE: tl.constexpr):
    """grad·activation'(z)."""
    if ACTIVATION == "relu":
        grad = tl.where(z > 0.0, grad, 0.0)
    elif ACTIVATION == "relu6":
        grad = tl.where(z > 0.0, tl.where(z < 6.0, grad, 0.0), 0.0)
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
def preactivation(centred, scale, shift, residual_ptr, place, mask):
    """What is activated: z = scale·(x − m_I) + shift (+ residual), by the same arithmetic in both passes."""
    z = tl.fma(scale[:, None], centred, shift[:, None])
    if residual_ptr is not None:
        z += tl.load(residual_ptr + place, mask=mask, other=0.0).to(z.dtype)
    return z
