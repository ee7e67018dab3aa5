"""Norm and activation in one layer: what the norm, an addition and an activation compute one after the other."""

import copy

import pytest
import torch
from naive import batch_of_styles, randomize_
from torch import Tensor, nn

import binorm
from binorm import BatchInstanceNormAct2d

ACTIVATIONS = {
    "relu": (nn.ReLU, {}),
    "relu6": (nn.ReLU6, {}),
    "leaky_relu": (nn.LeakyReLU, {"negative_slope": 0.2}),
    "silu": (nn.SiLU, {}),
    "gelu": (nn.GELU, {}),
    "identity": (nn.Identity, {}),
    "tanh gelu": (nn.GELU, {"approximate": "tanh"}),  # not computed with the norm
    "hardswish": (nn.Hardswish, {}),
}
SHAPE = (4, 5, 7, 6)


def outputs_and_gradients(function, x: Tensor, residual: Tensor | None, parameters: list[Tensor]) -> list[Tensor]:
    leaves = [each.clone().requires_grad_() for each in (x, residual) if each is not None]
    y = function(*leaves)
    torch.manual_seed(1)
    return [y.detach(), *torch.autograd.grad(y, [*leaves, *parameters], torch.randn_like(y))]


def pair(name: str, **options: object) -> tuple[BatchInstanceNormAct2d, nn.Module, nn.Module]:
    """A layer under test, a plain norm with the same parameters, and the activation as PyTorch has it."""
    act_layer, act_kwargs = ACTIVATIONS[name]
    layer = randomize_(
        BatchInstanceNormAct2d(5, act_layer=act_layer, act_kwargs=act_kwargs, dtype=torch.float64, **options)
    )
    plain = binorm.BatchInstanceNorm2d(5, dtype=torch.float64)
    plain.load_state_dict(layer.state_dict())
    return layer, plain, act_layer(**act_kwargs)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("with_residual", [True, False])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_equals_its_parts_in_sequence(name, with_residual, training, channels_last) -> None:
    layer, plain, act = pair(name)
    layer.train(training), plain.train(training)
    x, residual = batch_of_styles(SHAPE), torch.randn(SHAPE, dtype=torch.float64)
    if channels_last:
        x, residual = (each.contiguous(memory_format=torch.channels_last) for each in (x, residual))

    def in_sequence(x: Tensor, residual: Tensor | None = None) -> Tensor:
        y = plain(x)
        return act(y if residual is None else y + residual)

    added = residual if with_residual else None
    ours = outputs_and_gradients(layer, x, added, list(layer.parameters()))
    theirs = outputs_and_gradients(in_sequence, x, added, list(plain.parameters()))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
    assert ours[0].stride() == x.stride()
    assert all(torch.equal(a, b) for a, b in zip(layer.buffers(), plain.buffers(), strict=True))


@pytest.mark.parametrize("name", ["relu", "silu", "gelu"])
@pytest.mark.parametrize("with_residual", [True, False])
def test_differentiates_twice(name, with_residual) -> None:
    layer, _, _ = pair(name)
    x = batch_of_styles((2, 5, 3, 2)).requires_grad_()
    residual = torch.randn(2, 5, 3, 2, dtype=torch.float64, requires_grad=True)
    inputs = (x, residual) if with_residual else (x,)
    assert torch.autograd.gradcheck(layer, inputs)
    assert torch.autograd.gradgradcheck(layer, inputs)


@pytest.mark.parametrize("name", ["relu", "relu6", "leaky_relu", "silu", "gelu", "identity"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_is_at_least_as_exact_as_its_parts(name, dtype) -> None:
    """One rounding instead of three; activations of very small, very large and special values as PyTorch has them."""
    layer, _, act = pair(name)
    layer = layer.to(torch.float32).eval()
    layer.gate.data.fill_(1)
    layer.running_mean.zero_(), layer.running_var.fill_(1 - layer.eps)
    layer.weight.data.fill_(1), layer.bias.data.zero_()
    x = torch.cat([torch.linspace(-12, 12, 4000), torch.tensor([-300.0, 300.0, 1e-6, -1e-6, 0.0])]).to(dtype)
    x = x.view(1, 1, 1, -1).expand(1, 5, 1, -1)
    expected = act(x.double())
    ours, in_parts = layer(x).double(), act(x.clone()).double()
    error, error_in_parts = (ours - expected).abs(), (in_parts - expected).abs()
    assert error.max() <= 2 * error_in_parts.max() + 1e-6


def test_nan_stays_nan() -> None:
    layer = BatchInstanceNormAct2d(3).eval()
    x = torch.randn(2, 3, 4, 4)
    x[0, 1, 2, 2] = torch.nan
    y = layer(x)
    assert y[0, 1].isnan().all()
    assert not y[1].isnan().any()


def test_has_the_constructor_of_timms_layer() -> None:
    """Positional order included."""
    layer = BatchInstanceNormAct2d(
        5, 1e-3, 0.2, False, False, True, nn.LeakyReLU, {"negative_slope": 0.1}, False, nn.Dropout2d
    )
    assert (layer.eps, layer.momentum, layer.affine, layer.track_running_stats) == (1e-3, 0.2, False, False)
    assert isinstance(layer.act, nn.LeakyReLU)
    assert not layer.act.inplace
    assert isinstance(layer.drop, nn.Dropout2d)
    assert isinstance(BatchInstanceNormAct2d(5, apply_act=False).act, nn.Identity)
    assert isinstance(BatchInstanceNormAct2d(5, act_layer=None).act, nn.Identity)
    assert isinstance(BatchInstanceNormAct2d(5, act_layer="swish").act, nn.SiLU)
    assert BatchInstanceNormAct2d(5, gate_init=0.5, dtype=torch.float64).gate.tolist() == [0.5] * 5


def test_unknown_activation_names_the_known() -> None:
    with pytest.raises(ValueError, match="one of relu, leaky_relu, silu, swish, gelu.*'rleu'|identity.*'rleu'"):
        BatchInstanceNormAct2d(5, act_layer="rleu")


def test_drops_between_norm_and_activation() -> None:
    class Negate(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return -x

    layer, plain, _ = pair("relu", drop_layer=Negate)
    x, residual = batch_of_styles(SHAPE), torch.randn(SHAPE, dtype=torch.float64)
    torch.testing.assert_close(layer(x, residual), torch.relu(residual - plain(x)))


def test_hooks_of_the_activation_are_called() -> None:
    layer, plain, _ = pair("relu")
    seen = []
    layer.act.register_forward_hook(lambda module, arguments, output: seen.append(output))
    x = batch_of_styles(SHAPE)
    torch.testing.assert_close(layer(x), torch.relu(plain(x)))
    assert len(seen) == 1


def test_a_residual_of_another_shape_is_an_error() -> None:
    with pytest.raises(
        ValueError, match=r"residual should have the input's shape \(2, 3, 4, 4\) \(got \(2, 3, 1, 1\)\)"
    ):
        BatchInstanceNormAct2d(3)(torch.randn(2, 3, 4, 4), torch.randn(2, 3, 1, 1))


@pytest.mark.parametrize("channels_last", [False, True])
def test_batched_gradients_equal_those_one_by_one(channels_last) -> None:
    layer, _, _ = pair("relu")
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    x = batch_of_styles(SHAPE).contiguous(memory_format=memory_format).requires_grad_()
    y, cotangents = layer(x), torch.randn(3, *SHAPE, dtype=torch.float64)
    (together,) = torch.autograd.grad(y, x, cotangents, is_grads_batched=True, retain_graph=True)
    for one, cotangent in zip(together, cotangents, strict=True):
        torch.testing.assert_close(one, *torch.autograd.grad(y, x, cotangent, retain_graph=True))


def test_only_the_residual_may_need_a_gradient_of_any_order() -> None:
    layer = BatchInstanceNormAct2d(3, apply_act=False).requires_grad_(False)
    residual = torch.randn(2, 3, 4, 4, requires_grad=True)
    y = layer(torch.randn(2, 3, 4, 4), residual)
    (gradient,) = torch.autograd.grad(y.square().sum(), residual, create_graph=True)
    torch.testing.assert_close(gradient, 2 * y)
    torch.testing.assert_close(*torch.autograd.grad(gradient.sum(), residual), torch.full_like(residual, 2.0))


def test_a_residual_of_any_layout_and_dtype_is_added() -> None:
    layer, plain, _ = pair("relu")
    x = batch_of_styles(SHAPE)
    residual = torch.randn(SHAPE, dtype=torch.float32).to(memory_format=torch.channels_last).requires_grad_()
    y = layer(x, residual)
    torch.testing.assert_close(y, torch.relu(plain(x) + residual))
    y.sum().backward()
    assert residual.grad.dtype == torch.float32
    torch.testing.assert_close(residual.grad, (y > 0).float())


def test_compiles_as_one_graph_with_its_residual() -> None:
    torch._dynamo.reset()
    layer, _, _ = pair("relu")
    twin = copy.deepcopy(layer)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    x, residual = batch_of_styles(SHAPE), torch.randn(SHAPE, dtype=torch.float64)
    for a, b in zip(
        outputs_and_gradients(compiled, x, residual, list(layer.parameters())),
        outputs_and_gradients(twin, x, residual, list(twin.parameters())),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_loads_the_state_of_a_batch_norm_with_activation() -> None:
    batch_norm = nn.BatchNorm2d(5)
    layer = BatchInstanceNormAct2d(5).eval()
    layer.load_state_dict(batch_norm.state_dict())
    x = torch.randn(2, 5, 4, 4)
    torch.testing.assert_close(layer(x), torch.relu(batch_norm.eval()(x)))
