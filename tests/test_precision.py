"""Rounding errors against float64: no more than a small multiple of those of PyTorch's own norms at the same dtype."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from naive import batch_of_styles, naive_batch_instance_norm
from torch import Tensor

from binorm.functional import batch_instance_norm

TIMES_PYTORCHS_ERROR = 3.0  # measured: at most 1.9

AffineNorm = Callable[[Tensor, Tensor, Tensor], Tensor]  # of input, weight and bias


def batch_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.batch_norm(x, None, None, weight, bias, training=True)


def instance_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.instance_norm(x, weight=weight, bias=bias)


def ours(gate: Tensor) -> AffineNorm:
    return lambda x, weight, bias: batch_instance_norm(x, gate, weight, bias, training=True)


def formula(gate: Tensor) -> AffineNorm:
    return lambda x, weight, bias: naive_batch_instance_norm(x, gate, weight, bias)


def output_and_gradients(norm: Callable[..., Tensor], tensors: list[Tensor], grad_output: Tensor) -> list[Tensor]:
    inputs = [tensor.clone().requires_grad_() for tensor in tensors]
    output = norm(*inputs)
    return [output.detach(), *torch.autograd.grad(output, inputs, grad_output)]


def relative_errors(
    norm: Callable[..., Tensor], exact_norm: Callable[..., Tensor], tensors: list[Tensor], grad_output: Tensor
) -> list[float]:
    """Of the output and of the gradient of each tensor, over all elements together."""
    exact = output_and_gradients(exact_norm, [tensor.double() for tensor in tensors], grad_output.double())
    rounded = output_and_gradients(norm, tensors, grad_output)
    return [((a.double() - b).norm() / b.norm()).item() for a, b in zip(rounded, exact, strict=True)]


@pytest.mark.parametrize("gate", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(
    ("dtype", "parameter_dtype", "mean_over_std"),
    [
        (torch.float64, torch.float64, 0),
        (torch.float64, torch.float64, 1e4),
        (torch.float32, torch.float32, 0),
        (torch.float32, torch.float32, 100),
        (torch.float32, torch.float32, 1e4),
        (torch.float16, torch.float32, 1),
        (torch.float16, torch.float16, 1),
        (torch.bfloat16, torch.float32, 1),
        (torch.bfloat16, torch.bfloat16, 1),
    ],
    ids=str,
)
def test_errors_are_those_of_pytorchs_own_norms(dtype, parameter_dtype, mean_over_std, gate) -> None:
    torch.manual_seed(0)
    shape = (8, 64, 9, 9)
    x = (torch.randn(shape, dtype=torch.float64) + mean_over_std).to(dtype)
    tensors = [x, (torch.rand(64) + 0.5).to(parameter_dtype), torch.randn(64).to(parameter_dtype)]
    grad_output = torch.randn(shape).to(dtype)
    gates = torch.full((64,), gate, dtype=parameter_dtype)
    errors = relative_errors(ours(gates), formula(gates), tensors, grad_output)
    of_batch_norm = relative_errors(batch_norm, formula(torch.ones(64)), tensors, grad_output)
    of_instance_norm = relative_errors(instance_norm, formula(torch.zeros(64)), tensors, grad_output)
    one_rounding = torch.finfo(torch.promote_types(dtype, torch.float32)).eps
    for error, of_batch, of_instance in zip(errors, of_batch_norm, of_instance_norm, strict=True):
        assert error <= TIMES_PYTORCHS_ERROR * max(of_batch, of_instance, one_rounding)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_error_of_the_gates_gradient_is_a_few_float32_roundings(dtype) -> None:
    torch.manual_seed(1)
    x = batch_of_styles((8, 64, 9, 9), dtype)
    *_, of_gate = relative_errors(
        lambda gate: batch_instance_norm(x, gate, training=True).float(),
        lambda gate: naive_batch_instance_norm(x, gate),
        [torch.rand(64)],
        torch.randn(x.shape).to(dtype).float(),
    )
    assert of_gate < 1e-6


@pytest.mark.parametrize("value", [0.0, 3.7, 12345.678])
@pytest.mark.parametrize("shape", [(7, 4), (7, 4, 1, 1), (3, 4, 5, 5), (100, 4, 3, 3)], ids=str)
def test_constant_input_gives_zero(shape, value) -> None:
    gate = torch.tensor([0.0, 0.5, 0.9, 1.0])
    output = batch_instance_norm(torch.full(shape, value), gate, training=True).abs()
    assert output[:, 0].max() == 0  # instance norm: centred on the instance itself
    # The batch's mean may be a rounding or two off, and eps alone is what the difference is divided by.
    assert output.max() <= 2 * torch.finfo(torch.float32).eps * value / 1e-5**0.5


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(64, 16), (64, 16, 1), (64, 16, 1, 1), (64, 16, 1, 1, 1)], ids=str)
def test_errors_on_single_values_are_below_a_millionth(shape, training) -> None:
    torch.manual_seed(2)
    running_mean, running_var = torch.randn(16), torch.rand(16) + 0.5
    errors = relative_errors(
        lambda *tensors: batch_instance_norm(*tensors, running_mean.clone(), running_var.clone(), training),
        lambda *tensors: naive_batch_instance_norm(*tensors, running_mean, running_var, training),
        [torch.randn(shape) + 1, torch.linspace(0, 1, 16), torch.rand(16) + 0.5, torch.randn(16)],
        torch.randn(shape),
    )
    assert max(errors) < 1e-6


@pytest.mark.parametrize("gate", [0.75, 1.0])
def test_errors_in_a_batch_of_880801_single_values_are_below_batch_norms(gate) -> None:
    torch.manual_seed(3)
    tensors = [torch.randn(880_801, 1, 1, 1), torch.tensor([2.0]), torch.tensor([-1.0])]
    grad_output = torch.randn(880_801, 1, 1, 1)
    gates = torch.tensor([gate])
    errors = relative_errors(ours(gates), formula(gates), tensors, grad_output)
    of_batch_norm = relative_errors(batch_norm, formula(torch.ones(1)), tensors, grad_output)
    for error, of_batch in zip(errors, of_batch_norm, strict=True):
        assert error <= of_batch


def test_float16_sums_that_overflow_give_no_inf_or_nan() -> None:
    # One instance sums to far beyond 65,504, float16's largest number. Channels repeat, to generate them in no time.
    torch.manual_seed(4)
    x = (torch.randn(1, 1, 500, 500) + 3).half().expand(4, 80, 500, 500)
    with torch.no_grad():
        output = batch_instance_norm(x, torch.full((80,), 0.5, dtype=torch.float16), training=True)
    assert output.dtype == torch.float16
    assert output.isfinite().all()
    assert output[0, 0].float().std() == pytest.approx(1.0, abs=1e-2)


def test_float16_gradients_whose_sums_overflow_give_no_inf_or_nan() -> None:
    torch.manual_seed(5)
    x = (torch.randn(2, 3, 400, 400) + 3).half()
    vectors = [torch.full((3,), value) for value in (0.5, 2.0, 1.0)]
    _, *gradients = output_and_gradients(
        lambda *tensors: batch_instance_norm(*tensors, training=True), [x, *vectors], torch.ones_like(x)
    )
    assert all(gradient.isfinite().all() for gradient in gradients)
    torch.testing.assert_close(gradients[3], torch.full((3,), 320_000.0))
