"""The layers: constructors, errors, running statistics and degenerate batches as batch norm's, and the evaluation."""

import inspect
import pickle

import pytest
import torch
from naive import BATCH_NORMS, LAYERS, SHAPES, batch_of_styles, naive_batch_instance_norm, randomize_
from torch import Tensor, nn

import binorm

PAIRS = [
    (binorm.BatchInstanceNorm1d, nn.BatchNorm1d),
    (binorm.BatchInstanceNorm2d, nn.BatchNorm2d),
    (binorm.BatchInstanceNorm3d, nn.BatchNorm3d),
]


def layer_and_batch_norm(shape: tuple[int, ...], **options) -> tuple[nn.Module, nn.Module]:
    """A fresh layer, whose gates are 1, and a batch norm with the same random parameters and statistics."""
    layer = randomize_(LAYERS[len(shape)](shape[1], **options))
    layer.gate.data.fill_(1.0)
    batch_norm = BATCH_NORMS[len(shape)](shape[1], **options)
    batch_norm.load_state_dict({key: value for key, value in layer.state_dict().items() if key != "gate"})
    return layer, batch_norm


def buffers_of(module: nn.Module) -> dict[str, Tensor]:
    return {name: buffer.clone() for name, buffer in module.named_buffers()}


def assert_same_buffers(module: nn.Module, expected: dict[str, Tensor], **tolerance: float) -> None:
    buffers = buffers_of(module)
    assert buffers.keys() == expected.keys()
    for name, buffer in buffers.items():
        torch.testing.assert_close(buffer, expected[name], **tolerance)


@pytest.mark.parametrize(("layer", "batch_norm"), PAIRS)
def test_constructor_has_batch_norms_order_and_defaults(layer, batch_norm) -> None:
    ours, theirs = (inspect.signature(cls).parameters for cls in (layer, batch_norm))
    positional = [p for p in ours.values() if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    expected = [p for p in theirs.values() if p.name not in ("device", "dtype", "bias")]
    assert [(p.name, p.default) for p in positional] == [(p.name, p.default) for p in expected]
    keywords = {p.name: p.default for p in ours.values() if p.kind is inspect.Parameter.KEYWORD_ONLY}
    assert keywords == {"gate_init": 1.0, "device": None, "dtype": None}


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("track_running_stats", [True, False])
def test_parameters_and_buffers_are_batch_norms_and_the_gate(affine, track_running_stats) -> None:
    options = {"affine": affine, "track_running_stats": track_running_stats}
    layer, batch_norm = binorm.BatchInstanceNorm2d(3, **options), nn.BatchNorm2d(3, **options)
    assert [name for name, _ in layer.named_buffers()] == [name for name, _ in batch_norm.named_buffers()]
    assert {name for name, _ in layer.named_parameters()} == {"gate", *(n for n, _ in batch_norm.named_parameters())}
    assert all(parameter.requires_grad for parameter in layer.parameters())
    expected = {**batch_norm.state_dict(), "gate": torch.ones(3)}
    assert all(torch.equal(tensor, expected[name]) for name, tensor in layer.state_dict().items())


@pytest.mark.parametrize("options", [{}, {"eps": 1e-3, "momentum": None}, {"affine": False}], ids=str)
def test_repr_is_batch_norms_and_names_only_an_unusual_gate(options) -> None:
    expected = nn.BatchNorm2d(3, **options).extra_repr()
    assert binorm.BatchInstanceNorm2d(3, **options).extra_repr() == expected
    assert binorm.BatchInstanceNorm2d(3, gate_init=0.5, **options).extra_repr() == expected + ", gate_init=0.5"


@pytest.mark.parametrize("gate_init", [-0.1, 1.1, float("nan"), float("inf")])
def test_gate_init_outside_the_unit_interval_is_refused(gate_init) -> None:
    with pytest.raises(ValueError, match=rf"gate_init should be in \[0, 1\].*got {gate_init}"):
        binorm.BatchInstanceNorm2d(3, gate_init=gate_init)


@pytest.mark.parametrize("gate_init", [0.0, 0.3, 1.0])
def test_reset_parameters_restores_every_start(gate_init) -> None:
    layer = binorm.BatchInstanceNorm2d(3, gate_init=gate_init)
    start = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    assert torch.equal(start["gate"], torch.full((3,), gate_init))
    with torch.no_grad():
        for tensor in layer.state_dict().values():
            tensor.fill_(7)
    layer.reset_parameters()
    assert all(torch.equal(tensor, start[name]) for name, tensor in layer.state_dict().items())


def test_layer_can_be_built_on_meta_and_materialised() -> None:
    layer = binorm.BatchInstanceNorm2d(3, gate_init=0.25, device="meta", dtype=torch.float64)
    assert {tensor.device.type for tensor in layer.state_dict().values()} == {"meta"}
    assert layer(torch.empty(2, 3, 4, 4, device="meta", dtype=torch.float64)).shape == (2, 3, 4, 4)
    layer.to_empty(device="cpu").reset_parameters()
    assert torch.equal(layer.gate, torch.full((3,), 0.25, dtype=torch.float64))
    assert torch.equal(layer.running_var, torch.ones(3, dtype=torch.float64))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_output_is_that_of_the_formula(shape, affine, training) -> None:
    torch.manual_seed(0)
    layer = randomize_(LAYERS[len(shape)](shape[1], eps=1e-3, affine=affine, dtype=torch.float64)).train(training)
    x = batch_of_styles(shape)
    vectors = (layer.gate, layer.weight, layer.bias, layer.running_mean, layer.running_var)
    expected = naive_batch_instance_norm(x, *vectors, training=training, eps=1e-3)
    torch.testing.assert_close(layer(x), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("momentum", [0.1, 0.7, 1.0, None])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_fresh_layer_trains_and_evaluates_as_batch_norm(shape, momentum) -> None:
    torch.manual_seed(1)
    layer, batch_norm = layer_and_batch_norm(shape, momentum=momentum, dtype=torch.float64)
    for training in (True, True, True, False):
        x, grad_output = batch_of_styles(shape), torch.randn(shape, dtype=torch.float64)
        results = []
        for norm in (layer.train(training), batch_norm.train(training)):
            inputs = [x.clone().requires_grad_(), norm.weight, norm.bias]
            output = norm(inputs[0])
            results.append([output, *torch.autograd.grad(output, inputs, grad_output)])
        for ours, theirs in zip(*results, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
        assert_same_buffers(layer, buffers_of(batch_norm), rtol=1e-12, atol=1e-12)
    assert layer.num_batches_tracked == 3


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_momentum_1_keeps_the_batchs_unbiased_statistics(shape) -> None:
    torch.manual_seed(2)
    layer = LAYERS[len(shape)](shape[1], momentum=1.0, gate_init=0.5, dtype=torch.float64)
    x = batch_of_styles(shape)
    layer(x)
    values = x.transpose(0, 1).flatten(1)
    torch.testing.assert_close(layer.running_mean, values.mean(1))
    torch.testing.assert_close(layer.running_var, values.var(1, correction=1))


def test_momentum_none_keeps_the_plain_average_over_all_batches() -> None:
    torch.manual_seed(3)
    layer = binorm.BatchInstanceNorm2d(3, momentum=None, dtype=torch.float64)
    batches = [batch_of_styles((4, 3, 5, 6)) for _ in range(4)]
    for x in batches:
        layer(x)
    torch.testing.assert_close(layer.running_mean, torch.stack([x.mean((0, 2, 3)) for x in batches]).mean(0))
    torch.testing.assert_close(layer.running_var, torch.stack([x.var((0, 2, 3)) for x in batches]).mean(0))


@pytest.mark.parametrize("momentum", [0.1, None])
def test_without_running_statistics_evaluation_uses_the_batchs_own(momentum) -> None:
    torch.manual_seed(4)
    layer = binorm.BatchInstanceNorm2d(4, momentum=momentum, track_running_stats=False, dtype=torch.float64)
    randomize_(layer)
    x = batch_of_styles((3, 4, 5, 6))
    expected = naive_batch_instance_norm(x, layer.gate, layer.weight, layer.bias)
    torch.testing.assert_close(layer.train()(x), expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(layer.eval()(x), expected, rtol=1e-10, atol=1e-10)


def test_switching_track_running_stats_off_leaves_the_buffers_bit_identical() -> None:
    torch.manual_seed(5)
    layer, batch_norm = layer_and_batch_norm((4, 3, 5, 6))
    x = torch.randn(4, 3, 5, 6)
    layer(x)
    batch_norm(x)
    before = buffers_of(layer)
    for training in (True, False):
        layer.track_running_stats = batch_norm.track_running_stats = False
        torch.testing.assert_close(layer.train(training)(x), batch_norm.train(training)(x))
        assert all(torch.equal(buffer, before[name]) for name, buffer in buffers_of(layer).items())
    layer.track_running_stats = True
    layer.train()(x)
    assert layer.num_batches_tracked == 2


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(0, 3, 5, 6), (2, 3, 0, 6), (0, 3), (0, 3, 7), (0, 3, 2, 5, 6)], ids=str)
def test_empty_batch_does_what_batch_norm_does(shape, training) -> None:
    layer, batch_norm = layer_and_batch_norm(shape)
    buffers = []
    for norm in (layer, batch_norm):
        x = torch.randn(shape, requires_grad=True)
        output = norm.train(training)(x)
        output.sum().backward()
        assert output.shape == x.grad.shape == shape
        assert all(torch.equal(parameter.grad, torch.zeros(3)) for parameter in norm.parameters())
        buffers.append(buffers_of(norm))
    assert all(torch.equal(buffers[0][name], buffers[1][name]) for name in buffers[1])
    assert layer.num_batches_tracked == int(training)


ACCEPTED = {nn.BatchNorm1d: (2, 3), nn.BatchNorm2d: (4,), nn.BatchNorm3d: (5,)}
REFUSED = [(*pair, dims) for pair in PAIRS for dims in range(1, 7) if dims not in ACCEPTED[pair[1]]]


@pytest.mark.parametrize(("layer", "batch_norm", "dims"), REFUSED)
def test_input_of_wrong_dimension_raises_batch_norms_error(layer, batch_norm, dims) -> None:
    messages = []
    for norm in (layer(3), batch_norm(3)):
        with pytest.raises(ValueError, match=rf"\(got {dims}D input\)") as error:
            norm(torch.randn((3,) * dims))
        messages.append(str(error.value))
    assert messages[0] == messages[1]


@pytest.mark.parametrize(("training", "tracking"), [(True, True), (True, False), (False, False)])
@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1), (1, 3, 1, 1), (1, 3, 1, 1, 1)], ids=str)
def test_one_value_per_channel_raises_batch_norms_error_where_the_batch_is_what_counts(
    shape, training, tracking
) -> None:
    messages = []
    for norm in layer_and_batch_norm(shape, track_running_stats=tracking):
        with pytest.raises(ValueError, match="Expected more than 1 value per channel") as error:
            norm.train(training)(torch.randn(shape))
        messages.append(str(error.value))
    assert messages[0] == messages[1]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_wrong_number_of_channels_is_refused(shape) -> None:
    channels = shape[1]
    with pytest.raises(ValueError, match=rf"should have shape \({channels},\) .*got \({channels + 1},\)"):
        LAYERS[len(shape)](channels + 1)(torch.randn(shape))


@pytest.mark.parametrize("shape", [(1, 4), (1, 4, 1), (1, 4, 1, 1), (1, 4, 1, 1, 1)], ids=str)
def test_one_single_value_per_channel_evaluates_to_batch_norm_scaled_by_the_gate(shape) -> None:
    torch.manual_seed(6)
    layer = randomize_(LAYERS[len(shape)](4)).eval()
    column = (1, 4, *(1 for _ in shape[2:]))
    gate, weight, bias, mean, var = (
        vector.detach().view(column)
        for vector in (layer.gate, layer.weight, layer.bias, layer.running_mean, layer.running_var)
    )
    x = torch.randn(shape)
    torch.testing.assert_close(layer(x).detach(), gate * (x - mean) / (var + 1e-5).sqrt() * weight + bias)


EVALUATED = [*SHAPES, (7, 5, 1, 1), (6, 3, 33, 31), (5, 2, 200, 200)]


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shape", EVALUATED, ids=str)
def test_evaluation_of_a_sample_does_not_depend_on_the_others(shape, dtype, memory_format) -> None:
    """Bit for bit, in any order and in batches of any size."""
    if memory_format == torch.channels_last and len(shape) != 4:
        memory_format = torch.channels_last_3d if len(shape) == 5 else torch.contiguous_format
    torch.manual_seed(7)
    layer = randomize_(LAYERS[len(shape)](shape[1])).eval()
    x = batch_of_styles(shape, dtype).to(memory_format=memory_format)
    with torch.no_grad():
        output = layer(x)
        order = torch.randperm(shape[0])
        assert torch.equal(layer(x[order]), output[order])
        for size in (1, 2, 3):
            assert torch.equal(torch.cat([layer(part) for part in x.split(size)]), output)


@pytest.fixture
def two_threads():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("two_threads")
def test_evaluation_of_one_large_single_channel_sample_differs_by_roundings_alone() -> None:
    # PyTorch splits a reduction to one value among its threads, and so sums in another order than in a batch.
    torch.manual_seed(8)
    layer = randomize_(binorm.BatchInstanceNorm2d(1)).eval()
    layer.gate.data.fill_(0.5)
    x = torch.randn(3, 1, 300, 300)
    torch.testing.assert_close(torch.cat([layer(part) for part in x.split(1)]), layer(x), rtol=1e-6, atol=1e-6)


def test_a_layer_of_an_older_pickle_has_its_eps() -> None:
    layer = binorm.BatchInstanceNorm2d(3, eps=1e-3).eval()
    del vars(layer)["_eps"]
    again = pickle.loads(pickle.dumps(layer))
    assert again.eps == 1e-3
    assert torch.equal(again(torch.ones(1, 3, 2, 2)), torch.ones(1, 3, 2, 2) / (1 + 1e-3) ** 0.5)
