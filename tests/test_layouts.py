"""Memory layouts: any strides of input and gradient give the values of contiguous ones, laid out as by batch norm."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import BATCH_NORMS, LAYERS, batch_of_styles, randomize_
from torch import Tensor

CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}

# name: (shape to start from, how to come from there to (4, 3, *spatial) with the strides that the name says)
VIEWS = {
    "2d contiguous": ((4, 3), lambda x: x),
    "2d transposed": ((3, 4), lambda x: x.T),
    "2d every second column": ((4, 6), lambda x: x[:, ::2]),
    "2d expanded channels": ((4, 1), lambda x: x.expand(4, 3)),
    "3d contiguous": ((4, 3, 7), lambda x: x),
    "3d transposed": ((4, 7, 3), lambda x: x.transpose(1, 2)),
    "3d permuted": ((7, 3, 4), lambda x: x.permute(2, 1, 0)),
    "3d cropped": ((4, 3, 9), lambda x: x[:, :, 1:-1]),
    "4d contiguous": ((4, 3, 5, 6), lambda x: x),
    "4d channels_last": ((4, 3, 5, 6), lambda x: x.to(memory_format=torch.channels_last)),
    "4d from NHWC": ((4, 5, 6, 3), lambda x: x.permute(0, 3, 1, 2)),
    "4d from NWHC": ((4, 6, 5, 3), lambda x: x.permute(0, 3, 2, 1)),
    "4d height and width transposed": ((4, 3, 6, 5), lambda x: x.transpose(2, 3)),
    "4d batch and channels transposed": ((3, 4, 5, 6), lambda x: x.transpose(0, 1)),
    "4d cropped": ((4, 3, 7, 8), lambda x: x[:, :, 1:-1, 1:-1]),
    "4d every second sample": ((8, 3, 5, 6), lambda x: x[::2]),
    "4d some channels": ((4, 5, 5, 6), lambda x: x[:, 1:4]),
    "4d channels_last cropped": ((4, 3, 7, 8), lambda x: x.to(memory_format=torch.channels_last)[:, :, 1:-1, 1:-1]),
    "4d channels_last some channels": ((4, 5, 5, 6), lambda x: x.to(memory_format=torch.channels_last)[:, 1:4]),
    "4d channels_last every second sample": ((8, 3, 5, 6), lambda x: x.to(memory_format=torch.channels_last)[::2]),
    "4d channels_last one sample": ((1, 3, 5, 6), lambda x: x.to(memory_format=torch.channels_last)),
    "4d channels_last 1x1": ((4, 3, 1, 1), lambda x: x.to(memory_format=torch.channels_last)),
    "4d expanded batch": ((1, 3, 5, 6), lambda x: x.expand(4, 3, 5, 6)),
    "4d expanded channels": ((4, 1, 5, 6), lambda x: x.expand(4, 3, 5, 6)),
    "4d expanded spatially": ((4, 3, 1, 1), lambda x: x.expand(4, 3, 5, 6)),
    "4d channels_last expanded batch": (
        (1, 3, 5, 6),
        lambda x: x.to(memory_format=torch.channels_last).expand(4, 3, 5, 6),
    ),
    "5d contiguous": ((4, 3, 2, 5, 6), lambda x: x),
    "5d channels_last_3d": ((4, 3, 2, 5, 6), lambda x: x.to(memory_format=torch.channels_last_3d)),
    "5d video, channels behind frames": ((4, 2, 3, 5, 6), lambda x: x.transpose(1, 2)),
    "5d video of 1x1 maps": ((4, 2, 3, 1, 1), lambda x: x.transpose(1, 2)),
    "5d permuted": ((4, 3, 5, 6, 2), lambda x: x.permute(0, 1, 4, 2, 3)),
    "5d cropped": ((4, 3, 4, 7, 8), lambda x: x[:, :, 1:-1, 1:-1, 1:-1]),
    "5d channels_last_3d cropped": (
        (4, 3, 2, 7, 8),
        lambda x: x.to(memory_format=torch.channels_last_3d)[:, :, :, 1:-1, 1:-1],
    ),
    "5d channels_last_3d some channels": (
        (4, 5, 2, 5, 6),
        lambda x: x.to(memory_format=torch.channels_last_3d)[:, 1:4],
    ),
}


def make(name: str, dtype: torch.dtype = torch.float64) -> Tensor:
    torch.manual_seed(0)
    start, view = VIEWS[name]
    return view(batch_of_styles(start, dtype))


def strides_that_count(x: Tensor) -> list[int]:
    """The strides of the dimensions that hold more than one value; the others say nothing about the layout."""
    return [stride for size, stride in zip(x.shape, x.stride(), strict=True) if size > 1]


def output_and_gradients(layer: torch.nn.Module, x: Tensor, grad_output: Tensor) -> list[Tensor]:
    x = x.detach().requires_grad_()
    output = layer(x)
    return [output, *torch.autograd.grad(output, (x, *layer.parameters()), grad_output)]


def assert_equals_contiguous(x: Tensor, grad_output: Tensor, training: bool = True) -> None:
    torch.manual_seed(1)
    layer = randomize_(LAYERS[x.dim()](x.shape[1], dtype=x.dtype)).train(training)
    results = output_and_gradients(layer, x, grad_output)
    expected = output_and_gradients(layer, x.contiguous(), grad_output.contiguous())
    for ours, contiguous in zip(results, expected, strict=True):
        torch.testing.assert_close(ours, contiguous, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", VIEWS)
def test_values_and_gradients_are_those_of_contiguous_input(name, training) -> None:
    x = make(name)
    assert_equals_contiguous(x, torch.randn(x.shape, dtype=x.dtype), training)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", VIEWS)
def test_output_is_laid_out_as_batch_norms(name, training) -> None:
    x = make(name, torch.float32)
    layer, batch_norm = LAYERS[x.dim()](x.shape[1]), BATCH_NORMS[x.dim()](x.shape[1])
    output, expected = layer.train(training)(x), batch_norm.train(training)(x)
    assert strides_that_count(output) == strides_that_count(expected)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(data=st.data())
def test_arbitrary_strides_of_input_and_gradient_change_nothing(data) -> None:
    dims = data.draw(st.integers(2, 5))
    shape = data.draw(st.lists(st.integers(1, 4), min_size=dims, max_size=dims).map(tuple))

    def view(values: Tensor) -> Tensor:
        """The values in memory of another order of dimensions, with gaps."""
        order = data.draw(st.permutations(range(dims)))
        steps = data.draw(st.lists(st.integers(1, 2), min_size=dims, max_size=dims))
        memory = torch.zeros([values.shape[d] * steps[d] for d in order], dtype=values.dtype)
        strided = memory.permute([order.index(d) for d in range(dims)])
        strided = strided[tuple(slice(None, None, step) for step in steps)]
        return strided.copy_(values)

    torch.manual_seed(2)
    x, grad_output = batch_of_styles(shape), torch.randn(shape, dtype=torch.float64)
    assert_equals_contiguous(view(x), view(grad_output), training=x.numel() > shape[1])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("gradient_layout", ["contiguous", "channels_last", "expanded"])
@pytest.mark.parametrize("input_layout", ["contiguous", "channels_last"])
@pytest.mark.parametrize("dims", [4, 5])
def test_input_and_gradient_may_differ_in_layout(dims, input_layout, gradient_layout, training) -> None:
    torch.manual_seed(3)
    shape = (4, 3, 2, 5, 6)[:dims]
    x, grad_output = batch_of_styles(shape), torch.randn(shape, dtype=torch.float64)
    if input_layout == "channels_last":
        x = x.to(memory_format=CHANNELS_LAST[dims])
    if gradient_layout == "channels_last":
        grad_output = grad_output.to(memory_format=CHANNELS_LAST[dims])
    if gradient_layout == "expanded":  # as the gradient of sum() is
        grad_output = torch.tensor(2.0, dtype=torch.float64).expand(shape)
    assert_equals_contiguous(x, grad_output, training)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dims", [4, 5])
def test_channels_last_survives_forward_and_backward(dims, training) -> None:
    torch.manual_seed(4)
    x = torch.randn((4, 3, 2, 5, 6)[:dims]).to(memory_format=CHANNELS_LAST[dims])
    layer = LAYERS[dims](3).train(training)
    output, grad_x, *_ = output_and_gradients(layer, x, torch.randn_like(x))
    assert output.is_contiguous(memory_format=CHANNELS_LAST[dims])
    assert grad_x.is_contiguous(memory_format=CHANNELS_LAST[dims])
