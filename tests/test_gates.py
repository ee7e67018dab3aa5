"""The gates of a model: their names, their optimizer group, their summary."""

from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrize, prune

import binorm
from binorm import BatchInstanceNorm2d, gate_parameters, gate_summary, named_gates, param_groups


class Network(nn.Module):
    """Two layers of its own, one of them used under two names, beside other parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.first = BatchInstanceNorm2d(4)
        self.block = nn.Sequential(nn.Conv2d(4, 4, 3), BatchInstanceNorm2d(4, gate_init=0.5, affine=False))
        self.again = self.first
        self.batch_norm = nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.batch_norm(self.again(self.block(self.first(self.conv(x)))))


MODELS = {
    "network": Network,
    "layer alone": lambda: BatchInstanceNorm2d(3),
    "gates alone": lambda: BatchInstanceNorm2d(3, affine=False),
    "without gates": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)),
    "frozen gates": lambda: freeze_gates(Network()),
    "1d and 3d": lambda: nn.ModuleList([binorm.BatchInstanceNorm1d(3), binorm.BatchInstanceNorm3d(3)]),
}


def freeze_gates(model: nn.Module) -> nn.Module:
    for gate in gate_parameters(model):
        gate.requires_grad_(False)
    return model


def layer_with_gates(gates: list[float], dtype: torch.dtype = torch.float32) -> BatchInstanceNorm2d:
    layer = BatchInstanceNorm2d(len(gates), dtype=dtype)
    layer.gate.data.copy_(torch.tensor(gates, dtype=torch.float64))
    return layer


def test_gates_are_named_as_in_named_parameters_each_once() -> None:
    model = Network()
    gates = dict(named_gates(model))
    assert list(gates) == ["first.gate", "block.1.gate"]
    parameters = dict(model.named_parameters())
    assert all(gates[name] is parameters[name] for name in gates)
    assert [id(gate) for gate in gate_parameters(model)] == [id(gate) for gate in gates.values()]


def test_gate_of_a_layer_alone_is_named_as_in_named_parameters() -> None:
    layer = BatchInstanceNorm2d(3)
    assert [(name, id(gate)) for name, gate in named_gates(layer)] == [("gate", id(layer.gate))]


def test_other_parameters_called_gate_are_no_gates() -> None:
    model = nn.Module()
    model.gate = nn.Parameter(torch.full((3,), 7.0))
    assert list(named_gates(model)) == []
    assert torch.equal(model.gate, torch.full((3,), 7.0))


@pytest.mark.parametrize(
    "read", [named_gates, gate_parameters, gate_summary, lambda model: param_groups(model, lr=0.1)]
)
def test_no_way_to_the_gates_changes_them(read) -> None:
    model = nn.Sequential(layer_with_gates([-1.0, 0.5, 2.0]))
    list(read(model))
    assert torch.equal(model[0].gate, torch.tensor([-1.0, 0.5, 2.0]))


def test_summary_is_of_the_gates_as_they_are_used() -> None:
    assert gate_summary(layer_with_gates([-1.0, 0.5, 2.0])) == gate_summary(layer_with_gates([0.0, 0.5, 1.0]))


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_is_in_exactly_one_group(name) -> None:
    model = MODELS[name]()
    grouped = [id(parameter) for group in param_groups(model, lr=0.1) for parameter in group["params"]]
    assert sorted(grouped) == sorted(id(parameter) for parameter in model.parameters())


def test_a_gate_that_two_layers_share_is_in_one_group_once() -> None:
    first, second = BatchInstanceNorm2d(3), BatchInstanceNorm2d(3)
    second.gate = first.gate
    model = nn.Sequential(first, second)
    grouped = [id(parameter) for group in param_groups(model, lr=0.1) for parameter in group["params"]]
    assert sorted(grouped) == sorted(id(parameter) for parameter in model.parameters())
    assert [summary.name for summary in gate_summary(model)] == ["0", "1"]


def test_gates_learn_ten_times_as_fast_and_do_not_decay() -> None:
    model = Network()
    weights, gates = param_groups(model, lr=0.1, weight_decay=5e-4)
    assert {key: value for key, value in weights.items() if key != "params"} == {
        "name": "weights",
        "lr": 0.1,
        "weight_decay": 5e-4,
    }
    assert {key: value for key, value in gates.items() if key != "params"} == {
        "name": "gates",
        "lr": 1.0,
        "weight_decay": 0.0,
        "gate_range": (0.0, 1.0),
    }
    assert [id(gate) for gate in gates["params"]] == [id(model.first.gate), id(model.block[1].gate)]


def test_the_scale_of_the_gates_learning_rate_can_be_chosen() -> None:
    rates = {group["name"]: group["lr"] for group in param_groups(Network(), lr=0.2, gate_lr_scale=3.0)}
    assert rates == {"weights": 0.2, "gates": pytest.approx(0.6)}


@pytest.mark.parametrize(
    ("name", "groups"), [("without gates", ["weights"]), ("gates alone", ["gates"]), ("network", ["weights", "gates"])]
)
def test_a_group_without_parameters_is_left_out(name, groups) -> None:
    assert [group["name"] for group in param_groups(MODELS[name](), lr=0.1)] == groups


def test_sgd_moves_gates_by_ten_times_the_learning_rate_and_frozen_ones_not_at_all() -> None:
    for freeze in (False, True):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 4, 1), BatchInstanceNorm2d(4, gate_init=0.5))
        if freeze:
            freeze_gates(model)
        optimizer = torch.optim.SGD(param_groups(model, lr=0.01, weight_decay=0.1))
        model(torch.randn(4, 3, 5, 5)).pow(3).mean().backward()
        bias, bias_gradient = model[1].bias.detach().clone(), model[1].bias.grad
        optimizer.step()
        step = torch.zeros(4) if freeze else 0.1 * model[1].gate.grad
        torch.testing.assert_close(model[1].gate.detach(), 0.5 - step)
        torch.testing.assert_close(model[1].bias.detach(), bias - 0.01 * (bias_gradient + 0.1 * bias))


def test_summary_has_one_line_per_layer_in_the_models_order() -> None:
    first, second = gate_summary(Network())
    assert (first.name, first.channels, first.mean) == ("first", 4, 1.0)
    assert (second.name, second.channels, second.mean) == ("block.1", 4, 0.5)
    assert gate_summary(BatchInstanceNorm2d(3))[0].name == ""
    assert gate_summary(nn.Conv2d(3, 4, 1)) == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_summary_counts_shares_and_bins(dtype) -> None:
    gates = [0.0, 0.05, 0.25, 0.3, 0.35, 0.5, 0.95, 1.0]
    (summary,) = gate_summary(layer_with_gates(gates, dtype))
    assert summary.channels == 8
    assert summary.mean == pytest.approx(sum(gates) / 8)
    assert (summary.below, summary.above) == (2 / 8, 2 / 8)
    assert summary.histogram == (2, 0, 1, 2, 0, 1, 0, 0, 0, 2)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("gate", "bin"), [(0.0, 0), (0.3, 3), (0.5, 5), (1.0, 9)])
def test_a_gate_on_an_edge_is_counted_in_the_bin_above_and_1_in_the_last(gate, bin, dtype) -> None:
    (summary,) = gate_summary(layer_with_gates([gate], dtype))
    assert list(summary.histogram) == [int(index == bin) for index in range(10)]


@settings(derandomize=True, deadline=None, max_examples=50)
@given(gates=st.lists(st.floats(0, 1, width=32), min_size=1, max_size=20))
def test_summary_of_any_gates_is_that_of_their_exact_values(gates) -> None:
    (summary,) = gate_summary(layer_with_gates(gates))
    expected = [0] * 10
    for gate in gates:
        expected[min(int(Fraction(gate) * 10), 9)] += 1
    assert list(summary.histogram) == expected
    assert sum(summary.histogram) == summary.channels == len(gates)
    assert summary.mean == pytest.approx(float(sum(map(Fraction, gates)) / len(gates)))
    assert summary.below == pytest.approx(sum(gate < 0.1 for gate in gates) / len(gates))
    assert summary.above == pytest.approx(sum(gate > 0.9 for gate in gates) / len(gates))


def test_summary_is_free_of_the_graph() -> None:
    layer = layer_with_gates([0.2, 0.4])
    assert isinstance(gate_summary(layer)[0].mean, float)
    assert layer.gate.grad is None


class Sigmoid(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(x)

    def right_inverse(self, gate: torch.Tensor) -> torch.Tensor:
        return torch.logit(gate)


class OneForAll(nn.Module):
    """A single number for all channels."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.expand(4)

    def right_inverse(self, gate: torch.Tensor) -> torch.Tensor:
        return gate[:1].clone()


def computed_gate(how: str) -> nn.Module:
    layer = layer_with_gates([0.1, 0.2, 0.3, 0.4])
    if how == "pruned":
        prune.l1_unstructured(layer, "gate", amount=2)
    else:
        parametrize.register_parametrization(layer, "gate", Sigmoid() if how == "sigmoid" else OneForAll())
    return layer


@pytest.mark.parametrize(
    ("how", "name", "mean"),
    [
        ("pruned", "gate_orig", 0.175),
        ("sigmoid", "parametrizations.gate.original", 0.25),
        ("one for all", "parametrizations.gate.original", 0.1),
    ],
)
def test_a_gate_that_is_computed_trains_by_what_it_is_computed_from(how, name, mean) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), computed_gate(how))
    ((found, parameter),) = named_gates(model)
    assert found == f"1.{name}"
    assert parameter is dict(model.named_parameters())[found]
    assert gate_summary(model)[0].mean == pytest.approx(mean)
    grouped = [id(each) for group in param_groups(model, lr=0.1) for each in group["params"]]
    assert sorted(grouped) == sorted(id(each) for each in model.parameters())
    optimizer = torch.optim.SGD(param_groups(model, lr=10.0))
    before = parameter.detach().clone()
    model(torch.randn(4, 3, 5, 5) * torch.rand(4, 1, 1, 1)).pow(3).mean().backward()
    optimizer.step()
    expected = before - 100.0 * parameter.grad
    if how == "pruned":
        expected = expected.clamp(0, 1)
    torch.testing.assert_close(parameter.detach(), expected)
    other = nn.Sequential(nn.Conv2d(3, 4, 1), computed_gate(how))
    other.load_state_dict(model.state_dict())  # its own state, not a batch norm's without a gate
    assert torch.equal(other[1].gate, model[1].gate)


def test_pruned_gates_are_clipped_however_they_were_given_to_the_optimizer() -> None:
    for groups in (lambda model: param_groups(model, lr=100.0), lambda model: model.parameters()):
        layer = computed_gate("pruned")
        layer(torch.randn(4, 4, 5, 5) * torch.rand(4, 1, 1, 1)).pow(3).mean().backward()
        torch.optim.SGD(groups(layer), lr=1e4).step()
        assert layer.gate_orig.min() >= 0
        assert layer.gate_orig.max() <= 1
    layer.gate_orig.data.fill_(7.0)
    binorm.clip_gates_(layer)
    assert torch.equal(layer.gate_orig, torch.ones(4))


def test_gates_that_are_not_here_are_an_error_that_says_where() -> None:
    with pytest.raises(ValueError, match="the gate of 1 has no values here .it is on the meta device, of 3 channels"):
        gate_summary(nn.Sequential(nn.Identity(), BatchInstanceNorm2d(3, device="meta")))
    shard = nn.Sequential(BatchInstanceNorm2d(3))
    shard[0].gate = nn.Parameter(torch.empty(0))  # as FullyShardedDataParallel leaves it in some process
    with pytest.raises(ValueError, match=r"of 0 has no values here .it is a shard of shape \(0,\).*summon_full_params"):
        gate_summary(shard)


def test_a_gate_inside_of_another_parameter_cannot_have_a_group() -> None:
    layer = BatchInstanceNorm2d(3)
    flat = nn.utils.parameters_to_vector(layer.parameters()).detach().requires_grad_()
    del layer.gate
    layer.gate = flat[-3:]
    with pytest.raises(ValueError, match=r"the gate of the layer is no parameter.*use_orig_params=True"):
        param_groups(layer, lr=0.1)


def test_the_summary_prints_as_a_table_with_a_line_for_all() -> None:
    model = nn.Sequential(layer_with_gates([0.0, 0.55, 1.0, 1.0]), nn.Sequential(layer_with_gates([0.95, 1.0])))
    head, *rows = str(gate_summary(model)).splitlines()
    assert head.startswith("layer  gates   mean  below 0.1  above 0.9")
    assert [row.split() for row in rows] == [
        ["0", "4", "0.638", "25.0", "%", "50.0", "%", "1", "0", "0", "0", "0", "1", "0", "0", "0", "2"],
        ["1.0", "2", "0.975", "0.0", "%", "100.0", "%", "0", "0", "0", "0", "0", "0", "0", "0", "0", "2"],
        ["all", "6", "0.750", "16.7", "%", "66.7", "%", "1", "0", "0", "0", "0", "1", "0", "0", "0", "4"],
    ]
    assert str(gate_summary(nn.Conv2d(3, 4, 3))) == "no batch-instance norms"


def test_gates_are_drawn_a_row_a_layer(tmp_path: object) -> None:
    pytest.importorskip("matplotlib")
    model = nn.Sequential(layer_with_gates([0.0, 0.55, 1.0, 1.0]), nn.Sequential(layer_with_gates([0.95, 1.0])))
    figure = binorm.plot_gates(model)
    (image,) = figure.axes[0].images
    assert image.get_array().tolist()[0] == [0.25, 0, 0, 0, 0, 0.25, 0, 0, 0, 0.5]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["0", "1.0"]
    figure.savefig(f"{tmp_path}/gates.png")
    with pytest.raises(ValueError, match="no batch-instance norms whose gates could be drawn"):
        binorm.plot_gates(nn.Conv2d(3, 4, 3))
