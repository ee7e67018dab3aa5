"""Checkpoints: the layer's own, batch norm's, and clear words about every other."""

import pytest
import torch
from naive import BATCH_NORMS, LAYERS, SHAPES, randomize_
from torch import Tensor, nn

import binorm

OPTIONS = [
    {},
    {"affine": False},
    {"track_running_stats": False},
    {"affine": False, "track_running_stats": False},
]


def trained_batch_norm(shape: tuple[int, ...], **options) -> nn.Module:
    torch.manual_seed(0)
    return randomize_(BATCH_NORMS[len(shape)](shape[1], **options))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_round_trip_restores_every_tensor_bit_for_bit(options) -> None:
    torch.manual_seed(1)
    layer = randomize_(binorm.BatchInstanceNorm2d(4, **options))
    state = layer.state_dict()
    loaded = binorm.BatchInstanceNorm2d(4, **options)
    loaded.load_state_dict(state)
    assert list(loaded.state_dict()) == list(state)
    assert all(torch.equal(tensor, state[name]) for name, tensor in loaded.state_dict().items())


@pytest.mark.parametrize("assign", [False, True])
def test_state_dicts_hold_the_stored_gate_and_loading_restores_it_to_the_bit(assign) -> None:
    """Some optimizers keep gates outside [0, 1], and go on from a checkpoint only with what was there."""
    stored = torch.tensor([-3.0, 0.5, 1.0, 1.25])
    layer, loaded = binorm.BatchInstanceNorm2d(4), binorm.BatchInstanceNorm2d(4)
    layer.gate.data.copy_(stored)
    state = layer.state_dict()
    assert state["gate"].data_ptr() == layer.gate.data_ptr()  # distributed checkpoints load into these very tensors
    loaded.load_state_dict(state, assign=assign)
    assert torch.equal(loaded.gate, stored)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_a_batch_norms_state_that_is_assigned_brings_its_dtype_to_the_gate(dtype) -> None:
    layer = binorm.BatchInstanceNorm2d(3, device="meta", gate_init=0.3)
    layer.load_state_dict(nn.BatchNorm2d(3, dtype=dtype).state_dict(), assign=True)
    assert layer.gate.dtype == layer.weight.dtype == dtype
    assert torch.equal(layer.gate, torch.ones(3, dtype=dtype))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_batch_norms_state_loads_strictly_with_gate_1_and_evaluates_as_batch_norm(shape, options) -> None:
    batch_norm = trained_batch_norm(shape, **options).eval()
    layer = LAYERS[len(shape)](shape[1], gate_init=0.3, **options).eval()
    result = layer.load_state_dict(batch_norm.state_dict(), strict=True)
    assert not result.missing_keys
    assert not result.unexpected_keys
    assert torch.equal(layer.gate, torch.ones(shape[1]))
    x = torch.randn(shape)
    torch.testing.assert_close(layer(x), batch_norm(x))


def test_batch_norms_state_loads_deep_inside_a_model() -> None:
    def model(norm: type[nn.Module]) -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ModuleDict({"norm": norm(4)})["norm"], nn.Sequential(norm(4)))

    batch_norms, ours = model(nn.BatchNorm2d).eval(), model(binorm.BatchInstanceNorm2d).eval()
    randomize_(batch_norms[1])
    randomize_(batch_norms[2][0])
    randomize_(ours[2][0])
    ours.load_state_dict(batch_norms.state_dict())
    x = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(ours(x), batch_norms(x))


def test_batch_norms_state_without_its_batch_counter_loads() -> None:
    """As saved by PyTorch before 0.4.1."""
    state = trained_batch_norm((2, 4, 3, 3)).state_dict()
    del state["num_batches_tracked"]
    del state._metadata
    layer = binorm.BatchInstanceNorm2d(4)
    layer.load_state_dict(state)
    assert torch.equal(layer.running_mean, state["running_mean"])


def test_batch_norms_state_can_be_assigned_to_a_layer_on_meta() -> None:
    layer = binorm.BatchInstanceNorm2d(4, device="meta")
    layer.load_state_dict(trained_batch_norm((2, 4, 3, 3)).state_dict(), assign=True)
    assert {tensor.device.type for tensor in layer.state_dict().values()} == {"cpu"}
    assert torch.equal(layer.gate, torch.ones(4))


def test_loading_leaves_the_given_state_dict_alone() -> None:
    layer = randomize_(binorm.BatchInstanceNorm2d(4))
    state = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    state["gate"] = torch.tensor([-1.0, 0.5, 1.0, 2.0])
    before = {name: tensor.clone() for name, tensor in state.items()}
    binorm.BatchInstanceNorm2d(4).load_state_dict(state)
    assert list(state) == list(before)
    assert all(torch.equal(tensor, before[name]) for name, tensor in state.items())


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_partial_state_without_the_layer_leaves_its_gates_alone(options) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), binorm.BatchInstanceNorm2d(4, gate_init=0.3, **options))
    only_conv = {name: tensor for name, tensor in model.state_dict().items() if name.startswith("0.")}
    result = model.load_state_dict(only_conv, strict=False)
    assert torch.equal(model[1].gate, torch.full((4,), 0.3))
    assert "1.gate" in result.missing_keys


OTHER_NORMS = {
    "instance norm with affine": nn.InstanceNorm2d(4, affine=True),
    "instance norm with statistics": nn.InstanceNorm2d(4, track_running_stats=True),
    "group norm": nn.GroupNorm(2, 4),
    "layer norm": nn.LayerNorm(4),
}


@pytest.mark.parametrize("name", OTHER_NORMS)
def test_the_state_of_another_norm_is_refused_with_a_word_on_what_it_may_be(name) -> None:
    model = nn.Sequential(nn.Identity(), binorm.BatchInstanceNorm2d(4))
    state = nn.Sequential(nn.Identity(), OTHER_NORMS[name]).state_dict()
    with pytest.raises(RuntimeError, match=r"1\.\* is the state of neither.*was it an instance or group norm"):
        model.load_state_dict(state)


def test_the_empty_state_of_a_plain_instance_norm_is_refused_by_the_missing_names() -> None:
    with pytest.raises(RuntimeError, match=r'Missing key.*"weight", "bias", "gate", "running_mean"'):
        binorm.BatchInstanceNorm2d(4).load_state_dict(nn.InstanceNorm2d(4).state_dict())


@pytest.mark.parametrize("norm", [nn.BatchNorm2d, binorm.BatchInstanceNorm2d])
def test_another_number_of_channels_is_refused_with_both(norm) -> None:
    with pytest.raises(RuntimeError, match=r"size mismatch for weight.*\[5\].*\[4\]"):
        binorm.BatchInstanceNorm2d(4).load_state_dict(norm(5).state_dict())


@pytest.mark.parametrize("shape", [(1,), (4, 1), ()], ids=str)
def test_a_gate_of_another_shape_is_refused_by_name(shape) -> None:
    state = binorm.BatchInstanceNorm2d(4).state_dict() | {"gate": torch.ones(shape)}
    with pytest.raises(RuntimeError, match="size mismatch for gate"):
        binorm.BatchInstanceNorm2d(4).load_state_dict(state)


@pytest.mark.parametrize("strict", [True, False])
def test_a_gate_with_nan_is_refused_by_name(strict) -> None:
    model = nn.Sequential(binorm.BatchInstanceNorm2d(4))
    state: dict[str, Tensor] = model.state_dict() | {"0.gate": torch.tensor([0.5, float("nan"), 1.0, 1.0])}
    with pytest.raises(RuntimeError, match=r"0\.gate holds NaN"):
        nn.Sequential(binorm.BatchInstanceNorm2d(4)).load_state_dict(state, strict=strict)
