"""Batch norm to batch-instance norm and back: what is kept, what is refused."""

import copy

import pytest
import torch
from naive import BATCH_NORMS, LAYERS, SHAPES, batch_of_styles, randomize_
from torch import nn
from torch.nn.utils import parametrize

import binorm
from binorm import convert_batch_norm, revert_to_batch_norm


def randomized(dims: int, **options: object) -> nn.Module:
    return randomize_(BATCH_NORMS[dims](4 if dims != 4 else 3, **options)).eval()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("affine", [True, False])
@torch.no_grad()
def test_evaluation_keeps_its_bits_there_and_back(shape, dtype, affine) -> None:
    norm = randomized(len(shape), affine=affine).to(dtype)
    keys, x = list(norm.state_dict()), batch_of_styles(shape, dtype)
    expected = norm(x)
    converted = convert_batch_norm(norm)
    assert type(converted) is LAYERS[len(shape)]
    assert torch.equal(converted(x), expected)
    reverted = revert_to_batch_norm(converted)
    assert type(reverted) is BATCH_NORMS[len(shape)]
    assert torch.equal(reverted(x), expected)
    assert list(reverted.state_dict()) == keys


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_a_step_gives_the_same_to_rounding(shape, training) -> None:
    norm = randomized(len(shape), dtype=torch.float64).train(training)
    converted = convert_batch_norm(copy.deepcopy(norm))
    results, inputs = [], batch_of_styles(shape)
    for each in (norm, converted):
        x = inputs.clone().requires_grad_()
        y = each(x)
        y.square().mean().backward()
        results.append([y.detach(), x.grad, each.weight.grad, each.bias.grad, *each.buffers()])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    assert converted.gate.grad.abs().min() > 0


class Network(nn.Module):
    """Norms in several places and of several kinds, one of them used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, eps=1e-3, momentum=None))
        self.norm = nn.BatchNorm2d(4, momentum=0.3)
        self.again = self.norm
        self.plain = nn.BatchNorm1d(5, affine=False, track_running_stats=False)
        self.other = nn.GroupNorm(2, 4)
        self.unused = None


def test_conversion_keeps_what_a_network_is() -> None:
    model = Network()
    model.norm.eval()
    model.norm.weight.requires_grad_(False)
    model.norm.num_batches_tracked.fill_(7)
    seen = []
    handle = model.norm.register_forward_hook(lambda *_: seen.append(1))
    before = copy.deepcopy(model)
    tensors = {name: id(each) for name, each in [*model.named_parameters(), *model.named_buffers()]}
    norms = {name: each for name, each in model.named_modules() if "Norm" in type(each).__name__}

    assert convert_batch_norm(model) is model
    after = dict(model.named_modules())
    assert all(after[name] is norm for name, norm in norms.items())
    assert model.again is model.norm
    assert {name: type(after[name]) for name in norms} == {
        "stem.1": binorm.BatchInstanceNorm2d,
        "norm": binorm.BatchInstanceNorm2d,
        "plain": binorm.BatchInstanceNorm1d,
        "other": nn.GroupNorm,
    }
    now = {name: id(each) for name, each in [*model.named_parameters(), *model.named_buffers()]}
    assert {name: each for name, each in now.items() if not name.endswith("gate")} == tensors
    assert [name for name, _ in binorm.named_gates(model)] == ["stem.1.gate", "norm.gate", "plain.gate"]
    assert model.norm.gate.requires_grad
    assert torch.equal(model.norm.gate, torch.ones(4))
    for name in ("stem.1", "norm", "plain"):
        assert after[name].extra_repr() == dict(before.named_modules())[name].extra_repr()
        assert after[name].training == dict(before.named_modules())[name].training
    assert not model.norm.weight.requires_grad
    assert model.norm.num_batches_tracked == 7
    model.norm(torch.randn(2, 4, 3, 3))
    handle.remove()
    model.norm(torch.randn(2, 4, 3, 3))
    assert seen == [1]


def test_what_conversion_makes_is_what_the_constructor_makes() -> None:
    converted = convert_batch_norm(nn.BatchNorm2d(4))
    built = binorm.BatchInstanceNorm2d(4)
    assert set(vars(converted)) - {"converted_from"} == set(vars(built))
    assert list(converted.state_dict()) == list(built.state_dict())
    assert converted.state_dict()._metadata == built.state_dict()._metadata
    binorm.BatchInstanceNorm2d(4).load_state_dict(converted.state_dict())
    converted.gate.data.fill_(0.5)
    converted.reset_parameters()
    assert torch.equal(converted.gate, torch.ones(4))


def test_an_optimizer_goes_on_with_the_parameters_that_it_holds() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9)
    convert_batch_norm(model)
    weight = model[1].weight.detach().clone()
    model(torch.randn(2, 3, 5, 5)).square().mul(torch.rand(2, 4, 3, 3)).mean().backward()
    optimizer.step()
    assert not torch.equal(model[1].weight, weight)
    assert torch.equal(model[1].gate, torch.ones(4))


@pytest.mark.parametrize("options", [{}, {"affine": False, "track_running_stats": False}], ids=["own", "the model's"])
def test_a_gate_has_device_and_dtype_of_its_layer_or_else_of_its_model(options) -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, device="meta", dtype=torch.bfloat16),
        nn.BatchNorm2d(4, device="meta", dtype=torch.bfloat16, **options),
    )
    gate = convert_batch_norm(model)[1].gate
    assert (gate.device.type, gate.dtype) == ("meta", torch.bfloat16)


def test_a_synchronised_batch_norm_keeps_its_process_group() -> None:
    norm = randomize_(nn.SyncBatchNorm(4, process_group="group")).eval()
    x = torch.randn(2, 4, 3)
    with torch.no_grad():
        expected = norm(x)
        assert torch.equal(convert_batch_norm(norm)(x), expected)
    assert type(norm) is binorm.SyncBatchInstanceNorm
    assert norm.process_group == "group"
    assert type(revert_to_batch_norm(norm)) is nn.SyncBatchNorm
    assert norm.process_group == "group"


def test_a_layer_that_was_synchronised_since_stays_synchronised_on_the_way_back() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    keys = set(vars(nn.SyncBatchNorm(4)))
    model = binorm.convert_sync_batch_instance_norm(convert_batch_norm(model), "group")
    revert_to_batch_norm(model)
    assert type(model[1]) is nn.SyncBatchNorm
    assert set(vars(model[1])) == keys


def test_both_ways_leave_alone_what_is_converted_already() -> None:
    model = nn.Sequential(nn.BatchNorm2d(3), binorm.BatchInstanceNorm2d(3, gate_init=0.5))
    convert_batch_norm(model)
    gates = list(binorm.gate_parameters(model))
    convert_batch_norm(model)
    assert all(now is before for now, before in zip(binorm.gate_parameters(model), gates, strict=True))
    assert model[1].gate_init == 0.5
    norm = nn.BatchNorm2d(3)
    assert type(revert_to_batch_norm(norm)) is nn.BatchNorm2d


@pytest.mark.parametrize("function", [convert_batch_norm, revert_to_batch_norm])
def test_a_network_without_either_norm_is_an_error_that_names_its_norms(function) -> None:
    with pytest.raises(ValueError, match=r"but Sequential has neither \(.*names: GroupNorm, LayerNorm\)"):
        function(nn.Sequential(nn.LayerNorm(3), nn.GroupNorm(1, 3), nn.LayerNorm(3)))
    with pytest.raises(ValueError, match=r"but Linear has neither \(.*: none\)"):
        function(nn.Linear(1, 1))


def test_a_lazy_norm_needs_one_batch_first() -> None:
    model = nn.Sequential(nn.BatchNorm1d(3), nn.LazyBatchNorm1d())
    with pytest.raises(ValueError, match="^1 is a LazyBatchNorm1d without parameters yet: run one batch"):
        convert_batch_norm(model)
    assert type(model[0]) is nn.BatchNorm1d  # nothing has changed
    model(torch.randn(2, 3))
    assert type(convert_batch_norm(model)[1]) is binorm.BatchInstanceNorm1d


def test_what_adds_to_batch_norm_is_not_silently_replaced() -> None:
    class BatchNormAct2d(nn.BatchNorm2d):  # of this name, but not timm's
        pass

    model = nn.ModuleDict({"stem": nn.BatchNorm2d(3), "stage": nn.Sequential(BatchNormAct2d(3))})
    with pytest.raises(TypeError, match=r"stage\.0 is a .*BatchNormAct2d, a subclass of batch norm: .* would lose"):
        convert_batch_norm(model)
    assert type(model["stem"]) is nn.BatchNorm2d
    for norm in (BatchNormAct2d(3), torch.ao.nn.quantized.BatchNorm2d(3)):
        with pytest.raises(TypeError, match=r"^the module is a .* a subclass of batch norm"):
            convert_batch_norm(norm)


def test_a_parametrized_norm_and_one_with_a_forward_of_its_own_are_errors() -> None:
    norm = nn.BatchNorm2d(3)
    parametrize.register_parametrization(norm, "weight", nn.Softplus())
    with pytest.raises(TypeError, match="a subclass of batch norm"):
        convert_batch_norm(norm)
    wrapped = nn.BatchNorm2d(3)
    wrapped.forward = wrapped.forward
    with pytest.raises(TypeError, match="forward of its own"):
        convert_batch_norm(wrapped)


def test_gates_below_one_have_no_way_back() -> None:
    model = convert_batch_norm(nn.Sequential(*(nn.BatchNorm2d(2) for _ in range(4))))
    model[1].gate.data[0] = 0.9
    model[2].gate.data[1] = -3.0  # outside, as after an optimizer's step
    model[3].gate.data.fill_(4.0)
    with pytest.raises(
        ValueError,
        match=r"^2 of 4 layers have gates below 1, .*: 1 \(smallest gate 0\.8999\d*\), 2 \(smallest gate 0\)\. tol",
    ):
        revert_to_batch_norm(model)
    assert all(type(each) is binorm.BatchInstanceNorm2d for each in model)
    model[2].gate.data[1] = float("nan")
    with pytest.raises(ValueError, match=r"2 \(smallest gate nan\)"):
        revert_to_batch_norm(model, tolerance=1.0)


def test_a_tolerance_takes_gates_near_one_for_one() -> None:
    norm = convert_batch_norm(nn.BatchNorm2d(2))
    norm.gate.data[0] = 0.9
    with pytest.raises(ValueError, match=r"gates below 0\.91"):
        revert_to_batch_norm(norm, tolerance=0.09)
    assert type(revert_to_batch_norm(norm, tolerance=0.1)) is nn.BatchNorm2d
    for tolerance in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r"tolerance should be in \[0, 1\]"):
            revert_to_batch_norm(norm, tolerance=tolerance)


def test_layers_built_as_batch_instance_norm_go_to_batch_norm_where_there_is_one() -> None:
    model = nn.Sequential(binorm.BatchInstanceNorm3d(2), binorm.BatchInstanceNormAct2d(2))
    with pytest.raises(TypeError, match="^1 is a BatchInstanceNormAct2d, and was built as one"):
        revert_to_batch_norm(model)
    assert type(model[0]) is binorm.BatchInstanceNorm3d
    assert type(revert_to_batch_norm(model[0])) is nn.BatchNorm3d


def test_a_subclass_of_batch_instance_norm_has_no_way_back() -> None:
    class Special(binorm.BatchInstanceNorm2d):
        pass

    model = nn.Sequential(Special(2))
    assert type(convert_batch_norm(model)[0]) is Special
    with pytest.raises(TypeError, match="^0 is a Special, a subclass of batch-instance norm"):
        revert_to_batch_norm(model)


def test_the_examples_in_the_docstrings_work() -> None:
    model = convert_batch_norm(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
    torch.optim.SGD(binorm.param_groups(model, lr=0.01), momentum=0.9)
    assert str(type(revert_to_batch_norm(model)[1])) == "<class 'torch.nn.modules.batchnorm.BatchNorm2d'>"
