"""The gates are used in [0, 1], are clipped by optimizers' steps, and are written to by nothing else."""

import copy
import gc
import pickle
import warnings
import weakref
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
    "SGD foreach": lambda parameters: torch.optim.SGD(parameters, lr=1.0, momentum=0.9, foreach=True),
    "Adam": lambda parameters: torch.optim.Adam(parameters, lr=0.2),
    "AdamW fused": lambda parameters: torch.optim.AdamW(parameters, lr=0.2, fused=True),
    "RMSprop": lambda parameters: torch.optim.RMSprop(parameters, lr=0.2),
    "Rprop": lambda parameters: torch.optim.Rprop(parameters, lr=0.2),
    "compiled": lambda parameters: compiled_step(torch.optim.SGD(parameters, lr=1.0, momentum=0.9)),
}


def compiled_step(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    optimizer.step = torch.compile(optimizer.step, backend="aot_eager")
    return optimizer


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
    torch._dynamo.reset()
    loss, layer = Pull(), binorm.BatchInstanceNorm2d(CHANNELS, affine=False)
    stepper = OPTIMIZERS[optimizer](layer.parameters())
    for _ in range(30):
        stepper.zero_grad()
        loss(layer).backward()
        stepper.step()
        assert is_in_range(layer.gate)
    assert torch.equal(layer.gate, torch.tensor([0.0, 0.0, 1.0, 1.0]))


def test_the_step_projects_as_the_authors_code_does() -> None:
    """Momentum is the gradient's alone: a gate at a bound turns back when momentum does."""
    loss, layer = Pull(), binorm.BatchInstanceNorm2d(CHANNELS, affine=False)
    gate, velocity = torch.ones(CHANNELS), torch.zeros(CHANNELS)
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0, momentum=0.9)
    for _ in range(20):
        optimizer.zero_grad()
        loss(layer).backward()
        velocity = 0.9 * velocity + layer.gate.grad
        gate = (gate - velocity).clamp(0, 1)
        optimizer.step()
        torch.testing.assert_close(layer.gate.detach(), gate)


def test_a_loop_of_ones_own_computes_with_projected_gates_and_clips_when_told() -> None:
    loss, layer = Pull(), binorm.BatchInstanceNorm2d(CHANNELS, affine=False)
    twin = copy.deepcopy(layer)
    stepper, optimizer = PlainDescent(layer.parameters(), lr=1.0), torch.optim.SGD(twin.parameters(), lr=1.0)
    left_the_range = 0
    for _ in range(20):
        for each, its_layer in ((stepper, layer), (optimizer, twin)):
            each.zero_grad()
            loss(its_layer).backward()
            each.step()
        left_the_range += not is_in_range(layer.gate)
        binorm.clip_gates_(nn.Sequential(layer))
        assert torch.equal(layer.gate, twin.gate)
    assert left_the_range > 0


def test_float32_copies_that_an_optimizer_steps_are_clipped_when_named_and_in_a_group_of_gates() -> None:
    loss = Pull()

    def train(how: str) -> Tensor:
        torch.manual_seed(0)
        model = nn.Sequential(binorm.BatchInstanceNorm2d(CHANNELS))
        own = list(model.parameters())
        masters = [parameter.detach().clone().requires_grad_() for parameter in own]
        optimizer = torch.optim.SGD(binorm.param_groups(model, lr=0.1), momentum=0.9)
        if how == "group":  # as apex and DeepSpeed do
            for group in optimizer.param_groups:
                group["params"] = [masters[[id(p) for p in own].index(id(each))] for each in group["params"]]
        elif how == "named":
            optimizer = torch.optim.SGD(
                [{"params": masters[:2], "lr": 0.1}, {"params": masters[2:], "lr": 1.0}], momentum=0.9
            )
        seen = []
        for step in range(20):
            model.zero_grad()
            (loss(model) * (1 if step < 10 else -1)).backward()
            if how != "plain":
                for master, parameter in zip(masters, own, strict=True):
                    master.grad = parameter.grad.clone()
            optimizer.step()
            if how != "plain":
                with torch.no_grad():
                    for master, parameter in zip(masters, own, strict=True):
                        parameter.copy_(master)
            if how == "named":
                binorm.clip_gates_(model, masters)
            seen.append(model[0].gate.detach().clone())
        return torch.stack(seen)

    plain = train("plain")
    assert plain[0].unique().numel() > 1
    torch.testing.assert_close(train("group"), plain)
    torch.testing.assert_close(train("named"), plain)


def test_masters_of_another_model_are_refused() -> None:
    model = nn.Sequential(nn.Conv2d(3, CHANNELS, 1), binorm.BatchInstanceNorm2d(CHANNELS))
    with pytest.raises(ValueError, match="one tensor for each of the model's 5 parameters.*got 1 tensors"):
        binorm.clip_gates_(model, [torch.zeros(3)])


class KeepsVersions(torch.optim.SGD):
    """As schedule-free optimizers: what is trained with and what is evaluated with are computed from each other."""

    def train(self) -> None: ...

    def eval(self) -> None: ...


def test_an_optimizer_that_keeps_several_versions_of_a_weight_is_left_to_itself() -> None:
    loss, layer = Pull(), binorm.BatchInstanceNorm2d(CHANNELS, affine=False)
    optimizer = KeepsVersions(layer.parameters(), lr=100.0)
    loss(layer).backward()
    optimizer.step()
    assert torch.equal(layer.gate, 1 - 100.0 * layer.gate.grad)
    assert not is_in_range(layer.gate)


def test_a_step_clips_the_gates_that_it_holds_and_no_others() -> None:
    loss = Pull()
    held, other = (binorm.BatchInstanceNorm2d(CHANNELS, affine=False) for _ in range(2))
    other.gate.data.copy_(OUT_OF_RANGE)
    loss(held).backward()
    torch.optim.SGD(held.parameters(), lr=100.0).step()
    assert is_in_range(held.gate)
    assert torch.equal(other.gate, OUT_OF_RANGE)


REPLACEMENTS = {
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "pickle": lambda layer: pickle.loads(pickle.dumps(layer)),
    "dtype": lambda layer: layer.double().float(),
    "assigned": lambda layer: assigned(layer),
    "new parameter": lambda layer: with_new_gate(layer),
    "converted": lambda _: binorm.convert_batch_norm(nn.BatchNorm2d(CHANNELS, affine=False)),
    "synchronised": binorm.convert_sync_batch_instance_norm,
}


def assigned(layer: nn.Module) -> nn.Module:
    layer.load_state_dict({key: value.clone() for key, value in layer.state_dict().items()}, assign=True)
    return layer


def with_new_gate(layer: nn.Module) -> nn.Module:
    layer.gate = nn.Parameter(torch.ones(CHANNELS))
    return layer


@pytest.mark.parametrize("how", REPLACEMENTS)
def test_however_a_layer_and_its_gate_came_to_be_the_step_clips_it(how) -> None:
    loss, layer = Pull(), REPLACEMENTS[how](binorm.BatchInstanceNorm2d(CHANNELS, affine=False))
    loss(layer).backward()
    torch.optim.SGD(layer.parameters(), lr=100.0).step()
    assert torch.equal(layer.gate, torch.tensor([0.0, 0.0, 1.0, 1.0]))


def test_layers_do_not_live_longer_for_being_clipped() -> None:
    layer = binorm.BatchInstanceNorm2d(CHANNELS)
    gone = weakref.ref(layer)
    del layer
    gc.collect()
    assert gone() is None


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


FORWARDS = {
    "training": lambda layer, x: layer.train()(x).sum().backward(),
    "evaluation": lambda layer, x: layer.eval()(x),
    "inference mode": torch.inference_mode()(lambda layer, x: layer.eval()(x)),
    "bfloat16": lambda layer, x: layer(x.bfloat16()),
    "float16": lambda layer, x: layer(x.half()),
    "compiled": lambda layer, x: torch.compile(layer, backend="aot_eager")(x),
    "exported": lambda layer, x: torch.export.export(layer.eval(), (x,)).module()(x),
    "function transform": lambda layer, x: torch.func.grad(lambda x: layer.eval()(x).sum())(x),
    "forward mode": lambda layer, x: torch.func.jvp(layer.eval(), (x,), (x,)),
    "second derivative": lambda layer, x: torch.autograd.grad(
        torch.autograd.grad(layer(x).pow(3).sum(), layer.gate, create_graph=True)[0].sum(), layer.gate
    ),
    "state dict": lambda layer, x: layer.state_dict(),
    "extra_repr": lambda layer, x: repr(layer),
    "eps": lambda layer, x: layer.eps,
}


@pytest.mark.parametrize("way", FORWARDS)
def test_nothing_but_an_optimizers_step_writes_to_the_gate(way) -> None:
    torch._dynamo.reset()
    layer = layer_out_of_range()
    version = layer.gate._version
    with warnings.catch_warnings(action="ignore"):  # PyTorch's forward mode warns of itself
        FORWARDS[way](layer, torch.randn(3, CHANNELS, 5, 5))
    assert torch.equal(layer.gate, OUT_OF_RANGE)
    assert layer.gate._version == version


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_outputs_and_gradients_are_those_of_the_projected_gate(training, dtype) -> None:
    torch.manual_seed(2)
    x, layer = torch.randn(3, CHANNELS, 5, 5).to(dtype), layer_out_of_range().to(dtype).train(training)
    clipped = binorm.BatchInstanceNorm2d(CHANNELS).to(dtype).train(training)
    clipped.gate.data.copy_(CLIPPED)
    grad_output = torch.randn(3, CHANNELS, 5, 5).to(dtype)
    results = []
    for each in (layer, clipped):
        z = x.clone().requires_grad_()
        y = each(z)
        y.backward(grad_output)
        results.append([y, z.grad, *(parameter.grad for parameter in each.parameters())])
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*results, strict=True))
    assert results[0][-1].abs().min() > 0  # the gate's gradient is not cut off outside


@pytest.mark.parametrize("kind", ["computed", "expanded", "read-only memory", "inference tensor", "view of a vector"])
def test_a_gate_that_belongs_to_somebody_else_is_only_read(kind) -> None:
    torch.manual_seed(2)
    x, layer = torch.randn(3, CHANNELS, 5, 5), binorm.BatchInstanceNorm2d(CHANNELS)
    if kind == "read-only memory":
        array = OUT_OF_RANGE.numpy().copy()
        array.flags.writeable = False
        with warnings.catch_warnings(action="ignore"):
            gate = torch.from_numpy(array)
    elif kind == "inference tensor":
        with torch.inference_mode():
            gate = OUT_OF_RANGE.clone()
    else:
        vector = OUT_OF_RANGE.clone()
        gate = {"computed": vector * 1.0, "expanded": vector[1].expand(CHANNELS), "view of a vector": vector[:]}[kind]
    before = gate.clone()
    with torch.no_grad():
        output = torch.func.functional_call(layer, {"gate": gate}, (x,))
    assert torch.equal(gate, before)
    torch.testing.assert_close(output, output_with_gate(before.clamp(0, 1), x))


def test_a_computed_gate_gets_the_gradient_of_its_own_value() -> None:
    """A hypernetwork's exp(theta), whose backward pass reads its result."""
    torch.manual_seed(2)
    x, layer = torch.randn(3, CHANNELS, 5, 5).double(), binorm.BatchInstanceNorm2d(CHANNELS).double()
    theta = torch.tensor([0.3, -1.0, 0.1, -0.2]).double().requires_grad_()
    gate = theta.exp()
    torch.func.functional_call(layer, {"gate": gate}, (x,)).pow(3).sum().backward()
    clipped = gate.detach().clamp(0, 1).requires_grad_()
    (expected,) = torch.autograd.grad(output_with_gate(clipped, x).pow(3).sum(), clipped)
    torch.testing.assert_close(theta.grad, expected * theta.detach().exp())


def test_moving_all_parameters_and_back_leaves_a_network_as_it_was() -> None:
    """As second-order search, zeroth-order fine-tuning and SAM do, with passes in between."""
    torch.manual_seed(2)
    x, layer = torch.randn(3, CHANNELS, 5, 5), binorm.BatchInstanceNorm2d(CHANNELS)
    before = [parameter.detach().clone() for parameter in layer.parameters()]
    moves = [torch.randn(CHANNELS) for _ in before]
    for scale in (1.0, -2.0, 1.0):
        with torch.no_grad():
            for parameter, move in zip(layer.parameters(), moves, strict=True):
                parameter.add_(scale * move)
        layer(x)
    for parameter, value in zip(layer.parameters(), before, strict=True):
        torch.testing.assert_close(parameter.detach(), value, rtol=0, atol=1e-6)


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
    optimizer = torch.optim.SGD(model.parameters(), lr=100.0)
    for _ in range(3):
        optimizer.zero_grad()
        loss(model).backward()
        optimizer.step()
        averaged.update_parameters(model)
        assert is_in_range(averaged.module[0].gate)


def test_a_copy_is_independent_of_its_original() -> None:
    torch.manual_seed(5)
    layer = layer_out_of_range()
    copied = copy.deepcopy(layer)
    copied.gate.data.fill_(0.5)
    assert torch.equal(layer.gate, OUT_OF_RANGE)
    assert isinstance(copied.gate, nn.Parameter)
    assert copied.gate_init == layer.gate_init
