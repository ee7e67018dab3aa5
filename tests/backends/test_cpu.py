"""The C++ kernels against float64, operator by operator: values, gradients, bits, special values, and huge tensors.

Runs with any instruction set: ATEN_CPU_CAPABILITY=default or =avx2 in the environment chooses one.
"""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import batch_of_styles, naive_batch_instance_norm
from torch import Tensor

from binorm.backends import cpu, reference

cpu.load()  # without its kernels this file fails, and says why: a build that broke must not look like a pass

forward = torch.ops.binorm.batch_instance_norm.default
backward = torch.ops.binorm.batch_instance_norm_backward.default

EPS, SLOPE = 1e-5, 0.1
ACTIVATIONS = {
    "identity": lambda z: z,
    "relu": F.relu,
    "relu6": F.relu6,
    "leaky_relu": lambda z: F.leaky_relu(z, SLOPE),
    "silu": F.silu,
    "gelu": F.gelu,
}
DTYPES = [torch.float32, torch.float64, torch.bfloat16]
CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}
Arguments = list[Tensor | None]  # input, gate, weight, bias, residual, mean and var


@pytest.fixture(autouse=True)
def as_many_threads_as_before():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def laid_out(x: Tensor, channels_last: bool) -> Tensor:
    return x.contiguous(memory_format=CHANNELS_LAST[x.dim()] if channels_last else torch.contiguous_format)


def arguments_for(
    x: Tensor,
    gate: float | None = None,
    *,
    channels_last: bool = False,
    affine: bool = True,
    residual: bool = False,
    training: bool = True,
) -> Arguments:
    """Gates that span [0, 1], or one for all channels; parameters in float32 for bfloat16 input."""
    channels, dtype = x.shape[1], torch.promote_types(x.dtype, torch.float32)
    vectors = [
        torch.linspace(0, 1, channels) if gate is None else torch.full((channels,), gate),
        torch.rand(channels) * 2 - 0.5 if affine else None,
        torch.randn(channels) if affine else None,
    ]
    given = [None, None] if training else [torch.randn(channels), torch.rand(channels) + 0.5]
    gate, weight, bias, mean, var = (None if each is None else each.to(dtype) for each in (*vectors, *given))
    other = torch.randn(x.shape, dtype=torch.float64).to(x.dtype) if residual else None
    return [
        laid_out(x, channels_last), gate, weight, bias, None if other is None else laid_out(other, channels_last),
        mean, var,
    ]  # fmt: skip


def kernels(arguments: Arguments, grad_output: Tensor, activation: str = "identity") -> list[Tensor | None]:
    """Output, gradients of input, gate, weight, bias and residual (None where there is none), and the statistics."""
    settings = (EPS, activation, SLOPE)
    output, statistics = forward(*arguments, *settings)
    grad_output = torch.empty_like(arguments[0]).copy_(grad_output)
    # Without an activation autograd does not pass the residual on: its gradient is the output's.
    residual = None if activation == "identity" else arguments[4]
    gradients = list(backward(grad_output, *arguments[:4], residual, statistics, arguments[5] is None, *settings))
    gradients[4] = grad_output if residual is None else gradients[4]
    present = zip(gradients, arguments[:5], strict=True)
    return [output, *(None if argument is None else gradient for gradient, argument in present), statistics]


def differentiated(
    norm: Callable[..., Tensor], arguments: Arguments, grad_output: Tensor, activation: str = "identity"
) -> list[Tensor | None]:
    """Output and gradients of ``norm``, an activation of it and autograd."""
    inputs = [None if each is None else each.detach().clone().requires_grad_() for each in arguments[:5]]
    x, gate, weight, bias, residual = inputs
    z = norm(x, gate, weight, bias, *arguments[5:], arguments[5] is None)
    output = ACTIVATIONS[activation](z if residual is None else z + residual)
    wanted = [each for each in inputs if each is not None]
    found = iter(torch.autograd.grad(output, wanted, grad_output.to(output.dtype)))
    return [output.detach(), *(None if each is None else next(found) for each in inputs)]


def in_float64(arguments: Arguments) -> Arguments:
    return [None if each is None else each.double() for each in arguments]


def exact(arguments: Arguments, grad_output: Tensor, activation: str = "identity") -> list[Tensor | None]:
    def norm(*args: object) -> Tensor:
        return naive_batch_instance_norm(*args, eps=EPS)

    return differentiated(norm, in_float64(arguments), grad_output, activation)


def in_plain_pytorch(arguments: Arguments, grad_output: Tensor, activation: str = "identity") -> list[Tensor | None]:
    def norm(x: Tensor, gate: Tensor, weight, bias, mean, var, training: bool) -> Tensor:
        return reference.batch_instance_norm(x, gate, weight, bias, mean, var, training, 0.0, EPS)

    return differentiated(norm, arguments, grad_output, activation)


def away_from_the_kink(arguments: Arguments, grad_output: Tensor, activation: str) -> Tensor:
    """The gradient with zeros where rounding may decide on which side of an activation's kink a value lies."""
    if activation not in ("relu", "relu6", "leaky_relu"):
        return grad_output
    z = exact(arguments, grad_output)[0]
    return torch.where(z.abs() > 1e-2, grad_output, 0)


def named(tensors: list[Tensor | None]) -> dict[str, Tensor]:
    """Those that are there."""
    names = ("output", "input", "gate", "weight", "bias", "residual")
    return {name: tensor for name, tensor in zip(names, tensors, strict=False) if tensor is not None}


def assert_as_exact_as_plain_pytorch(arguments: Arguments, activation: str = "identity") -> None:
    """Errors are a small multiple of the reference backend's at the same dtype, or few roundings."""
    x = arguments[0]
    grad_output = torch.randn(x.shape, dtype=torch.float64).to(x.dtype)
    grad_output = away_from_the_kink(arguments, grad_output, activation)
    expected = named(exact(arguments, grad_output, activation))
    ours = named(kernels(arguments, grad_output, activation))
    theirs = named(in_plain_pytorch(arguments, grad_output, activation))
    rounding = torch.finfo(torch.promote_types(x.dtype, torch.float32)).eps
    for name, value in expected.items():
        if value.dim() > 1:
            assert (ours[name].dtype, ours[name].stride()) == (x.dtype, x.stride())
        # Vectors' gradients are sums over values of either sign, the gate's the difference of two of them.
        size = value.norm() + (math.sqrt(value.numel()) if value.dim() > 1 else grad_output.double().norm())
        error, other = ((tensors[name].double() - value).norm() for tensors in (ours, theirs))
        allowed = 3 * other + 8 * rounding * size
        if activation != "identity" and arguments[4] is not None:  # sums are those of the residual's gradient as stored
            allowed += torch.finfo(x.dtype).eps * size
        assert error <= allowed, name


AROUND_REGISTERS = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33]


@st.composite
def shapes(draw: st.DrawFn) -> tuple[int, ...]:
    """Up to 40,000 values."""
    shape = [draw(st.integers(1, 5)), draw(st.integers(1, 70))]
    for _ in range(draw(st.integers(0, 3))):
        room = 40_000 // math.prod(shape)
        shape.append(draw(st.sampled_from([size for size in AROUND_REGISTERS if size <= max(room, 1)])))
    return tuple(shape)


@settings(derandomize=True, deadline=None, max_examples=120)
@given(
    shape=shapes(),
    dtype=st.sampled_from(DTYPES),
    gate=st.sampled_from([None, 0.0, 0.3, 1.0]),
    activation=st.sampled_from(list(ACTIVATIONS)),
    channels_last=st.booleans(),
    affine=st.booleans(),
    residual=st.booleans(),
    training=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_any_shape_layout_and_dtype_gives_the_formula(
    shape, dtype, gate, activation, channels_last, affine, residual, training, seed
) -> None:
    torch.manual_seed(seed)
    arguments = arguments_for(
        batch_of_styles(shape, dtype), gate, channels_last=channels_last and len(shape) > 3, affine=affine,
        residual=residual, training=training and math.prod(shape) > shape[1],
    )  # fmt: skip
    assert_as_exact_as_plain_pytorch(arguments, activation)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    ("shape", "channels_last"),
    [
        ((2, 2, 2047), False),  # sums in single precision are taken over 2,048 contiguous values
        ((1, 3, 2048), False),
        ((2, 2, 2049), False),
        ((1, 2, 2, 2050), False),
        ((2, 1, 2, 2048), False),
        ((1, 3, 3, 5, 411), False),
        ((2, 5, 127, 1), True),  # or over 128 rows of channels
        ((2, 5, 16, 8), True),
        ((1, 70, 129, 1), True),
        ((2, 33, 16, 16), True),
        ((1, 130, 1, 257), True),
        ((2, 19, 3, 5, 26), True),
        ((1, 2047, 2, 1), True),  # which are cut into panels of 2,048 channels
        ((2, 2048, 1, 2), True),
        ((1, 2049, 3, 1), True),
        ((1, 4100, 1, 2), True),
        ((3, 2050, 1, 1), False),
        ((2, 4097), False),
    ],
    ids=str,
)
def test_limits_of_chunks_and_panels_give_the_formula(shape, channels_last, dtype) -> None:
    torch.manual_seed(sum(shape))
    x = batch_of_styles(shape, dtype)
    assert_as_exact_as_plain_pytorch(arguments_for(x, channels_last=channels_last, residual=True), "gelu")
    assert_as_exact_as_plain_pytorch(arguments_for(x, channels_last=channels_last))


def normal(x: Tensor) -> Tensor:
    return x


def outlier_first(x: Tensor) -> Tensor:
    x[:, :, 0, 0] = 1e4
    return x


def half_black(x: Tensor) -> Tensor:
    x[:, :, : x.shape[2] // 2] = 0
    return x


def constant_instances(x: Tensor) -> Tensor:
    x[::2] = x[::2].mean((2, 3), keepdim=True).expand_as(x[::2])
    return x


PICTURES = [normal, outlier_first, half_black, constant_instances]


def relative_errors(found: list[Tensor | None], expected: list[Tensor | None]) -> dict[str, float]:
    """By tensor, over all of its elements together."""
    ours, values = named(found), named(expected)
    return {
        name: ((ours[name].double() - values[name]).norm() / values[name].norm()).item()
        for name in ours
        if name in values
    }


def errors_of_pytorchs_norm(gate: float, arguments: Arguments, grad_output: Tensor) -> dict[str, float]:
    """Those of batch norm for the gate 1, of instance norm for the gate 0."""
    x, weight, bias = inputs = [arguments[i].clone().requires_grad_() for i in (0, 2, 3)]
    if gate == 1:
        output = F.batch_norm(x, None, None, weight, bias, training=True, eps=EPS)
    else:
        output = F.instance_norm(x, weight=weight, bias=bias, eps=EPS)
    grad_input, *of_vectors = torch.autograd.grad(output, inputs, grad_output)
    at_the_end = [arguments[0], torch.full_like(arguments[1], gate), *arguments[2:]]
    return relative_errors([output.detach(), grad_input, None, *of_vectors], exact(at_the_end, grad_output))


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.__name__)
@pytest.mark.parametrize(
    ("dtype", "mean_over_std"),
    [
        *((torch.float32, mean) for mean in (0, 1, 100, 1e4, 1e5)),
        *((torch.float64, mean) for mean in (0, 1e5)),
        *((torch.bfloat16, mean) for mean in (0, 10)),
    ],
    ids=str,
)
def test_errors_are_at_most_twice_those_of_pytorchs_own_norms(dtype, mean_over_std, picture, channels_last) -> None:
    torch.manual_seed(0)
    x = picture(torch.randn(6, 19, 23, 31, dtype=torch.float64) + mean_over_std).to(dtype)
    grad_output = torch.randn(x.shape, dtype=torch.float64).to(dtype)
    few_roundings = 4 * torch.finfo(torch.promote_types(dtype, torch.float32)).eps
    arguments = arguments_for(x, channels_last=channels_last)
    of_ends = {end: errors_of_pytorchs_norm(end, arguments, grad_output) for end in (0.0, 1.0)}
    for gate, ends in ((0.0, [0.0]), (0.3, [0.0, 1.0]), (1.0, [1.0])):
        arguments[1].fill_(gate)
        ours = relative_errors(kernels(arguments, grad_output), exact(arguments, grad_output))
        for name in ("output", "input", "weight", "bias"):
            theirs = max(of_ends[end][name] for end in ends)
            assert ours[name] <= 2 * theirs + few_roundings, (name, gate)


@pytest.mark.parametrize("gate", [0.3, 1.0])
def test_errors_of_880801_single_values_are_at_most_twice_batch_norms(gate) -> None:
    torch.manual_seed(1)
    x, grad_output = torch.randn(880_801, 1, 1, 1) + 1, torch.randn(880_801, 1, 1, 1)
    arguments = arguments_for(x, gate)
    ours = relative_errors(kernels(arguments, grad_output), exact(arguments, grad_output))
    theirs = errors_of_pytorchs_norm(1.0, arguments, grad_output)
    for name in ("output", "input", "weight", "bias"):
        assert ours[name] <= 2 * theirs[name] + 2 * torch.finfo(torch.float32).eps, name


# Enough for several threads, and layouts in which samples, channels or panels of channels are shared among them.
SHARED = [
    ((4, 70, 17, 19), False),
    ((1, 5, 60, 70), False),
    ((3, 64, 17, 19), True),
    ((1, 64, 20, 20), True),
    ((1, 200, 15, 15), True),
    ((2, 2100, 5, 3), True),
    ((40_000, 3), False),
]


def same_bits(some: list[Tensor | None], others: list[Tensor | None]) -> bool:
    pairs = zip(some, others, strict=True)
    return all(a is b is None or torch.equal(a.contiguous(), b.contiguous()) for a, b in pairs)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("picture", ["normal", "outlier in the first channel"])
@pytest.mark.parametrize(("shape", "channels_last"), SHARED, ids=str)
def test_same_bits_with_any_number_of_threads_and_every_time(shape, channels_last, picture, dtype) -> None:
    torch.manual_seed(2)
    x = batch_of_styles(shape)
    if picture != "normal":
        x[(0,) * x.dim()] = 1e6
    arguments = arguments_for(x.to(dtype), channels_last=channels_last, residual=True)
    grad_output = torch.randn(shape)
    for activation in ("identity", "gelu"):
        torch.set_num_threads(1)
        expected = kernels(arguments, grad_output, activation)
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            assert same_bits(kernels(arguments, grad_output, activation), expected), threads


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    ("shape", "channels_last"), [((5, 19, 9, 7), False), ((5, 19, 9, 7), True), ((5, 67), False)], ids=str
)
def test_samples_are_evaluated_apart(shape, channels_last, dtype) -> None:
    """The same bits alone, in a batch and in another order; whatever the other samples hold."""
    torch.manual_seed(3)
    x, residual = (batch_of_styles(shape, dtype) for _ in range(2))
    _, *vectors, _, mean, var = arguments_for(x, training=False)
    settings = (EPS, "silu", SLOPE)

    def evaluate(x: Tensor, residual: Tensor) -> Tensor:
        return forward(
            laid_out(x, channels_last), *vectors, laid_out(residual, channels_last), mean, var, *settings
        )[0]  # fmt: skip

    together = evaluate(x, residual)
    order = torch.randperm(len(x))
    assert torch.equal(evaluate(x[order], residual[order]), together[order])
    for n in range(len(x)):
        assert torch.equal(evaluate(x[n : n + 1], residual[n : n + 1]), together[n : n + 1])
        others = torch.full_like(x, 1e30)
        others[n] = x[n]
        assert torch.equal(evaluate(others, residual)[n], together[n])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("channels_last", [False, True])
def test_nan_and_infinity_stay_where_the_formula_has_them(channels_last, dtype, training, value) -> None:
    torch.manual_seed(4)
    x = batch_of_styles((3, 37, 13, 11), dtype)
    x[1, 5, 6, 7] = value
    arguments = arguments_for(x, channels_last=channels_last, training=training)
    grad_output = torch.randn(x.shape)
    found = kernels(arguments, grad_output)
    expected = in_plain_pytorch(arguments, grad_output.to(dtype))
    for ours, theirs in zip(found, expected, strict=False):
        assert theirs is None or torch.equal(ours.isfinite(), theirs.isfinite())
    output = found[0]
    assert not output[1, 5].isfinite().any()
    reached = torch.zeros(3, 37, dtype=torch.bool)
    reached[slice(None) if training else 1, 5] = True
    assert output[~reached].isfinite().all()


def test_numbers_near_the_end_of_float32s_range_stay_finite_where_their_variance_is() -> None:
    x = torch.randn(2, 19, 9, 9) * 1e15
    for channels_last in (False, True):
        assert_as_exact_as_plain_pytorch(arguments_for(x, channels_last=channels_last))


@pytest.mark.parametrize("channels_last", [False, True])
def test_outputs_on_huge_pages_are_right(channels_last) -> None:
    """From 32 MiB on, fresh memory is asked for as huge pages."""
    torch.manual_seed(5)
    arguments = arguments_for(batch_of_styles((2, 3, 839, 841)), channels_last=channels_last)
    assert arguments[0].numel() * 8 >= 32 << 20
    grad_output = torch.randn_like(arguments[0])
    errors = relative_errors(kernels(arguments, grad_output), exact(arguments, grad_output))
    assert max(errors.values()) < 1e-12


def available_bytes() -> int:
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        return 0
    lines = meminfo.read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))


@pytest.mark.skipif(available_bytes() < 14 << 30, reason="needs 14 GiB of free memory")
def test_more_than_2_31_values_are_normalized_to_the_far_end() -> None:
    """In evaluation; zeros but for some hundred values, from which mean and variance follow."""
    channels, width = 64, 2**25 + 1
    torch.set_num_threads(2)
    memory = torch.zeros(width * channels, dtype=torch.bfloat16)
    x = memory.view(1, 1, width, channels).permute(0, 3, 1, 2)
    torch.manual_seed(6)
    values = (torch.randn(channels, 200) * 512).bfloat16()
    x[0, :, 0, -100:], x[0, :, 0, :100] = values[:, :100], values[:, 100:]
    gate, mean, var = torch.full((channels,), 0.25), torch.full((channels,), -1.0), torch.full((channels,), 4.0)
    output, statistics = forward(x, gate, None, None, None, mean, var, EPS, "identity", SLOPE)
    instance_mean = values.double().sum(1, keepdim=True) / width
    instance_var = values.double().square().sum(1, keepdim=True) / width - instance_mean**2
    torch.testing.assert_close(statistics[0, 0].double(), instance_mean[:, 0], rtol=1e-5, atol=1e-9)
    torch.testing.assert_close(statistics[1, 0].double(), instance_var[:, 0], rtol=1e-5, atol=1e-9)

    def normalized(x: Tensor) -> Tensor:
        batch_part = (x.double() + 1) / math.sqrt(4 + EPS)
        return 0.25 * batch_part + 0.75 * (x - instance_mean) / (instance_var + EPS).sqrt()

    for part in (slice(-200, None), slice(0, 200), slice(width // 2, width // 2 + 200)):
        found, expected = output[0, :, 0, part].double(), normalized(x[0, :, 0, part].double())
        torch.testing.assert_close(found, expected, rtol=2**-8, atol=1e-6)
