"""The Triton kernels on the CPU, in Triton's interpreter, or on a GPU; and compiled for GPUs that need not be here.

On a GPU: CUDA_VISIBLE_DEVICES=0 TRITON_INTERPRET=0 python -m pytest tests/backends/test_triton.py
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from naive import batch_of_styles, naive_batch_instance_norm
from torch import Tensor

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETED else "cuda"
TESTED = INTERPRETED or torch.cuda.is_available()
pytestmark = pytest.mark.skipif(
    not TESTED,
    reason="Triton's kernels are tested on a GPU, or in Triton's interpreter with TRITON_INTERPRET=1 at their import",
)
if TESTED:
    pytest.importorskip("triton")
    from binorm.backends.triton import launch as backend

EPS, SLOPE = 1e-5, 0.1
ACTIVATIONS = {
    "identity": lambda z: z,
    "relu": F.relu,
    "relu6": F.relu6,
    "leaky_relu": lambda z: F.leaky_relu(z, SLOPE),
    "silu": F.silu,
    "gelu": F.gelu,
}
LAYOUTS = [
    ((6, 4), False),
    ((5, 4, 7), False),
    ((4, 3, 5, 6), False),
    ((4, 3, 5, 6), True),
    ((3, 4, 2, 5, 3), False),
    ((3, 4, 2, 5, 3), True),
]


@pytest.fixture(autouse=True)
def on_the_device() -> Iterator[None]:
    with torch.device(DEVICE):
        yield


def laid_out(x: Tensor, channels_last: bool) -> Tensor:
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    return x.contiguous(memory_format=formats[x.dim()] if channels_last else torch.contiguous_format)


def random_arguments(
    shape: tuple[int, ...],
    channels_last: bool = False,
    dtype: torch.dtype = torch.float64,
    *,
    parameter_dtype: torch.dtype | None = None,
    affine: bool = True,
    residual: bool = False,
    training: bool = True,
) -> list[Tensor | None]:
    """Input, gate, weight, bias, residual, mean and var."""
    torch.manual_seed(sum(shape))
    x = laid_out(batch_of_styles(shape, dtype), channels_last)
    channels = shape[1]
    parameter_dtype = parameter_dtype or torch.promote_types(dtype, torch.float32)
    vectors = [
        torch.linspace(0, 1, channels),
        torch.rand(channels) * 2 - 0.5 if affine else None,
        torch.randn(channels) if affine else None,
        None if training else torch.randn(channels),
        None if training else torch.rand(channels) + 0.5,
    ]
    gate, weight, bias, mean, var = (None if each is None else each.to(parameter_dtype) for each in vectors)
    other = laid_out(torch.randn(shape, dtype=torch.float64).to(dtype), channels_last) if residual else None
    return [x, gate, weight, bias, other, mean, var]


def ours(arguments: list[Tensor | None], activation: str, grad_output: Tensor) -> list[Tensor | None]:
    """Output and the gradients of input, gate, weight, bias and residual; None where there is no such argument."""
    settings = (EPS, activation, SLOPE)
    output, statistics = backend.forward(*arguments, *settings)
    gradients = backend.backward(grad_output, *arguments[:5], statistics, arguments[5] is None, *settings)
    present = zip(gradients, arguments[:5], strict=True)
    return [output, *(None if argument is None else gradient for gradient, argument in present)]


def exact(arguments: list[Tensor | None], activation: str, grad_output: Tensor) -> list[Tensor | None]:
    """The same in float64, by autograd through the paper's formula."""
    doubles = [None if each is None else each.double() for each in arguments]
    x, gate, weight, bias, residual = inputs = [None if each is None else each.requires_grad_() for each in doubles[:5]]
    z = naive_batch_instance_norm(x, gate, weight, bias, *doubles[5:], doubles[5] is None, EPS)
    output = ACTIVATIONS[activation](z if residual is None else z + residual)
    wanted = [each for each in inputs if each is not None]
    gradients: Iterator[Tensor] = iter(torch.autograd.grad(output, wanted, grad_output.double()))
    return [output.detach(), *(None if each is None else next(gradients) for each in inputs)]


def relative_errors(found: list[Tensor | None], expected: list[Tensor | None]) -> list[float]:
    pairs = [(a, b) for a, b in zip(found, expected, strict=True) if b is not None]
    # The gate's gradient is 0 where instance and batch are the same: its error is taken as it is.
    return [((a.double() - b).norm() / b.norm().clamp(min=1e-2)).item() for a, b in pairs]


def errors_of(arguments: list[Tensor | None], activation: str = "identity") -> list[float]:
    x = arguments[0]
    grad_output = torch.empty_like(x).copy_(torch.randn(x.shape))
    found = ours(arguments, activation, grad_output)
    for tensor in (found[0], found[1], found[5]):
        assert tensor is None or (tensor.dtype, tensor.stride()) == (x.dtype, x.stride())
    return relative_errors(found, exact(arguments, activation, grad_output))


@pytest.mark.parametrize(("shape", "channels_last"), LAYOUTS, ids=str)
@pytest.mark.parametrize(
    ("activation", "residual", "affine", "training"),
    [
        ("identity", False, True, True),
        ("identity", False, False, False),
        ("identity", True, True, True),
        ("relu", True, True, True),
        ("relu", False, True, False),
        ("relu6", True, False, True),
        ("leaky_relu", False, False, True),
        ("leaky_relu", True, True, False),
        ("silu", False, True, True),
        ("silu", True, False, True),
        ("gelu", True, True, True),
        ("gelu", False, True, False),
    ],
)
def test_output_and_gradients_are_the_formulas(shape, channels_last, activation, residual, affine, training) -> None:
    arguments = random_arguments(shape, channels_last, affine=affine, residual=residual, training=training)
    assert max(errors_of(arguments, activation)) < 1e-12


@pytest.mark.parametrize(
    ("shape", "channels_last"),
    [
        ((2, 2, 70, 61), False),  # an instance is split over two programs
        ((2, 3, 60, 70), True),
        ((2, 66, 15, 18), True),  # and channels over two
        ((3, 65, 3, 3), True),
        ((9, 5, 7, 7), False),  # several blocks for a map of odd size
        ((2, 3, 9, 9), False),
        ((2, 3, 10, 10), False),
        ((300, 5, 2, 2), False),  # more instances than a program has, more samples than are merged at once
        ((2, 3, 16, 16), False),
        ((1, 1, 33), False),
        ((1, 2, 4, 4), True),
        ((2, 1, 3, 3), False),
        ((600, 3), False),
        ((5, 4, 1, 1), False),
    ],
    ids=str,
)
@pytest.mark.parametrize("training", [True, False])
def test_every_way_to_cut_a_shape(shape, channels_last, training) -> None:
    assert max(errors_of(random_arguments(shape, channels_last, training=training), "silu")) < 1e-12


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(
    ("dtype", "parameter_dtype", "bound"),
    [
        (torch.float32, torch.float32, 1e-6),
        (torch.float32, torch.bfloat16, 1e-2),
        (torch.float16, torch.float32, 1e-3),
        (torch.float16, torch.float16, 1e-3),
        (torch.bfloat16, torch.float32, 8e-3),
        (torch.bfloat16, torch.bfloat16, 8e-3),
    ],
    ids=str,
)
def test_errors_are_the_dtypes_rounding(dtype, parameter_dtype, bound, channels_last) -> None:
    arguments = random_arguments(
        (6, 5, 4, 4), channels_last, dtype, parameter_dtype=parameter_dtype, residual=True, training=False
    )
    assert max(errors_of(arguments, "gelu")) < bound


@pytest.mark.parametrize("channels_last", [False, True])
def test_float16_sums_beyond_its_range(channels_last) -> None:
    x = laid_out((torch.randn(1, 1, 120, 120) + 20).half().expand(2, 3, 120, 120), channels_last)
    arguments = [x, torch.tensor([0.0, 0.5, 1.0]), None, None, None, None, None]
    output, statistics = backend.forward(*arguments, EPS, "identity", SLOPE)
    assert x[0, 0].float().sum() > 2 * torch.finfo(torch.float16).max
    gradients = backend.backward(torch.ones_like(x), *arguments[:5], statistics, True, EPS, "identity", SLOPE)
    assert all(each.isfinite().all() for each in (output, statistics, *gradients))


@pytest.mark.parametrize("channels_last", [False, True])
def test_statistics_are_those_of_instances_then_batch(channels_last) -> None:
    x, *rest = random_arguments((3, 4, 5, 6), channels_last)
    _, statistics = backend.forward(x, *rest, EPS, "identity", SLOPE)
    assert statistics.shape == (2, 4, 4)
    for row, values in [(slice(3), x), (3, x.transpose(0, 1).flatten(1)[None, ..., None])]:
        var, mean = torch.var_mean(values, (2, 3), correction=0)
        torch.testing.assert_close(statistics[:, row], torch.stack([mean.view(-1, 4), var.view(-1, 4)]).squeeze(1))


def test_given_statistics_are_copied() -> None:
    x, *rest = random_arguments((3, 4, 5, 6), dtype=torch.float32, parameter_dtype=torch.bfloat16, training=False)
    _, statistics = backend.forward(x, *rest, EPS, "identity", SLOPE)
    assert statistics.dtype == torch.float32
    assert torch.equal(statistics[:, -1], torch.stack(rest[-2:]).float())


def far_from_zero(shape: tuple[int, ...]) -> Tensor:
    return torch.randn(shape) + 1e5


def with_outliers(shape: tuple[int, ...]) -> Tensor:
    x = torch.randn(shape)
    x.flatten(2)[:, :, 0] = 1e5
    return x


def with_an_odd_beginning(shape: tuple[int, ...]) -> Tensor:
    x = torch.randn(shape)
    x.flatten(2)[:, :, : x[0, 0].numel() // 8] += 1e3
    return x


@pytest.mark.parametrize("gate", [0.0, 1.0])
@pytest.mark.parametrize("draw", [far_from_zero, with_outliers, with_an_odd_beginning])
@pytest.mark.parametrize(
    ("shape", "channels_last"),
    [((4, 4, 65, 64), False), ((3, 30, 23, 23), True), ((300, 2, 3, 3), False)],
    ids=str,
)
def test_errors_on_hard_inputs_are_at_most_twice_those_of_pytorchs_norms(shape, channels_last, draw, gate) -> None:
    torch.manual_seed(2)
    x = laid_out(draw(shape), channels_last)
    grad_output = torch.empty_like(x).copy_(torch.randn(shape))
    vectors = [torch.rand(shape[1]) + 0.5, torch.randn(shape[1])]
    arguments = [x, torch.full((shape[1],), gate), *vectors, None, None, None]
    output, statistics = backend.forward(*arguments, EPS, "identity", SLOPE)
    gradients = backend.backward(grad_output, *arguments[:5], statistics, True, EPS, "identity", SLOPE)
    expected = exact(arguments, "identity", grad_output)
    inputs = [each.clone().requires_grad_() for each in (x, *vectors)]
    theirs = (
        F.batch_norm(inputs[0], None, None, *inputs[1:], True, eps=EPS)
        if gate
        else F.instance_norm(inputs[0], None, None, *inputs[1:], eps=EPS)
    )
    theirs = [theirs.detach(), *torch.autograd.grad(theirs, inputs, grad_output)]
    expected = [expected[0], expected[1], *expected[3:5]]
    allowed = relative_errors(theirs, expected)
    found = relative_errors([output, gradients[0], *gradients[2:4]], expected)
    for error, allow in zip(found, allowed, strict=True):
        # PyTorch's norms accumulate in float64 on the CPU: some of their errors are next to nothing.
        assert error <= 2 * max(allow, 4 * torch.finfo(torch.float32).eps)


@pytest.mark.parametrize("value", [0.0, 3.7, 12345.678])
def test_constant_instances_give_the_bias(value) -> None:
    x = torch.full((3, 4, 7, 7), value)
    output, statistics = backend.forward(x, torch.zeros(4), None, None, None, None, None, EPS, "identity", SLOPE)
    assert output.abs().max() == 0
    assert statistics[1].abs().max() == 0


@pytest.mark.parametrize(("shape", "channels_last"), [((3, 4, 7, 7), False), ((3, 4, 30, 70), True)], ids=str)
def test_same_input_same_bits(shape, channels_last) -> None:
    arguments = random_arguments(shape, channels_last, torch.float32, residual=True)
    first, second = (ours(arguments, "gelu", arguments[0]) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize(
    ("shape", "channels_last"), [((5, 3, 6, 6), False), ((3, 2, 70, 61), False), ((3, 5, 17, 31), True)], ids=str
)
def test_in_evaluation_samples_do_not_depend_on_each_other(shape, channels_last) -> None:
    x, *rest = random_arguments(shape, channels_last, torch.float32, training=False)
    together, _ = backend.forward(x, *rest, EPS, "identity", SLOPE)
    for sample in range(shape[0]):
        alone, _ = backend.forward(laid_out(x[sample : sample + 1], channels_last), *rest, EPS, "identity", SLOPE)
        assert torch.equal(alone[0], together[sample])


def test_nan_stays_nan_and_stays_in_its_channel() -> None:
    x, *rest = random_arguments((2, 3, 4, 4))
    x[0, 1, 2, 2] = torch.nan
    for activation in ACTIVATIONS:
        output, _ = backend.forward(x, *rest, EPS, activation, SLOPE)
        assert output[:, 1].isnan().sum() == 32
        assert output[:, ::2].isfinite().all()


def test_vectors_may_have_any_strides() -> None:
    arguments = random_arguments((3, 4, 5, 5), training=False)
    strided = [each if each is None else each.repeat_interleave(2)[::2] for each in arguments[1:]]
    strided[3] = None
    for a, b in zip(ours(arguments, "relu", arguments[0]), ours([arguments[0], *strided], "relu", arguments[0]),
                    strict=True):  # fmt: skip
        assert a is b is None or torch.equal(a, b)
    expanded = [arguments[0], torch.tensor(0.3).double().expand(4), *arguments[2:]]
    _, _, grad_gate, *_ = ours(expanded, "relu", arguments[0])
    assert grad_gate.is_contiguous()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_running_statistics_move_towards_the_batchs(dtype) -> None:
    statistics = torch.rand(2, 4, 300, dtype=torch.promote_types(dtype, torch.float32))
    mean, var = torch.randn(300, 2).to(dtype)[:, 0], torch.rand(300).to(dtype)
    expected_mean = mean.double().lerp(statistics[0, -1].double(), 0.1)
    expected_var = var.double().lerp(statistics[1, -1].double() * 50 / 49, 0.1)
    backend.update_running_statistics(mean, None, statistics, 0.1, 50)
    backend.update_running_statistics(None, var, statistics, 0.1, 50)
    bound = {torch.float64: 1e-13}.get(dtype, 2 * torch.finfo(dtype).eps)
    torch.testing.assert_close(mean.double(), expected_mean, rtol=bound, atol=bound)
    torch.testing.assert_close(var.double(), expected_var, rtol=bound, atol=bound)


def test_every_kernel_compiles_for_gpus(tmp_path) -> None:
    """The interpreter forgives what the compiler does not: types, shapes and functions that a GPU does not have."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path)
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    child = subprocess.run([sys.executable, __file__], env=environment, capture_output=True, text=True, check=False)
    if child.returncode == CANNOT_COMPILE:
        pytest.skip(child.stderr)
    assert child.returncode == 0, child.stderr
    assert int(child.stdout) > 30


CANNOT_COMPILE = 77


def launch_for(capability: int) -> None:
    """Launch the kernels as users do, with every switch on and off, on tensors without values."""
    if capability == 80:
        launch((32, 64, 56, 56), torch.bfloat16, "relu", channels_last=True, residual=True)
    else:
        launch((32, 2048, 7, 7), torch.float16, "silu", residual=True, training=False)
        launch((8, 24, 70, 70), torch.float64, "gelu", residual=True, affine=False)
        launch((64, 512), torch.float32, "leaky_relu")
        launch((5, 1, 1, 9), torch.float32, "gelu", parameter_dtype=torch.bfloat16, affine=False)
        launch((2, 2, 50_000, 50_000), torch.bfloat16, "silu", channels_last=True)  # over 2^31 values in an instance
        launch((2, 2, 50_000, 50_000), torch.float16, training=False)


def launch(
    shape: tuple[int, ...],
    dtype: torch.dtype,
    activation: str = "identity",
    *,
    channels_last: bool = False,
    residual: bool = False,
    affine: bool = True,
    training: bool = True,
    parameter_dtype: torch.dtype | None = None,
) -> None:
    from binorm.backends.triton import launch as backend

    meta: dict[str, Any] = {"device": "meta"}
    memory_format = {4: torch.channels_last}[len(shape)] if channels_last else torch.contiguous_format
    x = torch.empty(shape, dtype=dtype, memory_format=memory_format, **meta)
    vector = torch.empty(shape[1], dtype=parameter_dtype or torch.promote_types(dtype, torch.float32), **meta)
    arguments = [x, vector, vector if affine else None, vector if affine else None, x if residual else None]
    given = [None, None] if training else [vector, vector]
    _, statistics = backend.forward(*arguments, *given, EPS, activation, SLOPE)
    backend.backward(x, *arguments, statistics, training, EPS, activation, SLOPE)
    backend.update_running_statistics(vector, vector, statistics, 0.1, 100)


def compile_all() -> int:
    """Compile each kernel that `launch_for` launches, down to machine code; return how many there are."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    compiled = set()

    def compile_instead(kernel: Any, *args: Any, grid: Any, warmup: bool, num_warps: int = 4, **constants: Any) -> None:
        source = kernel, *specialization(kernel, {**dict(zip(kernel.arg_names, args, strict=False)), **constants})
        if repr(source) not in compiled:
            options = {"num_warps": num_warps}
            result = triton.compile(ASTSource(*source), target=GPUTarget("cuda", capability, 32), options=options)
            assert result.asm["cubin"]
        compiled.add(repr(source))

    triton.runtime.jit.JITFunction.run = compile_instead
    for capability in (80, 90):
        launch_for(capability)
    return len(compiled)


def specialization(kernel: Any, values: dict[str, Any]) -> tuple[dict[str, str], dict[Any, Any], dict[Any, Any]]:
    """Types, constants and alignments for these arguments, by the rules that Triton has for a launch."""
    types = {torch.float16: "fp16", torch.bfloat16: "bf16", torch.float32: "fp32", torch.float64: "fp64"}
    signature, constants, attributes = {}, {}, {}
    for index, parameter in enumerate(kernel.params):
        value = values[parameter.name]
        if (
            parameter.is_constexpr
            or value is None
            or (type(value) is int and value == 1 and not parameter.do_not_specialize)
        ):
            signature[parameter.name], constants[index,] = "constexpr", value
            continue
        if isinstance(value, Tensor):
            signature[parameter.name] = "*" + types[value.dtype]
        elif isinstance(value, float):
            signature[parameter.name] = "fp32"
        else:
            signature[parameter.name] = "i32" if value < 2**31 else "i64"
        if isinstance(value, Tensor) or (type(value) is int and value % 16 == 0 and not parameter.do_not_specialize):
            attributes[index,] = [["tt.divisibility", 16]]
    return signature, constants, attributes


def main() -> None:
    try:
        import triton
        from triton.backends import backends

        if "nvidia" not in backends:
            raise ImportError(f"Triton {triton.__version__} has no compiler for CUDA here")
    except ImportError as error:
        sys.stderr.write(str(error))
        sys.exit(CANNOT_COMPILE)
    sys.stdout.write(str(compile_all()))


if __name__ == "__main__":
    main()
