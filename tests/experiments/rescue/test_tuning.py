"""Tuning: what it cures, what it leaves bit for bit, what remains after an error, and what is refused."""

import copy
from collections.abc import Callable
from dataclasses import astuple
from functools import cache

import pytest
import torch
from torch import Tensor, nn

import binorm
from binorm.experiments.common.errors import DivergenceError, UserError
from binorm.experiments.rescue.tuning import TuningSettings, TuningStep, TuningSummary, tune

CLASSES = 4
SHORT = TuningSettings(steps=6, batch_size=8, evaluate_every=3, held_out_restylings=1, gate_lr=0.1, affine_lr=0.02)


def pictures(count: int = 40, seed: int = 0) -> Tensor:
    """Coloured stripes, whose class is their direction."""
    generator = torch.Generator().manual_seed(seed)
    across = torch.arange(12).float()
    angle = (torch.arange(count) % CLASSES * torch.pi / CLASSES)[:, None, None]
    phase = 6 * torch.rand(count, 1, 1, generator=generator)
    wave = torch.sin(1.6 * (across[:, None] * angle.sin() + across * angle.cos()) + phase)[:, None]
    colour = 0.5 + torch.rand(count, 3, 1, 1, generator=generator)
    noise = 0.3 * torch.randn(count, 3, 12, 12, generator=generator)
    return (127 + 40 * (wave * colour + noise)).clamp(0, 255).to(torch.uint8)


def normalize(given: Tensor) -> Tensor:
    return (given.float() - 127) / 64


def darker(given: Tensor, generator: torch.Generator) -> Tensor:
    """Darker and flatter, each picture by a number of its own."""
    scale = 0.25 + 0.4 * torch.rand(len(given), 1, 1, 1, generator=generator)
    return (given.float() * scale).round().to(torch.uint8)


@cache
def _trained() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(8, CLASSES),
        )  # fmt: skip
        optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
        for step in range(60):
            loss = nn.functional.cross_entropy(network(normalize(pictures(40, step))), torch.arange(40) % CLASSES)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network.eval().requires_grad_(True)


def trained() -> nn.Sequential:
    """A small network of batch norms that knows the stripes."""
    return copy.deepcopy(_trained())


def calibrated() -> tuple[nn.Module, nn.Module]:
    """The network with calibrated gates, and as it was before."""
    network = binorm.convert_batch_norm(trained())
    teacher = copy.deepcopy(network)
    clean = pictures(24, 5)
    restyled = darker(clean, torch.Generator().manual_seed(1))
    binorm.calibrate_gates(network, (normalize(clean), normalize(restyled)))
    return network, teacher


def tuned(settings: TuningSettings = SHORT, **arguments: object) -> tuple[nn.Module, TuningSummary]:
    network, teacher = calibrated()
    return network, tune(network, teacher, pictures(), darker, normalize, settings, **arguments)


def state(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def same_bits(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def gates(network: nn.Module) -> list[Tensor]:
    return [each.detach() for each in binorm.gate_parameters(network)]


def divergence(network: nn.Module, teacher: nn.Module, clean: Tensor, shown: Tensor) -> float:
    """The mean KL(teacher of clean || network of shown), by its definition."""
    with torch.no_grad():
        wanted, got = teacher(normalize(clean)).softmax(1), network(normalize(shown)).softmax(1)
    return (wanted * (wanted / got).log()).sum(1).mean().item()


def test_cures_a_style_shift_on_pictures_never_seen() -> None:
    network, teacher = calibrated()
    fresh = pictures(64, 9)
    shifted = darker(fresh, torch.Generator().manual_seed(3))
    start = divergence(network, teacher, fresh, shifted)
    settings = TuningSettings(
        steps=40, batch_size=16, held_out_restylings=2, gate_lr=0.05, affine_lr=0.02, clean_weight=0.3
    )
    summary = tune(network, teacher, pictures(80), darker, normalize, settings)
    assert summary.end.loss < 0.7 * summary.start.loss
    assert summary.end.restyled_agreement > summary.start.restyled_agreement
    assert divergence(network, teacher, fresh, shifted) < 0.8 * start


def test_scores_are_those_of_the_state_that_remains() -> None:
    """The whole of the held-out pictures, here all but one of them, is scored with the network as it is returned."""
    network, teacher = calibrated()
    seen: list[Tensor] = []

    def restyle(given: Tensor, generator: torch.Generator) -> Tensor:
        seen.append(given)
        return darker(given, generator)

    summary = tune(network, teacher, pictures(), restyle, normalize, SHORT)
    held = seen[0]  # restyled first, once and for all
    assert len(held) == 8
    assert summary.end.clean_divergence == pytest.approx(divergence(network, teacher, held, held), rel=1e-4)
    assert summary.kept == 6
    assert not any(torch.equal(each, other) for batch in seen[1:] for each in batch for other in held)


def test_only_norms_learn_and_statistics_stay() -> None:
    network, teacher = calibrated()
    first, taught = state(network), state(teacher)
    tune(network, teacher, pictures(), darker, normalize, SHORT)
    changed = {name for name, value in state(network).items() if not torch.equal(value, first[name])}
    assert changed == {f"{layer}.{kind}" for layer in (1, 4) for kind in ("gate", "weight", "bias")}
    assert same_bits(state(teacher), taught)
    assert all(((gate >= 0) & (gate <= 1)).all() for gate in gates(network))


def test_a_rate_of_zero_leaves_its_group() -> None:
    start, _ = calibrated()
    network, _ = tuned(TuningSettings(**{**vars(SHORT), "gate_lr": 0.0, "pull": 0.5}))
    assert all(torch.equal(now, was) for now, was in zip(gates(network), gates(start), strict=True))
    assert not torch.equal(network[1].weight, start[1].weight)
    network, _ = tuned(TuningSettings(**{**vars(SHORT), "affine_lr": 0.0}))
    assert torch.equal(network[1].weight, start[1].weight)
    assert not torch.equal(network[1].gate, start[1].gate)


def test_modes_gradients_and_the_global_generator_are_as_before() -> None:
    network, teacher = calibrated()
    network.train()
    network[4].eval()
    teacher.train()
    network[0].weight.requires_grad_(False)
    kept = network[1].weight.grad = torch.ones(8)
    torch.manual_seed(5)
    expected = torch.get_rng_state()
    with torch.no_grad():
        tune(network, teacher, pictures(), darker, normalize, SHORT)
    assert torch.equal(torch.get_rng_state(), expected)
    assert [each.training for each in (network, network[1], network[4], teacher)] == [True, True, False, True]
    assert [each.requires_grad for each in network.parameters()] == [False] + 11 * [True]
    assert network[1].weight.grad is kept
    assert torch.equal(kept, torch.ones(8))
    assert all(each.grad is None for each in network.parameters() if each is not network[1].weight)


def test_same_seed_same_bits() -> None:
    (one, summary), (other, again) = tuned(), tuned()
    assert same_bits(state(one), state(other))
    assert astuple(summary) == astuple(again)
    third, _ = tuned(TuningSettings(**{**vars(SHORT), "seed": 1}))
    assert not same_bits(state(one), state(third))


@pytest.mark.parametrize(("clean_weight", "restyled"), [(0.0, 48), (0.3, 34), (0.5, 24), (1.0, 0)])
def test_pictures_are_clean_in_their_share_and_never_none_restyled(clean_weight: float, restyled: int) -> None:
    counts: list[int] = []

    def restyle(given: Tensor, generator: torch.Generator) -> Tensor:
        counts.append(len(given))
        return darker(given, generator)

    network, teacher = calibrated()
    settings = TuningSettings(**{**vars(SHORT), "clean_weight": clean_weight, "micro_batch": 3})
    tune(network, teacher, pictures(), restyle, normalize, settings)
    assert sum(counts) == 8 + restyled  # held out once, and 6 steps of 8
    assert 1 <= min(counts) <= max(counts) <= 3


def test_micro_batches_change_nothing_but_rounding() -> None:
    one, _ = tuned(TuningSettings(**{**vars(SHORT), "clean_weight": 1.0}))
    other, _ = tuned(TuningSettings(**{**vars(SHORT), "clean_weight": 1.0, "micro_batch": 3}))
    for name, value in state(one).items():
        torch.testing.assert_close(value, state(other)[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("layers", "kept"), [(1, "most"), (("4",), "4")])
def test_a_budget_keeps_all_other_gates_at_one(layers: int | tuple[str, ...], kept: str) -> None:
    network, teacher = calibrated()
    if kept == "most":
        kept = min(("1", "4"), key=lambda name: network.get_submodule(name).gate.mean())
    before = network.get_submodule(kept).gate.detach().clone()
    settings = TuningSettings(**{**vars(SHORT), "layers": layers})
    summary = tune(network, teacher, pictures(), darker, normalize, settings)
    other = network.get_submodule({"1": "4", "4": "1"}[kept])
    assert torch.equal(other.gate, torch.ones(8))
    assert not torch.equal(network.get_submodule(kept).gate, before)
    assert {each.name: each.ones for each in summary.layers}[kept] < 8
    binorm.fold(network)


def test_pull_brings_gates_to_exactly_one() -> None:
    settings = {**vars(SHORT), "steps": 30, "evaluate_every": 30, "affine_lr": 0.05}
    free, _ = tuned(TuningSettings(**settings))
    pulled, summary = tuned(TuningSettings(**{**settings, "pull": 0.9}))
    assert summary.kept == 30
    ones = [sum(int((gate == 1.0).sum()) for gate in gates(each)) for each in (free, pulled)]
    assert ones[1] > ones[0]
    assert sum(each.ones for each in summary.layers) == ones[1]


def test_never_ends_worse_than_it_started() -> None:
    """Rates that throw everything over: the start remains, bit for bit, and patience ends it early."""
    network, teacher = calibrated()
    first = state(network)
    wild = TuningSettings(steps=30, batch_size=8, evaluate_every=1, patience=2, affine_lr=1.0, ema=0.0, warm_up=0.0)
    summary = tune(network, teacher, pictures(), darker, normalize, wild)
    assert (summary.steps, summary.kept) == (2, 0)
    assert summary.end == summary.start
    assert same_bits(state(network), first)


def test_labels_teach_what_the_teacher_does_not_know() -> None:
    network, teacher = calibrated()
    labels = (torch.arange(40) + 1) % CLASSES  # all other than the teacher's
    settings = TuningSettings(
        steps=60, batch_size=16, affine_lr=0.1, label_weight=20.0, label_smoothing=0.0, evaluate_every=20
    )
    tune(network, teacher, pictures(), darker, normalize, settings, labels)
    with torch.no_grad():
        right = [
            (each(normalize(pictures())).argmax(1) == labels).double().mean().item() for each in (teacher, network)
        ]
    assert right[1] > right[0] + 0.2


def test_plain_batch_norms_beside_gates_learn_too() -> None:
    network = trained()
    network[1] = binorm.convert_batch_norm(network[1])
    teacher = copy.deepcopy(network)
    first = state(network)
    summary = tune(network, teacher, pictures(), darker, normalize, SHORT)
    assert [each.name for each in summary.layers] == ["1"]
    assert not torch.equal(network[4].weight, first["4.weight"])
    assert torch.equal(network[4].running_mean, first["4.running_mean"])


def test_norms_under_freeze_stay() -> None:
    network, teacher = calibrated()
    binorm.freeze_(network[4])
    first = state(network)
    tune(network, teacher, pictures(), darker, normalize, SHORT)
    changed = {name for name, value in state(network).items() if not torch.equal(value, first[name])}
    assert changed == {"1.gate", "1.weight", "1.bias"}
    assert not network[4].weight.requires_grad


def test_a_gate_that_layers_share_is_tuned_once() -> None:
    network, teacher = calibrated()
    network[4].gate = network[1].gate
    summary = tune(network, teacher, pictures(), darker, normalize, TuningSettings(**{**vars(SHORT), "layers": 1}))
    assert summary.kept
    assert network[4].gate is network[1].gate
    assert not (network[1].gate == 1).all()


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupt_puts_everything_back(error: type[BaseException]) -> None:
    network, teacher = calibrated()
    first = state(network)
    heard: list[TuningStep] = []

    def stop(step: TuningStep) -> None:
        heard.append(step)
        assert not torch.equal(network[4].gate, first["4.gate"])
        assert not network.training
        if step.step == 4:
            raise error

    network.train()
    settings = TuningSettings(**{**vars(SHORT), "layers": ("1",)})
    with pytest.raises(error):
        tune(network, teacher, pictures(), darker, normalize, settings, on_step=stop)
    assert same_bits(state(network), first)
    assert network.training
    assert network[0].weight.requires_grad
    assert [(each.step, each.steps) for each in heard] == [(1, 6), (2, 6), (3, 6), (4, 6)]
    assert [each.held_out is None for each in heard] == [True, True, False, True]


def test_a_loss_that_is_not_a_number_puts_everything_back() -> None:
    network, teacher = calibrated()
    first = state(network)
    calls = iter(range(1000))

    def broken(given: Tensor) -> Tensor:
        return normalize(given) * (float("nan") if next(calls) > 5 else 1.0)

    with pytest.raises(DivergenceError, match=r"loss is nan in step 2: tune at lower rates"):
        tune(network, teacher, pictures(), darker, broken, SHORT)
    assert same_bits(state(network), first)


class Pairs(nn.Module):
    """Gives one row for two samples, as a network that mixes its batch may."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)[::2]


def altered(change: Callable[[nn.Module, nn.Module], object]) -> tuple[nn.Module, nn.Module]:
    network, teacher = calibrated()
    change(network, teacher)
    return network, teacher


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda network, teacher: teacher[9].weight.data.fill_(torch.nan), "teacher's outputs are not finite"),
        (lambda network, teacher: network[9].weight.data.fill_(torch.nan), "loss is nan at the start"),
        (lambda network, teacher: network[1].weight.data.fill_(torch.inf), "weight of 1 has values that are not"),
        (lambda network, teacher: teacher.register_module("9", nn.Linear(8, 3)), "the same classes .got 4 and 3"),
        (lambda network, teacher: network.register_module("9", nn.Identity()), "the same classes .got 8 and 4"),
        (lambda network, teacher: network.register_module("7", Pairs()), "row of classes for each picture"),
        (lambda network, teacher: network[1].half(), "gate of 1 is float16"),
        (lambda network, teacher: teacher.register_module("1", network[1]), "teacher shares parameters"),
        (lambda network, teacher: setattr(network[4], "running_mean", None), "4 has no running statistics"),
        (
            lambda network, teacher: nn.utils.parametrize.register_parametrization(network[1], "gate", nn.Sigmoid()),
            "gate of 1 is computed from other parameters",
        ),
        (lambda network, teacher: [network.register_module(each, nn.Identity()) for each in "14"], "no batch norms"),
        (lambda network, teacher: binorm.freeze_(network), "no batch norms .* take binorm.freeze_ off"),
    ],
)  # fmt: skip
def test_networks_that_do_not_fit_are_told(change: Callable[[nn.Module, nn.Module], object], message: str) -> None:
    network, teacher = altered(change)
    first = state(network)
    with pytest.raises(UserError, match=message):
        tune(network, teacher, pictures(), darker, normalize, SHORT)
    assert all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(
        state(network).values(), first.values(), strict=True))  # fmt: skip


@pytest.mark.parametrize(
    ("given", "labels", "message"),
    [
        (pictures(9), None, "9 pictures are too few .* at least 10"),
        (pictures()[:0], None, "0 pictures are too few"),
        (normalize(pictures()), None, "should be uint8 .* torch.float32"),
        (pictures()[0], None, r"should be uint8 .*\(3, 12, 12\)"),
        (pictures(), torch.zeros(39, dtype=torch.long), r"one whole number for each of 40 pictures .*\(39,\)"),
        (pictures(), torch.zeros(40, 1, dtype=torch.long), "one whole number for each"),
        (pictures(), torch.zeros(40), "one whole number for each .* torch.float32"),
        (pictures(), torch.full((40,), CLASSES), "from 0 to 3, the network's classes .got 4."),
        (pictures(), torch.full((40,), -1), "from 0 to 3, the network's classes .got -1."),
    ],
)
def test_pictures_and_labels_that_do_not_fit_are_told(given: Tensor, labels: Tensor | None, message: str) -> None:
    network, teacher = calibrated()
    with pytest.raises(UserError, match=message):
        tune(network, teacher, given, darker, normalize, SHORT, labels)


def test_a_restyling_that_gives_something_else_is_told() -> None:
    network, teacher = calibrated()
    with pytest.raises(ValueError, match=r"restyle should give pictures as it got them, uint8 .* torch.float32"):
        tune(network, teacher, pictures(), lambda given, _: given.float(), normalize, SHORT)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"steps": 0}, "steps should be a whole number, at least 1 .got 0."),
        ({"batch_size": 1.5}, "batch_size should be a whole number"),
        ({"seed": True}, "seed should be a whole number"),
        ({"gate_lr": float("nan")}, "gate_lr should be a number from 0 to 1 .got nan."),
        ({"affine_lr": -0.1}, "affine_lr should be a number from 0 to 1 .got -0.1."),
        ({"pull": "1"}, "pull should be a number from 0 to 1 .got '1'."),
        ({"temperature": 0.0}, "temperature should be"),
        ({"ema": 1.0}, "ema should be"),
        ({"layers": 0}, "layers should be .* .got 0."),
        ({"layers": ()}, "layers should be"),
        ({"layers": "bn1"}, "layers should be .* tuple of names"),
        ({"gate_lr": 0.0, "affine_lr": 0.0}, "both 0"),
    ],
)
def test_settings_out_of_range_are_told(given: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        TuningSettings(**given)


def test_unknown_layers_of_a_budget_are_told() -> None:
    with pytest.raises(UserError, match=r"'bn1' is no batch-instance norm to tune; there are 1, 4"):
        tuned(TuningSettings(layers=("bn1",)))


def test_a_network_of_batch_norms_alone_has_no_budget() -> None:
    network = trained()
    with pytest.raises(UserError, match="the network has no gates"):
        tune(network, copy.deepcopy(network), pictures(), darker, normalize, TuningSettings(layers=1))
    with pytest.raises(UserError, match="nothing would be tuned"):
        tune(network, copy.deepcopy(network), pictures(), darker, normalize, TuningSettings(affine_lr=0.0))


def test_rates_rise_and_fall_along_a_cosine() -> None:
    rates = [TuningSettings(steps=20, warm_up=0.2).rate(step) for step in range(20)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[12] == pytest.approx(0.5)
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert 0 < rates[-1] < 0.01


def test_prints_as_a_table() -> None:
    _, summary = tuned(TuningSettings(**{**vars(SHORT), "layers": ("1",)}))
    lines = str(summary).splitlines()
    assert lines[0] == "6 steps; those of step 6 remain"
    assert lines[1].split()[:3] == ["held", "out", "KL"]
    assert [line.split()[0] for line in lines[2:]] == ["start", "end", "layer", "1", "4"]
    assert lines[-1].split()[-1] == "8"
