"""Dtypes: what goes in comes out, in training and evaluation, with parameters of the same or of higher precision."""

import pytest
import torch
from naive import BATCH_NORMS, LAYERS, SHAPES, batch_of_styles, naive_batch_instance_norm, randomize_
from torch import nn

import binorm

LOW_PRECISIONS = [torch.float16, torch.bfloat16]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("parameter_dtype", ["same", torch.float32], ids=str)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, *LOW_PRECISIONS], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_output_and_gradients_have_the_dtype_of_what_they_belong_to(shape, dtype, parameter_dtype, training) -> None:
    if parameter_dtype == "same" or dtype == torch.float64:
        parameter_dtype = dtype
    torch.manual_seed(0)
    layer = randomize_(LAYERS[len(shape)](shape[1])).to(parameter_dtype).train(training)
    x = batch_of_styles(shape, dtype).requires_grad_()
    before = layer.running_mean.clone(), layer.running_var.clone()
    output = layer(x)
    output.sum().backward()
    assert output.dtype == x.grad.dtype == dtype
    assert {parameter.grad.dtype for parameter in layer.parameters()} == {parameter_dtype}
    assert layer.running_mean.dtype == layer.running_var.dtype == parameter_dtype
    assert layer.num_batches_tracked.dtype == torch.long
    expected = naive_batch_instance_norm(x, layer.gate, layer.weight, layer.bias, *before, training=training)
    torch.testing.assert_close(output, expected.to(dtype))


@pytest.mark.parametrize("dtype", LOW_PRECISIONS, ids=str)
def test_running_statistics_of_a_cast_layer_are_as_exact_as_those_of_a_cast_batch_norm(dtype) -> None:
    torch.manual_seed(1)
    layer, batch_norm = binorm.BatchInstanceNorm2d(64).to(dtype), nn.BatchNorm2d(64).to(dtype)
    exact = nn.BatchNorm2d(64).double()
    for _ in range(20):
        x = batch_of_styles((4, 64, 5, 6), dtype)
        layer(x)
        batch_norm(x)
        exact(x.double())
    for name in ("running_mean", "running_var"):
        ours, theirs = ((getattr(norm, name) - getattr(exact, name)).norm() for norm in (layer, batch_norm))
        assert ours <= 1.5 * theirs


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_float64_input_to_float32_parameters_is_refused_with_the_way_out(shape) -> None:
    with pytest.raises(TypeError, match=r"torch.float32 but the input is torch.float64.*model.to\(torch.float64\)"):
        LAYERS[len(shape)](shape[1])(torch.randn(shape, dtype=torch.float64))


def test_float32_input_to_float64_parameters_is_refused() -> None:
    with pytest.raises(TypeError, match=r"torch.float64 but the input is torch.float32"):
        binorm.BatchInstanceNorm2d(3).double()(torch.randn(2, 3, 4, 4))


def test_integer_input_is_refused_with_the_way_out() -> None:
    with pytest.raises(TypeError, match=r"torch.int64.*input.float\(\)"):
        binorm.BatchInstanceNorm2d(3)(torch.ones(2, 3, 4, 4, dtype=torch.long))


@pytest.mark.parametrize("dtype", LOW_PRECISIONS, ids=str)
@pytest.mark.parametrize("shape", [(16, 6), (8, 6, 5, 5)], ids=str)
def test_a_network_trains_under_cpu_autocast(shape, dtype) -> None:
    """Linear or convolutional outputs come in low precision, as they do to batch norm."""
    torch.manual_seed(2)
    first = nn.Linear(6, 6) if len(shape) == 2 else nn.Conv2d(6, 6, 3)
    outputs = []
    x = torch.randn(shape)
    for norm in (LAYERS[len(shape)](6), BATCH_NORMS[len(shape)](6)):
        with torch.autocast("cpu", dtype=dtype):
            outputs.append(norm(first(x)))
        outputs[-1].float().square().mean().backward()
        assert {parameter.grad.dtype for parameter in norm.parameters()} == {torch.float32}
        assert all(parameter.grad.isfinite().all() for parameter in (*norm.parameters(), *first.parameters()))
    assert outputs[0].dtype == outputs[1].dtype == dtype
    torch.testing.assert_close(*outputs)
