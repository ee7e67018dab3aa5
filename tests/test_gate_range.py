"""The gates stay in [0, 1] by themselves: with any optimizer, in every forward pass and every state dict."""

import copy
import io
import pickle
from collections.abc import Callable

import pytest
import torch
from naive import batch_of_styles
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import binorm

CHANNELS = 4
OUT_OF_RANGE = torch.tensor([-0.5, 1.5, 0.25, 1.0])
CLIPPED = torch.tensor([0.0, 1.0, 0.25, 1.0])


class PlainDescent:
    """An optimizer that is none of ``torch.optim``'s, and that no hook on those would see."""

    def __init__(self, parameters, lr: float) -> None:
        self.parameters, self.lr = list(parameters), lr

    def zero_grad(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    def step(self) -> None:
        for parameter in self.parameters:
            parameter.data -= self.lr * parameter.grad


OPTIMIZERS: dict[str, Callable] = {
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=1.0, momentum=0.9),
    "Adam": lambda parameters: torch.optim.Adam(parameters, lr=0.2),
    "AdamW": lambda parameters: torch.optim.AdamW(parameters, lr=0.2),
    "none of torch.optim": lambda parameters: PlainDescent(parameters, lr=1.0),
}


class Pull:
    """A loss that pulls the gates of the first half of the channels below 0, and those of the other half above 1."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.x = batch_of_styles((8, CHANNELS, 6, 6), torch.float32)
        by_instance, by_batch = (binorm.BatchInstanceNorm2d(CHANNELS, gate_init=g)(self.x).detach() for g in (0.0, 1.0))
        wanted = torch.tensor([-1.0, -1.0, 2.0, 2.0]).view(1, -1, 1, 1)
        self.target = wanted * by_batch + (1 - wanted) * by_instance

    def __call__(self, model: nn.Module) -> Tensor:
        return nn.functional.mse_loss(model(self.x), self.target)


def watch_gates(layer: nn.Module) -> list[Tensor]:
    """The gates that each forward pass of the layer uses, from now on."""
    seen: list[Tensor] = []
    layer.register_forward_hook(lambda module, inputs, output: seen.append(module.gate.detach().clone()))
    return seen


def is_in_range(gates: Tensor) -> bool:
    return bool(((gates >= 0) & (gates <= 1)).all())


def layer_out_of_range() -> binorm.BatchInstanceNorm2d:
    """As an optimizer's step leaves it."""
    layer = binorm.BatchInstanceNorm2d(CHANNELS)
    layer.gate.data.copy_(OUT_OF_RANGE)
    return layer


def output_with_gate(gate: Tensor, x: Tensor) -> Tensor:
    return binorm.functional.batch_instance_norm(x, gate, training=True)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_gates_of_a_fresh_layer_move_and_stay_in_range_with_any_optimizer(optimizer) -> None:
    loss, layer = Pull(), binorm.BatchInstanceNorm2d(CHANNELS, affine=False)
    used = watch_gates(layer)
    stepper = OPTIMIZERS[optimizer](layer.parameters())
    stepped_out_of_range = 0
    for _ in range(30):
        stepper.zero_grad()
        loss(layer).backward()
        stepper.step()
        stepped_out_of_range += not is_in_range(layer.gate)
        assert is_in_range(layer.state_dict()["gate"])
    assert all(is_in_range(gates) for gates in used)
    assert torch.equal(used[0], torch.ones(CHANNELS))
    assert torch.equal(used[-1], torch.tensor([0.0, 0.0, 1.0, 1.0]))
    assert stepped_out_of_range > 0  # else nothing was clipped


@pytest.mark.parametrize("gate_init", [0.0, 1.0])
def test_gradient_at_the_bounds_is_the_one_of_the_formula_in_both_directions(gate_init) -> None:
    torch.manual_seed(1)
    x = batch_of_styles((8, CHANNELS, 6, 6), torch.float32)
    for sign in (1, -1):
        layer = binorm.BatchInstanceNorm2d(CHANNELS, gate_init=gate_init)
        gate = torch.full((CHANNELS,), gate_init, requires_grad=True)
        grad_output = sign * torch.randn(x.shape)
        layer(x).backward(grad_output)
        (expected,) = torch.autograd.grad(output_with_gate(gate, x), gate, grad_output)
        assert expected.abs().min() > 1e-3
        torch.testing.assert_close(layer.gate.grad, expected)


@pytest.mark.parametrize("training", [True, False])
def test_forward_uses_and_keeps_clipped_gates(training) -> None:
    torch.manual_seed(2)
    x, layer = torch.randn(3, CHANNELS, 5, 5), layer_out_of_range().train(training)
    expected = binorm.BatchInstanceNorm2d(CHANNELS).train(training)
    expected.gate.data.copy_(CLIPPED)
    assert torch.equal(layer(x), expected(x))
    assert torch.equal(layer.gate, CLIPPED)


def test_evaluation_right_after_a_step_uses_clipped_gates() -> None:
    loss, layer = Pull(), binorm.BatchInstanceNorm2d(CHANNELS, affine=False)
    loss(layer).backward()
    torch.optim.SGD(layer.parameters(), lr=100.0).step()
    assert not is_in_range(layer.gate)
    expected = copy.deepcopy(layer).eval()
    expected.gate.data.clamp_(0, 1)
    with torch.inference_mode():
        assert torch.equal(layer.eval()(loss.x), expected(loss.x))
    assert is_in_range(layer.gate)


@pytest.mark.parametrize("passes", [2, 3])
def test_several_forward_passes_may_precede_one_backward_pass(passes) -> None:
    torch.manual_seed(3)
    inputs = [torch.randn(3, CHANNELS, 5, 5, requires_grad=True) for _ in range(passes)]
    layer, gate = layer_out_of_range(), CLIPPED.clone().requires_grad_()
    sum(layer(x).pow(3).mean() for x in inputs).backward()
    gradients = [layer.gate.grad, *(x.grad for x in inputs)]
    loss = sum(output_with_gate(gate, x).pow(3).mean() for x in inputs)
    for ours, expected in zip(gradients, torch.autograd.grad(loss, [gate, *inputs]), strict=True):
        torch.testing.assert_close(ours, expected)


def test_gradient_accumulation_and_a_second_derivative_see_clipped_gates() -> None:
    torch.manual_seed(4)
    x, layer = torch.randn(3, CHANNELS, 5, 5), layer_out_of_range()
    (first,) = torch.autograd.grad(layer(x).pow(3).mean(), layer.gate, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), layer.gate)
    assert second.isfinite().all()
    assert second.abs().max() > 0


def test_gates_survive_the_steps_that_a_gradient_scaler_skips() -> None:
    loss, layer = Pull(), binorm.BatchInstanceNorm2d(CHANNELS, affine=False)
    optimizer = torch.optim.SGD(layer.parameters(), lr=100.0)
    scaler = torch.amp.GradScaler(device="cpu", init_scale=4.0)
    moved = []
    for overflows in (False, True, False):
        before = layer.state_dict()["gate"].clone()
        optimizer.zero_grad()
        scaler.scale(loss(layer) * (float("inf") if overflows else 1.0)).backward()
        scaler.step(optimizer)
        scaler.update()
        moved.append(not torch.equal(layer.state_dict()["gate"], before))
        assert is_in_range(layer.state_dict()["gate"])
    assert moved[:2] == [True, False]
    assert layer.gate.isfinite().all()


@pytest.mark.parametrize("average", ["EMA", "plain"])
def test_an_averaged_copy_of_the_model_has_gates_in_range(average) -> None:
    loss, model = Pull(), nn.Sequential(binorm.BatchInstanceNorm2d(CHANNELS, affine=False))
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.5) if average == "EMA" else None)
    used = watch_gates(averaged.module[0])
    optimizer = torch.optim.SGD(model.parameters(), lr=100.0)
    for _ in range(3):
        optimizer.zero_grad()
        loss(model).backward()
        optimizer.step()
        averaged.update_parameters(model)
        assert not is_in_range(averaged.module[0].gate)
        assert is_in_range(averaged.state_dict()["module.0.gate"])
        averaged(loss.x)
    assert all(is_in_range(gates) for gates in used)


def saved_and_loaded(layer: nn.Module) -> nn.Module:
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    loaded = binorm.BatchInstanceNorm2d(CHANNELS)
    loaded.load_state_dict(torch.load(file, weights_only=True))
    return loaded


COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda layer: pickle.loads(pickle.dumps(layer)),
    "torch.save": saved_and_loaded,
}


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_is_independent_and_clips_its_own_gates(way) -> None:
    torch.manual_seed(5)
    x, layer = torch.randn(3, CHANNELS, 5, 5), layer_out_of_range()
    copied = COPIES[way](layer)
    copied(x)
    assert torch.equal(copied.gate, CLIPPED)
    assert isinstance(copied.gate, nn.Parameter)
    copied.gate.data.fill_(0.5)
    assert torch.equal(layer.state_dict()["gate"], CLIPPED)
    assert copied.gate_init == layer.gate_init


def test_state_dict_of_a_model_holds_clipped_gates_without_a_forward_pass() -> None:
    model = nn.Sequential(nn.Conv2d(3, CHANNELS, 1), nn.Sequential(layer_out_of_range()))
    assert torch.equal(model.state_dict()["1.0.gate"], CLIPPED)


def test_a_forward_pass_leaves_gates_in_range_bit_identical() -> None:
    layer = binorm.BatchInstanceNorm2d(3)
    values = torch.tensor([0.0, 0.1, 1.0])
    layer.gate.data.copy_(values)
    layer(torch.randn(2, 3, 4, 4))
    assert torch.equal(layer.gate, values)
