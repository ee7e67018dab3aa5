"""The operator ``binorm::batch_instance_norm`` among PyTorch's other parts, and what it refuses.

PyTorch's own examination of operators, differentiation of first and second order and forward mode, what is saved,
checkpoints, autocast, function transforms, export and compilation; wrong arguments straight to the operator.
"""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from naive import batch_of_styles, randomize_
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.utils.checkpoint import checkpoint

import binorm
from binorm.backends import cpu, reference
from binorm.functional import batch_instance_norm

cpu.load()  # without its kernels this file fails, and says why: a build that broke must not look like a pass

forward = torch.ops.binorm.batch_instance_norm.default
backward = torch.ops.binorm.batch_instance_norm_backward.default
update_running_statistics = torch.ops.binorm.update_running_statistics.default

SETTINGS = (1e-5, "identity", 0.1)
ACTIVATIONS = ["identity", "relu", "relu6", "leaky_relu", "silu", "gelu"]
LAYOUTS = [
    ((6, 4), False),
    ((5, 4, 7), False),
    ((4, 3, 5, 6), False),
    ((4, 3, 5, 6), True),
    ((3, 4, 2, 5, 3), True),
]
CASES = [  # activation, residual, affine, training
    ("identity", False, True, True),
    ("identity", True, True, False),
    ("relu", True, False, True),
    ("relu6", True, False, True),
    ("leaky_relu", False, True, False),
    ("silu", True, True, True),
    ("gelu", False, False, True),
]


def laid_out(x: Tensor, channels_last: bool) -> Tensor:
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    return x.contiguous(memory_format=formats[x.dim()] if channels_last else torch.contiguous_format)


def random_arguments(
    shape: tuple[int, ...],
    channels_last: bool = False,
    dtype: torch.dtype = torch.float64,
    *,
    affine: bool = True,
    residual: bool = False,
    training: bool = True,
    requires_grad: bool = False,
) -> list[Tensor | None]:
    """Input, gate, weight, bias, residual, mean and var."""
    torch.manual_seed(sum(shape))
    channels, vector_dtype = shape[1], torch.promote_types(dtype, torch.float32)
    gate, weight, bias, mean, var = (torch.rand(channels).to(vector_dtype) + 0.1 for _ in range(5))
    x, other = (laid_out(batch_of_styles(shape, dtype), channels_last) for _ in range(2))
    differentiable = [
        x, gate, weight if affine else None, bias if affine else None, other if residual else None
    ]  # fmt: skip
    for each in differentiable:
        if each is not None:
            each.requires_grad_(requires_grad)
    return [*differentiable, *((None, None) if training else (mean, var))]


def loss_of(output: Tensor) -> Tensor:
    return output.pow(3).sum() + output.sum()


def gradients(output: Tensor, inputs: list[Tensor | None], **options: Any) -> list[Tensor]:
    return list(torch.autograd.grad(loss_of(output), [each for each in inputs if each is not None], **options))


def assert_all_close(some: list[Tensor], others: list[Tensor]) -> None:
    for a, b in zip(some, others, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


# ---- PyTorch's own examination of operators

# It reads the gradients of copies that are no leaves.
opchecks = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")


@opchecks
@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize(("activation", "residual", "affine", "training"), CASES)
@pytest.mark.parametrize(("shape", "channels_last"), LAYOUTS, ids=str)
def test_opcheck_passes_the_forward_operator(
    shape, channels_last, activation, residual, affine, training, requires_grad
) -> None:
    arguments = random_arguments(
        shape, channels_last, affine=affine, residual=residual, training=training, requires_grad=requires_grad
    )
    torch.library.opcheck(forward, (*arguments, 1e-5, activation, 0.1))


@opchecks
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("channels_last", [False, True])
def test_opcheck_passes_the_forward_operator_in_other_dtypes(channels_last, dtype) -> None:
    arguments = random_arguments((4, 3, 5, 6), channels_last, dtype, residual=True, requires_grad=True)
    torch.library.opcheck(forward, (*arguments, 1e-5, "silu", 0.1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("activation", "residual", "affine", "training"), CASES)
@pytest.mark.parametrize("channels_last", [False, True])
def test_opcheck_passes_the_backward_operator(channels_last, activation, residual, affine, training, dtype) -> None:
    arguments = random_arguments(
        (4, 3, 5, 6), channels_last, dtype, affine=affine, residual=residual, training=training
    )
    _, statistics = forward(*arguments, 1e-5, activation, 0.1)
    grad_output = torch.randn_like(arguments[0])
    torch.library.opcheck(
        backward, (grad_output, *arguments[:5], statistics, arguments[5] is None, 1e-5, activation, 0.1)
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("given", ["both", "mean", "var", "neither"])
def test_opcheck_passes_the_update_of_running_statistics(given, dtype) -> None:
    statistics = torch.rand(2, 5, 3, dtype=torch.promote_types(dtype, torch.float32))
    mean = torch.randn(3).to(dtype) if given in ("both", "mean") else None
    var = torch.rand(3).to(dtype) if given in ("both", "var") else None
    torch.library.opcheck(update_running_statistics, (mean, var, statistics, 0.1, 40))


# ---- differentiation


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_first_and_second_gradients_are_exact(activation, residual, training, channels_last) -> None:
    *inputs, mean, var = random_arguments(
        (2, 3, 2, 2), channels_last, residual=residual, training=training, requires_grad=True
    )
    inputs = [each for each in inputs if each is not None]

    def norm(x: Tensor, gate: Tensor, weight: Tensor, bias: Tensor, residual: Tensor | None = None) -> Tensor:
        return batch_instance_norm(
            x, gate, weight, bias, mean, var, training, residual=residual, activation=activation, negative_slope=0.1
        )

    assert torch.autograd.gradcheck(norm, inputs)
    assert torch.autograd.gradgradcheck(norm, inputs)


@pytest.mark.parametrize("wanted", range(5))
@pytest.mark.parametrize("activation", ["identity", "relu"])
def test_one_tensor_alone_may_require_a_gradient(activation, wanted) -> None:
    arguments = random_arguments((4, 3, 5, 6), residual=True, requires_grad=True)
    x, gate, weight, bias, residual, *_ = arguments

    def norm(x, gate, weight, bias, residual) -> Tensor:
        return batch_instance_norm(
            x, gate, weight, bias, training=True, residual=residual, activation=activation
        )  # fmt: skip

    expected = gradients(norm(x, gate, weight, bias, residual), [arguments[wanted]])
    others = [each.detach() for each in arguments[:5]]
    others[wanted].requires_grad_()
    norm(*others).pow(3).sum().backward(retain_graph=True)
    others[wanted].grad = None
    loss_of(norm(*others)).backward()
    assert_all_close([others[wanted].grad], expected)
    assert all(each.grad is None for i, each in enumerate(others) if i != wanted)


def test_nothing_that_requires_a_gradient_makes_no_graph() -> None:
    x, gate, *_ = random_arguments((4, 3, 5, 6))
    assert batch_instance_norm(x, gate, training=True).grad_fn is None
    with torch.no_grad():
        assert batch_instance_norm(x.requires_grad_(), gate, training=True).grad_fn is None
    assert batch_instance_norm(x, gate, training=True).grad_fn is not None


def test_output_may_be_used_twice_and_the_graph_kept() -> None:
    x, gate, *_ = random_arguments((4, 3, 5, 6), requires_grad=True)
    results = []
    for norm in (batch_instance_norm, reference.batch_instance_norm):
        output = norm(x, gate, None, None, None, None, True, 0.1, 1e-5, activation="silu")
        combined = output.exp().mean() + (output * output.detach().flip(0)).sum()
        first = torch.autograd.grad(combined, [x, gate], retain_graph=True)
        second = torch.autograd.grad(combined, [x, gate])
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
        results.append(first)
        with pytest.raises(RuntimeError, match="second time"):
            torch.autograd.grad(combined, [x, gate])
    assert_all_close(*results)


def test_input_changed_in_place_before_the_backward_pass_is_an_error() -> None:
    x, gate, *_ = random_arguments((4, 3, 5, 6))
    gate.requires_grad_()
    output = batch_instance_norm(x, gate, training=True)
    x.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()


def test_output_may_be_changed_in_place() -> None:
    """As an in-place ReLU behind the norm does."""
    x, gate, *_ = random_arguments((4, 3, 5, 6), requires_grad=True)
    changed = F.relu(batch_instance_norm(x, gate, training=True), inplace=True)
    apart = F.relu(batch_instance_norm(x, gate, training=True))
    assert_all_close(gradients(changed, [x, gate]), gradients(apart, [x, gate]))


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # PyTorch's, in forward mode's first use
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("activation", ["identity", "silu"])
def test_forward_mode_differentiation_gives_the_references_tangents(activation, training) -> None:
    *inputs, mean, var = random_arguments((4, 3, 5, 6), residual=True, training=training)
    tangents = [torch.randn_like(each) for each in inputs]
    results = []
    for norm in (batch_instance_norm, reference.batch_instance_norm):
        with forward_ad.dual_level():
            x, gate, weight, bias, residual = (
                forward_ad.make_dual(*pair) for pair in zip(inputs, tangents, strict=True)
            )  # fmt: skip
            output = norm(
                x, gate, weight, bias, mean, var, training, 0.1, 1e-5, residual=residual, activation=activation
            )  # fmt: skip
            results.append(list(forward_ad.unpack_dual(output)))
    assert results[0][1] is not None
    assert_all_close(*results)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("activation", ["identity", "relu", "gelu"])
def test_saved_for_the_backward_pass_are_the_input_and_numbers_of_instances(activation, dtype, channels_last) -> None:
    torch.manual_seed(0)
    n, c = 4, 8
    layer = binorm.BatchInstanceNormAct2d(c, act_layer=None if activation == "identity" else activation)
    x = laid_out(torch.randn(n, c, 32, 32, dtype=dtype), channels_last).requires_grad_()
    saved: dict[int, int] = {}  # bytes of each memory

    def note(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        layer(x)
    assert x.untyped_storage().data_ptr() in saved
    assert sum(saved.values()) <= x.numel() * x.element_size() + 16 * n * c * 4


# ---- training loops' tools


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_activation_checkpoints_give_the_same_gradients_and_move_statistics_twice_as_in_batch_norm(
    use_reentrant,
) -> None:
    torch.manual_seed(1)
    x = batch_of_styles((4, 3, 5, 6)).requires_grad_()

    def train(norm: nn.Module, checkpointed: bool) -> tuple[list[Tensor], list[Tensor]]:
        """Output and gradients; the buffers."""

        def block(x: Tensor) -> Tensor:
            return norm(x).sin()  # computed again up to the last tensor that is saved: the sine's input

        x.grad = None
        output = checkpoint(block, x, use_reentrant=use_reentrant) if checkpointed else block(x)
        output.pow(2).sum().backward()
        return [output.detach(), x.grad, norm.weight.grad, norm.bias.grad], list(norm.buffers())

    plain, _ = train(binorm.BatchInstanceNorm2d(3, dtype=torch.float64), False)
    checkpointed, buffers = train(binorm.BatchInstanceNorm2d(3, dtype=torch.float64), True)
    _, of_batch_norm = train(nn.BatchNorm2d(3, dtype=torch.float64), True)
    assert_all_close(checkpointed, plain)
    assert_all_close(buffers, of_batch_norm)
    assert buffers[-1] == 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_autocast_changes_as_much_as_it_does_in_batch_norm(training, dtype) -> None:
    torch.manual_seed(2)
    x = torch.randn(4, 3, 5, 6).to(dtype).requires_grad_()
    found = []
    for norm in (binorm.BatchInstanceNorm2d(3), nn.BatchNorm2d(3)):
        norm.train(training)
        with torch.autocast("cpu", torch.bfloat16):
            output = norm(x)
        grad_x, grad_weight = torch.autograd.grad(output.float().pow(3).sum(), [x, norm.weight])
        found.append((output, grad_x, grad_weight, norm.running_mean))
    for ours, batch_norms in zip(*found, strict=True):
        assert ours.dtype == batch_norms.dtype
        torch.testing.assert_close(ours, batch_norms, rtol=2e-2, atol=2e-2)


def test_autocast_network_trains() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), binorm.BatchInstanceNormAct2d(8), nn.Conv2d(8, 2, 1))
    with torch.autocast("cpu", torch.bfloat16):
        output = network(torch.randn(4, 3, 8, 8))
    assert output.dtype == torch.bfloat16
    output.float().square().mean().backward()
    assert all(each.grad is not None and each.grad.dtype == torch.float32 for each in network.parameters())


def test_inference_mode_computes_the_same() -> None:
    layer, x = randomize_(binorm.BatchInstanceNorm2d(3)), torch.randn(4, 3, 5, 6)
    twin = copy.deepcopy(layer)
    expected = layer(x), layer.eval()(x)
    with torch.inference_mode():
        found = twin(x), twin.eval()(x)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.is_inference()
        assert torch.equal(ours, theirs)
    assert torch.equal(twin.running_var, layer.running_var)


@pytest.mark.parametrize("way", ["deepcopy", "pickle"])
@pytest.mark.parametrize("make", [binorm.BatchInstanceNorm2d, binorm.BatchInstanceNormAct2d])
def test_copies_of_a_layer_compute_alike_and_apart(make, way) -> None:
    layer, x = randomize_(make(3)), torch.randn(4, 3, 5, 6)
    layer(x)  # the kernels are in use already
    twin = copy.deepcopy(layer) if way == "deepcopy" else pickle.loads(pickle.dumps(layer))
    before = twin.running_mean.clone()
    assert torch.equal(copy.deepcopy(layer)(x), layer(x))
    assert torch.equal(twin.running_mean, before)
    assert torch.equal(twin(x), layer(x))


# ---- function transforms and tracing


def test_functional_call_uses_the_parameters_that_it_is_given() -> None:
    torch.manual_seed(3)
    layer, other = (randomize_(binorm.BatchInstanceNorm2d(3, dtype=torch.float64)) for _ in range(2))
    x = batch_of_styles((4, 3, 5, 6))
    state = {name: each.clone() for name, each in other.state_dict().items()}
    before = copy.deepcopy(layer.state_dict())
    output = torch.func.functional_call(layer, state, (x,))
    torch.testing.assert_close(output, other(x))
    assert all(torch.equal(before[name], each) for name, each in layer.state_dict().items())
    torch.testing.assert_close(state["running_mean"], other.running_mean)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_vmap_over_models_and_functional_gradients(activation) -> None:
    torch.manual_seed(4)
    x = batch_of_styles((4, 3, 5, 6))
    gates, weights = torch.rand(2, 2, 3, dtype=torch.float64)

    def norm(gate: Tensor, weight: Tensor, x: Tensor = x) -> Tensor:
        return batch_instance_norm(x, gate, weight, training=True, activation=activation)

    def each_alone(function: Callable[..., Tensor]) -> Tensor:
        return torch.stack([function(*pair) for pair in zip(gates, weights, strict=True)])

    def loss(gate: Tensor, weight: Tensor) -> Tensor:
        return loss_of(norm(gate, weight))

    def gradient(gate: Tensor, weight: Tensor) -> Tensor:
        gate = gate.clone().requires_grad_()
        return torch.autograd.grad(loss(gate, weight), gate)[0]

    torch.testing.assert_close(torch.vmap(norm)(gates, weights), each_alone(norm))
    torch.testing.assert_close(torch.vmap(torch.func.grad(loss))(gates, weights), each_alone(gradient))
    images = torch.stack([x, x.flip(0) * 2])
    torch.testing.assert_close(
        torch.vmap(norm, (None, None, 0))(gates[0], weights[0], images),
        torch.stack([norm(gates[0], weights[0], each) for each in images]),
    )


def test_exports_with_dynamic_batch_and_size() -> None:
    torch.manual_seed(5)
    layer = randomize_(binorm.BatchInstanceNormAct2d(3, act_layer="gelu")).eval()
    sizes = {0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    exported = torch.export.export(layer, (torch.randn(4, 3, 5, 6),), dynamic_shapes=(sizes,))
    for shape in ((4, 3, 5, 6), (2, 3, 9, 4)):
        x = torch.randn(shape)
        torch.testing.assert_close(exported.module()(x), layer(x))


@pytest.mark.parametrize("training", [True, False])
def test_compiles_without_breaks_for_changing_sizes(training) -> None:
    torch.manual_seed(6)
    torch._dynamo.reset()
    layer = randomize_(binorm.BatchInstanceNormAct2d(3, dtype=torch.float64)).train(training)
    twin = copy.deepcopy(layer)
    graphs = []

    def counted(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Any:
        graphs.append(graph)
        return torch._dynamo.lookup_backend("aot_eager")(graph, inputs)

    compiled = torch.compile(layer, backend=counted, fullgraph=True, dynamic=True)
    made = []
    for shape in ((4, 3, 5, 6), (7, 3, 5, 6), (2, 3, 8, 9), (5, 3, 16, 4)):
        x = batch_of_styles(shape).requires_grad_()
        found, expected = compiled(x), twin(x)
        assert_all_close([found, *gradients(found, [x])], [expected, *gradients(expected, [x])])
        made.append(len(graphs))
    assert_all_close(list(layer.buffers()), list(twin.buffers()))
    assert made[0] == made[-1]  # no size was compiled anew
    assert torch._dynamo.explain(layer)(torch.randn(3, 3, 4, 4, dtype=torch.float64)).graph_break_count == 0


def test_tensor_subclasses_see_plain_operations() -> None:
    """A subclass meets operators that it knows, and its type comes out."""

    class Named(Tensor):
        pass

    layer, x = randomize_(binorm.BatchInstanceNorm2d(3)).eval(), torch.randn(4, 3, 5, 6)
    output = layer(x.as_subclass(Named))
    assert type(output) is Named
    torch.testing.assert_close(output.as_subclass(Tensor), layer(x))
    with torch._subclasses.FakeTensorMode() as mode:
        fake = mode.from_tensor(x)
        fake_layer = binorm.BatchInstanceNorm2d(3)
        assert fake_layer(fake).shape == x.shape


def test_meta_tensors_have_shapes_and_layout() -> None:
    layer = binorm.BatchInstanceNorm2d(3, device="meta")
    x = torch.randn(4, 3, 5, 6, device="meta").to(memory_format=torch.channels_last)
    output = layer(x)
    assert (output.device.type, output.stride()) == ("meta", x.stride())


# ---- wrong arguments, straight to the operator


def wrong(position: int, value: object, **options: Any) -> list[object]:
    arguments: list[object] = [*random_arguments((4, 3, 5, 6), dtype=torch.float32, **options), *SETTINGS]
    arguments[position] = value
    return arguments


@pytest.mark.parametrize(
    ("position", "value", "message"),
    [
        (0, torch.randn(4, 3, 5, 6).half(), "float32, float64 and bfloat16"),
        (0, torch.ones(4, 3, 5, 6, dtype=torch.int64), "float32, float64 and bfloat16"),
        (0, torch.randn(4, 3, 6, 5).transpose(2, 3), "contiguous or channels-last"),
        (0, torch.randn(3), "2 to 5 dimensions"),
        (0, torch.randn(0, 3, 5, 6), "expected a batch"),
        (1, torch.ones(4), "expected 3 values, one for each channel"),
        (1, torch.ones(3, 1), "expected 3 values, one for each channel"),
        (1, torch.ones(3, dtype=torch.int64), "should be floating point"),
        (2, torch.ones(2), "expected 3 values"),
        (3, torch.ones(30), "expected 3 values"),
        (4, torch.randn(4, 3, 5, 5), "residual should have the shape, strides and dtype"),
        (4, torch.randn(4, 3, 5, 6).double(), "residual should have the shape, strides and dtype"),
        (4, torch.randn(4, 3, 5, 6).to(memory_format=torch.channels_last), "residual should have the shape, strides"),
        (5, torch.ones(3), "mean and var should be given together"),
        (6, torch.ones(3), "mean and var should be given together"),
        (8, "tanh", "unknown activation 'tanh'.*identity, relu, relu6, leaky_relu, silu or gelu"),
    ],
)
def test_wrong_arguments_are_errors(position, value, message) -> None:
    with pytest.raises(RuntimeError, match=message):
        forward(*wrong(position, value))


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.randn(3, 4).T,
        lambda: torch.randn(4, 1).expand(4, 3),
        lambda: torch.randn(8, 3)[::2],
        lambda: torch.randn(4, 6)[:, ::2],
        lambda: torch.randn(1, 3, 5, 6).to(memory_format=torch.channels_last).expand(4, 3, 5, 6),
        lambda: torch.randn(8, 3, 5, 6).to(memory_format=torch.channels_last)[::2],
        lambda: torch.randn(4, 1, 5, 6).expand(4, 3, 5, 6),
        lambda: torch.randn(4, 3, 1, 1).expand(4, 3, 5, 6),
    ],
    ids=[
        "transposed", "expanded channels", "every second sample", "every second channel", "channels last expanded",
        "channels last, every second sample", "expanded channels 4d", "expanded spatially",
    ],
)  # fmt: skip
def test_memory_with_gaps_or_overlaps_is_refused(make) -> None:
    x = make()
    with pytest.raises(RuntimeError, match="contiguous or channels-last"):
        forward(x, torch.ones(3), *[None] * 5, *SETTINGS)


@pytest.mark.parametrize(
    ("position", "value", "message"),
    [
        (0, torch.randn(4, 3, 5, 5), "grad_output should have the shape, strides and dtype"),
        (0, torch.tensor(1.0).expand(4, 3, 5, 6), "grad_output should have the shape, strides and dtype"),
        (5, torch.randn(4, 3, 6, 5).transpose(2, 3), "residual should have the shape, strides and dtype"),
        (6, torch.rand(2, 4, 3), "not the statistics of this input"),
        (6, torch.rand(2, 5, 4), "not the statistics of this input"),
        (6, torch.rand(30), "not the statistics of this input"),
        (6, torch.rand(2, 5, 3).double(), "not the statistics of this input"),
        (6, torch.rand(2, 5, 3).int(), "not the statistics of this input"),
        (6, torch.rand(1, 1, 1).expand(2, 5, 3), "not the statistics of this input"),
        (9, "tanh", "unknown activation 'tanh'"),
    ],
)
def test_wrong_arguments_of_the_backward_operator_are_errors(position, value, message) -> None:
    x, gate, weight, bias, residual, *_ = random_arguments((4, 3, 5, 6), dtype=torch.float32, residual=True)
    arguments = [torch.randn_like(x), x, gate, weight, bias, residual, torch.rand(2, 5, 3), True, *SETTINGS]
    arguments[position] = value
    with pytest.raises(RuntimeError, match=message):
        backward(*arguments)


@pytest.mark.parametrize(
    ("mean", "var", "statistics"),
    [
        (torch.ones(4), None, torch.rand(2, 5, 3)),
        (None, torch.ones(2), torch.rand(2, 5, 3)),
        (torch.ones(3, dtype=torch.int64), None, torch.rand(2, 5, 3)),
        (torch.ones(3), None, torch.rand(6)),
        (torch.ones(3), None, torch.rand(2, 5, 3).bfloat16()),
        (torch.ones(3), None, torch.rand(1, 1, 1).expand(2, 5, 3)),
        (torch.ones(3), None, torch.rand(1, 5, 3)),
        (torch.ones(3), None, torch.rand(2, 0, 3)),
    ],
    ids=[
        "long mean", "short var", "integers", "flat statistics", "bfloat16 statistics", "expanded statistics",
        "means only", "no statistics",
    ],
)  # fmt: skip
def test_running_statistics_that_do_not_fit_are_errors(mean, var, statistics) -> None:
    with pytest.raises((RuntimeError, IndexError)):
        update_running_statistics(mean, var, statistics, 0.1, 40)


def test_vectors_of_any_stride_are_read_and_updated() -> None:
    x, gate, weight, bias, *_ = random_arguments((4, 3, 5, 6))
    strided = [torch.stack([each, each + 1], 1)[:, 0] for each in (gate, weight, bias)]
    assert_all_close(
        [forward(x, *strided, *[None] * 3, *SETTINGS)[0]], [forward(x, gate, weight, bias, *[None] * 3, *SETTINGS)[0]]
    )
    memory = torch.zeros(3, 2, dtype=torch.float64)
    batch_instance_norm(x, gate, None, None, memory[:, 0], memory[:, 1], True, 1.0)
    torch.testing.assert_close(memory, torch.stack([x.mean((0, 2, 3)), x.var((0, 2, 3))], 1))
