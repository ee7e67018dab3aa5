"""Traced layers: torch.compile, torch.export and function transforms see what eager code sees, the clip included."""

import pytest
import torch
from naive import LAYERS, SHAPES, batch_of_styles, randomize_
from torch import Tensor, nn

import binorm


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch._dynamo.reset()


def out_of_range(shape: tuple[int, ...]) -> nn.Module:
    torch.manual_seed(0)
    layer = randomize_(LAYERS[len(shape)](shape[1], dtype=torch.float64))
    layer.gate.data.mul_(2).sub_(0.5)
    return layer


def outputs_and_gradients(function, layer: nn.Module, inputs: list[Tensor]) -> list[Tensor]:
    """All forward passes come before the one backward pass."""
    inputs = [x.clone().requires_grad_() for x in inputs]
    outputs = [function(x) for x in inputs]
    gradients = torch.autograd.grad(sum(y.pow(3).mean() for y in outputs), [*inputs, *layer.parameters()])
    return [*outputs, *gradients, *layer.state_dict().values()]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_compiled_layer_clips_computes_and_differentiates_as_eager(shape, training) -> None:
    inputs = [batch_of_styles(shape) for _ in range(2)]
    eager, layer = out_of_range(shape).train(training), out_of_range(shape).train(training)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    expected = outputs_and_gradients(eager, eager, inputs)
    for ours, theirs in zip(outputs_and_gradients(compiled, layer, inputs), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    assert layer.gate.min() < 0 or layer.gate.max() > 1  # read, not written


def test_gates_of_a_compiled_layer_move_in_training() -> None:
    torch.manual_seed(1)
    layer = binorm.BatchInstanceNorm2d(3)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    optimizer = torch.optim.SGD([layer.gate], lr=1000.0)
    for _ in range(4):
        optimizer.zero_grad()
        compiled(batch_of_styles((4, 3, 5, 5), torch.float32)).pow(3).mean().backward()
        optimizer.step()
        assert 0 <= layer.state_dict()["gate"].min() <= layer.state_dict()["gate"].max() <= 1
    assert not torch.equal(layer.gate, torch.ones(3))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_exported_layer_evaluates_as_eager_with_clipped_gates(shape) -> None:
    layer, x = out_of_range(shape).eval(), batch_of_styles(shape)
    exported = torch.export.export(layer, (x,)).module()
    torch.testing.assert_close(exported(x), layer(x))


def test_function_transforms_work_as_on_batch_norm() -> None:
    """An ensemble under vmap, and per-sample gradients, both in evaluation mode."""
    torch.manual_seed(2)
    layers = [randomize_(binorm.BatchInstanceNorm2d(3)).eval() for _ in range(2)]
    x = torch.randn(4, 3, 5, 5)
    parameters, buffers = torch.func.stack_module_state(layers)

    def evaluate(parameters, buffers, x):
        return torch.func.functional_call(layers[0], (parameters, buffers), (x,))

    ensemble = torch.vmap(evaluate, (0, 0, None))(parameters, buffers, x)
    torch.testing.assert_close(ensemble, torch.stack([layer(x) for layer in layers]))

    one = {name: parameter.detach() for name, parameter in layers[0].named_parameters()}

    def loss(parameters, sample):
        return evaluate(parameters, dict(layers[0].named_buffers()), sample.unsqueeze(0)).pow(3).mean()

    per_sample = torch.vmap(torch.func.grad(loss), (None, 0))(one, x)["gate"]
    for sample, gradient in zip(x, per_sample, strict=True):
        (expected,) = torch.autograd.grad(layers[0](sample.unsqueeze(0)).pow(3).mean(), layers[0].gate)
        torch.testing.assert_close(gradient, expected)
