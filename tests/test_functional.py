"""batch_instance_norm: the formula, its two ends, the running statistics, and what it refuses."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import SHAPES, batch_of_styles, naive_batch_instance_norm
from torch import Tensor

from binorm.functional import batch_instance_norm

SPATIAL_SHAPES = [shape for shape in SHAPES if len(shape) > 2]


def random_vectors(channels: int, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    """Every vector that the function takes; the gates span [0, 1] with both ends."""
    return {
        "gate": torch.linspace(0, 1, channels, dtype=dtype),
        "weight": torch.rand(channels, dtype=dtype) + 0.5,
        "bias": torch.randn(channels, dtype=dtype),
        "running_mean": torch.randn(channels, dtype=dtype),
        "running_var": torch.rand(channels, dtype=dtype) + 0.5,
    }


def with_grad(*tensors: Tensor) -> list[Tensor]:
    return [tensor.clone().requires_grad_() for tensor in tensors]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_output_and_gradients_are_those_of_the_formula(shape, affine, training) -> None:
    torch.manual_seed(0)
    x, vectors = batch_of_styles(shape), random_vectors(shape[1])
    names = ["gate", "weight", "bias"] if affine else ["gate"]
    grad_output = torch.randn(shape, dtype=torch.float64)
    running = {name: vectors[name] for name in ("running_mean", "running_var")}
    results = []
    for function in (batch_instance_norm, naive_batch_instance_norm):
        inputs = with_grad(x, *(vectors[name] for name in names))
        buffers = {name: buffer.clone() for name, buffer in running.items()}
        output = function(inputs[0], **dict(zip(names, inputs[1:], strict=True)), **buffers, training=training)
        results.append([output, *torch.autograd.grad(output, inputs, grad_output)])
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    shape=st.lists(st.integers(1, 5), min_size=2, max_size=5).map(tuple),
    gate=st.floats(0, 1),
    eps=st.sampled_from([1e-5, 1e-3, 1.0]),
    training=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_any_shape_gate_and_eps_gives_the_formula(shape, gate, eps, training, seed) -> None:
    if training and torch.Size(shape).numel() == shape[1]:
        training = False
    torch.manual_seed(seed)
    x, vectors = batch_of_styles(shape), random_vectors(shape[1])
    vectors["gate"].fill_(gate)
    expected = naive_batch_instance_norm(x, **vectors, training=training, eps=eps)
    # The smallest eps divides rounding errors of the mean by 0.003 where an instance is nearly constant.
    torch.testing.assert_close(
        batch_instance_norm(x, **vectors, training=training, eps=eps), expected, rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gate_1_is_batch_norm(shape, training) -> None:
    torch.manual_seed(1)
    x, vectors = batch_of_styles(shape), random_vectors(shape[1])
    grad_output = torch.randn(shape, dtype=torch.float64)
    results = []
    for norm in ("ours", "torch"):
        inputs = with_grad(x, vectors["weight"], vectors["bias"])
        mean, var = vectors["running_mean"].clone(), vectors["running_var"].clone()
        if norm == "ours":
            output = batch_instance_norm(
                inputs[0], torch.ones_like(vectors["gate"]), *inputs[1:], mean, var, training, momentum=0.3, eps=1e-3
            )
        else:
            output = F.batch_norm(inputs[0], mean, var, *inputs[1:], training, momentum=0.3, eps=1e-3)
        results.append([output, *torch.autograd.grad(output, inputs, grad_output), mean, var])
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SPATIAL_SHAPES, ids=str)
def test_gate_0_is_instance_norm_whatever_the_running_statistics(shape, training) -> None:
    torch.manual_seed(2)
    x, vectors = batch_of_styles(shape), random_vectors(shape[1])
    vectors["gate"].zero_()
    grad_output = torch.randn(shape, dtype=torch.float64)
    expected_inputs = with_grad(x, vectors["weight"], vectors["bias"])
    expected = F.instance_norm(expected_inputs[0], weight=expected_inputs[1], bias=expected_inputs[2])
    inputs = with_grad(x, vectors["weight"], vectors["bias"])
    vectors |= {"weight": inputs[1], "bias": inputs[2]}
    output = batch_instance_norm(inputs[0], **vectors, training=training)
    torch.testing.assert_close(output, expected, rtol=1e-10, atol=1e-10)
    for ours, theirs in zip(
        torch.autograd.grad(output, inputs, grad_output),
        torch.autograd.grad(expected, expected_inputs, grad_output),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def test_gate_outside_the_unit_interval_is_used_as_it_is() -> None:
    torch.manual_seed(3)
    x = batch_of_styles((4, 2, 3, 3))
    zero, one = (batch_instance_norm(x, torch.full((2,), g, dtype=x.dtype), training=True) for g in (0.0, 1.0))
    beyond = batch_instance_norm(x, torch.tensor([1.5, -0.5], dtype=x.dtype), training=True)
    gate = torch.tensor([1.5, -0.5], dtype=x.dtype).view(1, 2, 1, 1)
    torch.testing.assert_close(beyond, gate * one + (1 - gate) * zero)


@pytest.mark.parametrize("given", [("running_mean",), ("running_var",), ("running_mean", "running_var")], ids=str)
def test_training_moves_the_running_statistics_that_are_given(given) -> None:
    torch.manual_seed(4)
    x, vectors = batch_of_styles((4, 3, 5, 6)), random_vectors(3)
    batch = {"running_mean": x.mean((0, 2, 3)), "running_var": x.var((0, 2, 3), correction=1)}
    start = {name: vectors[name] for name in given}
    moved = {name: vector.clone() for name, vector in start.items()}
    batch_instance_norm(x.requires_grad_(), vectors["gate"], **moved, training=True, momentum=0.25)
    for name in given:
        assert not moved[name].requires_grad  # else every batch's graph would stay in memory
        torch.testing.assert_close(moved[name], 0.75 * start[name] + 0.25 * batch[name])


def test_evaluation_leaves_the_running_statistics_bit_identical() -> None:
    torch.manual_seed(5)
    vectors = random_vectors(3)
    before = {name: vector.clone() for name, vector in vectors.items()}
    batch_instance_norm(batch_of_styles((4, 3, 5, 6)), **vectors, training=False, momentum=1.0)
    assert all(torch.equal(vectors[name], before[name]) for name in vectors)


@pytest.mark.parametrize("name", ["gate", "weight", "bias", "running_mean", "running_var"])
@pytest.mark.parametrize("shape", [(4,), (3, 1), ()], ids=str)
def test_vector_of_another_shape_is_refused_by_name(name, shape) -> None:
    vectors = random_vectors(3, torch.float32) | {name: torch.ones(shape)}
    with pytest.raises(ValueError, match=rf"^{name} should have shape \(3,\)"):
        batch_instance_norm(torch.randn(2, 3, 4, 4), **vectors)


@pytest.mark.parametrize("missing", [("running_mean",), ("running_var",), ("running_mean", "running_var")], ids=str)
def test_evaluation_without_running_statistics_is_refused(missing) -> None:
    vectors = random_vectors(3, torch.float32) | dict.fromkeys(missing)
    with pytest.raises(ValueError, match="running_mean and running_var must be given in evaluation"):
        batch_instance_norm(torch.randn(2, 3, 4, 4), **vectors)


@pytest.mark.parametrize("dims", [0, 1, 6])
def test_input_of_too_few_or_too_many_dimensions_is_refused(dims) -> None:
    with pytest.raises(ValueError, match=rf"expected 2D to 5D input \(got {dims}D input\)"):
        batch_instance_norm(torch.ones((3,) * dims), torch.ones(3), training=True)


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1), (1, 3, 1, 1), (1, 3, 1, 1, 1)], ids=str)
def test_one_value_per_channel_raises_batch_norms_error_in_training(shape) -> None:
    x = torch.randn(shape)
    with pytest.raises(ValueError, match="Expected more than 1 value per channel") as batch_norms:
        F.batch_norm(x, None, None, training=True)
    with pytest.raises(ValueError, match="Expected more than 1 value per channel") as ours:
        batch_instance_norm(x, torch.ones(3), training=True)
    assert str(ours.value) == str(batch_norms.value)


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool], ids=str)
def test_input_that_is_not_floating_point_is_refused_with_its_dtype(dtype) -> None:
    with pytest.raises(TypeError, match=f"expected a floating-point input .*{dtype}"):
        batch_instance_norm(torch.ones(2, 3, 4, 4).to(dtype), torch.ones(3), training=True)


def test_complex_input_is_refused_with_advice_that_keeps_its_imaginary_part() -> None:
    x = torch.randn(2, 3, 4, 4, dtype=torch.complex64)
    with pytest.raises(
        TypeError, match=r"real floating-point input .*complex64.*torch\.cat\(\[input\.real, input\.imag"
    ):
        batch_instance_norm(x, torch.ones(3), training=True)
    batch_instance_norm(torch.cat([x.real, x.imag], dim=1), torch.ones(6), training=True)


@pytest.mark.parametrize("name", ["gate", "weight", "bias", "running_mean", "running_var"])
@pytest.mark.parametrize("input_dtype", [torch.float64, torch.float32, torch.float16], ids=str)
def test_float64_and_lower_precision_do_not_mix(name, input_dtype) -> None:
    other = torch.float32 if input_dtype == torch.float64 else torch.float64
    vectors = random_vectors(3, input_dtype)
    vectors[name] = vectors[name].to(other)
    with pytest.raises(TypeError, match=rf"{name} is {other} but the input is {input_dtype}"):
        batch_instance_norm(torch.randn(2, 3, 4, 4).to(input_dtype), **vectors)


def test_arguments_are_left_as_they_were() -> None:
    torch.manual_seed(6)
    x, vectors = batch_of_styles((4, 3, 5, 6)), random_vectors(3)
    untouched = {"x": x, **{name: vectors[name] for name in ("gate", "weight", "bias")}}
    before = {name: tensor.clone() for name, tensor in untouched.items()}
    batch_instance_norm(x, **vectors, training=True)
    assert all(torch.equal(untouched[name], before[name]) for name in untouched)
