"""Evaluation where every gate is 1: PyTorch's own batch norm computes it, so that not a bit of a network changes."""

import copy

import pytest
import torch
from naive import batch_of_styles, randomize_
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

import binorm
from binorm import convert_batch_norm


def batch_norm() -> nn.Module:
    return randomize_(nn.BatchNorm2d(3)).eval()


def inputs(dtype: torch.dtype = torch.float32) -> Tensor:
    return batch_of_styles((2, 3, 5, 6), dtype)


@pytest.mark.parametrize("mixed", [True, False])
def test_half_precision_keeps_its_bits(mixed) -> None:
    norm = batch_norm() if mixed else batch_norm().bfloat16()
    x = inputs(torch.bfloat16)
    with torch.no_grad():
        expected = norm(x)
        assert torch.equal(convert_batch_norm(norm)(x), expected)


def test_dtypes_that_batch_norm_refuses_still_compute() -> None:
    norm = convert_batch_norm(batch_norm().bfloat16())
    x = inputs()
    with torch.no_grad():
        assert norm(x).dtype == torch.float32


def test_gates_learn_in_evaluation_too() -> None:
    norm = convert_batch_norm(batch_norm())
    norm(inputs()).square().sum().backward()
    assert norm.gate.grad.abs().min() > 0


def test_frozen_gates_at_one_give_batch_norm_and_its_gradients_in_evaluation() -> None:
    norm = batch_norm()
    converted = convert_batch_norm(copy.deepcopy(norm))
    converted.gate.requires_grad_(False)
    x = inputs().requires_grad_()
    gradients = [torch.autograd.grad(each(x).square().sum(), [x, each.weight, each.bias]) for each in (norm, converted)]
    assert all(torch.equal(ours, theirs) for theirs, ours in zip(*gradients, strict=True))


def test_one_gate_below_one_is_not_left_to_batch_norm() -> None:
    norm = batch_norm()
    x = inputs()
    with torch.no_grad():
        expected = norm(x)
        convert_batch_norm(norm).gate[1] = 1 - 2**-12
        changed = (norm(x) - expected).abs().amax((0, 2, 3))
    assert changed[1] > 1e-5
    assert changed[[0, 2]].max() < 1e-5


@pytest.mark.parametrize("gate", [1.0, 0.5])
def test_traced_calls_do_not_depend_on_the_gates_of_the_trace(gate) -> None:
    norm = convert_batch_norm(batch_norm())
    x = inputs()
    with torch.no_grad():
        exported = torch.export.export(norm, (x,)).module()
        compiled = torch.compile(norm, backend="eager", fullgraph=True)
        compiled(x)
        for model in (norm, exported):
            model.gate.fill_(gate)
        torch.testing.assert_close(exported(x), norm(x))
        torch.testing.assert_close(compiled(x), norm(x))


@torch.no_grad()
def test_a_graph_of_operators_does_not_depend_on_the_gates_of_the_trace() -> None:
    norm, x = convert_batch_norm(batch_norm()), inputs()
    graph = make_fx(norm)(x)
    norm.gate.fill_(0.5)
    torch.testing.assert_close(graph(x), norm(x))


@torch.no_grad()
def test_the_function_gives_the_bits_of_batch_norm() -> None:
    norm, x = batch_norm(), inputs()
    vectors = (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    ours = binorm.functional.batch_instance_norm(x, torch.ones(3), *vectors, activation="silu")
    assert torch.equal(ours, nn.functional.silu(norm(x)))
    with pytest.raises(ValueError, match="running_mean and running_var must be given"):
        binorm.functional.batch_instance_norm(x, torch.ones(3))
