"""The reference backend: the formula, its gradients of first and second order, and its temporaries."""

import pytest
import torch
from naive import SHAPES, batch_of_styles, naive_batch_instance_norm
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from binorm.backends import reference

GRADCHECK_SHAPES = [(4, 3), (2, 3, 4), (3, 3, 2, 2), (2, 3, 1, 2, 2), (3, 3, 1, 1)]
GATES = [0.0, 0.4, 1.0]


def run(
    x: Tensor,
    gate: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    training: bool = True,
) -> Tensor:
    return reference.batch_instance_norm(x, gate, weight, bias, running_mean, running_var, training, 0.1, 1e-5)


def differentiable_inputs(shape: tuple[int, ...]) -> list[Tensor]:
    """Input, gate (both ends and the middle), weight and bias."""
    torch.manual_seed(0)
    tensors = [
        batch_of_styles(shape),
        torch.tensor(GATES, dtype=torch.float64),
        torch.rand(shape[1], dtype=torch.float64) + 0.5,
        torch.randn(shape[1], dtype=torch.float64),
    ]
    return [tensor.requires_grad_() for tensor in tensors]


def running_statistics(training: bool) -> tuple[Tensor | None, Tensor | None]:
    if training:
        return None, None
    return torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64), torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_output_is_that_of_the_formula(shape, training) -> None:
    torch.manual_seed(1)
    x = batch_of_styles(shape)
    gate, weight, bias, mean = torch.rand(4, shape[1], dtype=torch.float64)
    vectors = (gate, weight, bias, mean, gate + 0.5)
    expected = naive_batch_instance_norm(x, *vectors, training=training)
    torch.testing.assert_close(run(x, *(v.clone() for v in vectors), training), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", GRADCHECK_SHAPES, ids=str)
def test_gradients_of_input_gate_weight_and_bias_are_exact(shape, training) -> None:
    inputs = differentiable_inputs(shape)
    mean, var = running_statistics(training)
    assert torch.autograd.gradcheck(lambda x, g, w, b: run(x, g, w, b, mean, var, training), inputs)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", GRADCHECK_SHAPES, ids=str)
def test_second_gradients_of_input_gate_weight_and_bias_are_exact(shape, training) -> None:
    inputs = differentiable_inputs(shape)
    mean, var = running_statistics(training)
    assert torch.autograd.gradgradcheck(lambda x, g, w, b: run(x, g, w, b, mean, var, training), inputs)


@pytest.mark.parametrize("training", [True, False])
def test_gradients_are_exact_without_weight_and_bias(training) -> None:
    x, gate, _, _ = differentiable_inputs((3, 3, 2, 2))
    mean, var = running_statistics(training)
    assert torch.autograd.gradcheck(lambda x, g: run(x, g, None, None, mean, var, training), (x, gate))


def test_forward_makes_one_temporary_of_the_inputs_size() -> None:
    x = torch.randn(4, 3, 16, 16)
    made: set[int] = set()
    kept: list[Tensor] = []  # no memory is reused while counting

    class CountFullSize(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            for tensor in result if isinstance(result, tuple) else (result,):
                if isinstance(tensor, Tensor) and tensor.numel() == x.numel():
                    made.add(tensor.untyped_storage().data_ptr())
                    kept.append(tensor)
            return result

    with torch.no_grad(), CountFullSize():
        output = run(x, torch.full((3,), 0.5), torch.ones(3), torch.zeros(3))
    made -= {x.untyped_storage().data_ptr(), output.untyped_storage().data_ptr()}
    assert len(made) == 1
