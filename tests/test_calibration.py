"""Gates in closed form: what they solve, what else is left as it was, and what is refused."""

import copy
from collections.abc import Callable

import numpy
import pytest
import torch
from torch import Tensor, nn

import binorm
from binorm import (
    BatchInstanceNorm2d,
    BatchInstanceNormAct2d,
    CalibratedLayer,
    CalibrationSummary,
    calibrate_gates,
    gate_parameters,
)


def trained(seed: int = 0) -> nn.Sequential:
    """A small network of batch norms that has seen pictures, converted, in evaluation mode."""
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU()
    )
    with torch.no_grad():
        for layer in (network[1], network[4]):
            layer.weight.uniform_(0.5, 1.5)
            layer.bias.normal_()
        for _ in range(60):
            network(pictures(16, seed=int(torch.randint(1000, ()))))
    return binorm.convert_batch_norm(network).eval()


def pictures(count: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, 3, 4, 4, generator=generator)
    return nn.functional.interpolate(coarse, 16, mode="bilinear") + 0.3 * torch.randn(
        count, 3, 16, 16, generator=generator
    )


def restyled(x: Tensor, strength: float = 1.0, seed: int = 2) -> Tensor:
    """Each picture's channels scaled and shifted by numbers of its own."""
    generator = torch.Generator().manual_seed(seed)
    scale = torch.exp(strength * 0.5 * torch.randn(len(x), 3, 1, 1, generator=generator))
    return x * scale + strength * torch.randn(len(x), 3, 1, 1, generator=generator)


def state(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def style(layer: BatchInstanceNorm2d, x: Tensor) -> tuple[numpy.ndarray, numpy.ndarray]:
    """z and sqrt(w) (s - 1) by their definitions, (N, C)."""
    values, eps = x.double().numpy(), float(layer.eps)
    mean, var = layer.running_mean.double().numpy(), layer.running_var.double().numpy()
    own_mean, own_var = values.mean((2, 3)), values.var((2, 3))
    deviation = numpy.sqrt(var + eps)
    weight = own_var / (own_var + eps)
    return (own_mean - mean) / deviation, numpy.sqrt(weight) * (numpy.sqrt(own_var + eps) / deviation - 1)


@pytest.mark.parametrize("clean_weight", [0.0, 0.5, 0.9])
def test_each_layer_s_gates_solve_its_least_squares(clean_weight: float) -> None:
    model = trained()
    before = copy.deepcopy(model)
    clean, other = pictures(12), restyled(pictures(12))
    calibrate_gates(model, (clean, other), clean_weight=clean_weight)
    a, b = clean, other
    for place in range(len(model)):
        layer = model[place]
        if isinstance(layer, BatchInstanceNorm2d):
            ours, theirs = numpy.concatenate(style(layer, a)), numpy.concatenate(style(layer, b))
            left = numpy.concatenate([numpy.sqrt(1 - clean_weight) * theirs, numpy.sqrt(clean_weight) * ours])
            right = numpy.concatenate([numpy.sqrt(1 - clean_weight) * ours, numpy.sqrt(clean_weight) * ours])
            solved = [numpy.linalg.lstsq(left[:, [c]], right[:, c], rcond=None)[0][0] for c in range(left.shape[1])]
            torch.testing.assert_close(
                layer.gate.detach().double(), torch.tensor(solved).double().clamp(0, 1), atol=1e-5, rtol=0
            )
        with torch.no_grad():
            a, b = before[place](a), layer(b)  # the teacher has the gates from before, the pupil those set so far


def test_restyled_pictures_come_closer_to_what_they_are() -> None:
    model = trained()
    clean, other = pictures(64), restyled(pictures(64))
    unseen, unseen_other = pictures(64, seed=5), restyled(pictures(64, seed=5), seed=6)
    with torch.no_grad():
        target, far = model(unseen), model(unseen_other)
        summary = calibrate_gates(model, (clean, other), clean_weight=0.2)
        near, kept = model(unseen_other), model(unseen)
    error, error_before = (near - target).square().mean(), (far - target).square().mean()
    assert error < 0.7 * error_before
    assert (kept - target).square().mean() < 0.5 * error_before
    assert all(layer.left < 1 and layer.after < 1 == layer.before for layer in summary)


def test_pictures_that_are_not_restyled_keep_every_gate() -> None:
    model = trained()
    before = state(model)
    summary = calibrate_gates(model, (pictures(8), pictures(8)))
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], atol=1e-6, rtol=0)
    assert [layer.left for layer in summary] == [1.0, 1.0]


def test_a_trained_network_is_its_own_teacher() -> None:
    model = trained()
    for gate in gate_parameters(model):
        gate.data.uniform_(0.2, 0.8)
    before = state(model)
    calibrate_gates(model, (pictures(8), restyled(pictures(8))), clean_weight=1.0)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], atol=1e-6, rtol=0)


def test_nothing_but_gates_is_written_and_modes_are_kept() -> None:
    model = trained()
    model[0].train()
    model[4].train()
    model[1].gate.requires_grad_(False)
    before = state(model)
    calibrate_gates(model, (pictures(8), restyled(pictures(8))))
    assert [module.training for module in model] == [True, False, False, False, True, False]
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"1.gate", "4.gate"}
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert not model[1].gate.requires_grad
    assert all(gate.grad is None and gate.is_leaf for gate in gate_parameters(model))


def test_the_same_pictures_give_the_same_bits() -> None:
    first, second = trained(), trained()
    for model in (first, second):
        calibrate_gates(model, [(pictures(8, k), restyled(pictures(8, k))) for k in range(3)])
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_the_first_layer_solves_the_same_in_batches_as_at_once() -> None:
    whole, parts = trained(), trained()
    clean, other = pictures(24), restyled(pictures(24))
    calibrate_gates(whole, (clean, other))
    summary = calibrate_gates(parts, zip(clean.split(5), other.split(5), strict=True))
    torch.testing.assert_close(whole[1].gate, parts[1].gate, atol=1e-6, rtol=0)
    torch.testing.assert_close(whole[4].gate, parts[4].gate, atol=0.25, rtol=0)  # its first batches met other gates
    assert [layer.name for layer in summary] == ["1", "4"]


@pytest.mark.parametrize(
    ("layers", "changed"), [(1, {"1"}), (2, {"1", "4"}), (9, {"1", "4"}), (["4"], {"4"}), ("1", {"1"})]
)
def test_a_budget_of_layers_leaves_the_others_batch_norm(layers: object, changed: set[str]) -> None:
    model = trained()
    summary = calibrate_gates(model, (pictures(8), restyled(pictures(8))), layers=layers)
    assert {layer.name for layer in summary} == set(changed)
    for name in ("1", "4"):
        assert bool((model.get_submodule(name).gate < 1).any()) == (name in changed)


class Reordered(nn.Module):
    """Computes its second layer first, with a residual, and one layer twice."""

    def __init__(self) -> None:
        super().__init__()
        self.late = BatchInstanceNormAct2d(3)
        self.early = BatchInstanceNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.late(self.early(self.early(x)), residual=x)


def test_layers_are_in_the_order_in_which_they_compute() -> None:
    model = Reordered().eval()
    summary = calibrate_gates(model, (pictures(8), restyled(pictures(8))), layers=1)
    assert [layer.name for layer in summary] == ["early"]
    summary = calibrate_gates(model, (pictures(8), restyled(pictures(8))))
    assert [layer.name for layer in summary] == ["early", "late"]


def test_a_gate_that_two_layers_share_solves_both() -> None:
    model = nn.Sequential(BatchInstanceNorm2d(3), nn.Tanh(), BatchInstanceNorm2d(3)).eval()
    model[2].gate = model[0].gate
    calibrate_gates(model, (pictures(8), restyled(pictures(8))))
    assert model[0].gate is model[2].gate
    assert (model[0].gate < 1).any()


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions(dtype: torch.dtype) -> None:
    model, reference = trained(), trained()
    model.to(dtype)
    clean, other = pictures(16), restyled(pictures(16))
    calibrate_gates(model, (clean.to(dtype), other.to(dtype)))
    calibrate_gates(reference, (clean, other))
    assert model[1].gate.dtype == dtype
    torch.testing.assert_close(model[1].gate.float(), reference[1].gate, atol=0.02, rtol=0)


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: binorm.BatchInstanceNorm1d(3), (4, 3)),
        (lambda: binorm.BatchInstanceNorm1d(3), (4, 3, 7)),
        (lambda: binorm.BatchInstanceNorm2d(3), (4, 3, 1, 1)),
        (lambda: binorm.BatchInstanceNorm3d(3), (4, 3, 2, 3, 4)),
        (lambda: binorm.SyncBatchInstanceNorm(3), (4, 3, 5, 5)),
    ],
)
def test_every_kind_of_layer(make: Callable[[], nn.Module], shape: tuple[int, ...]) -> None:
    layer = make().eval()
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    (only,) = calibrate_gates(layer, (x, 3 * x + 1))
    assert only.name == ""
    assert ((layer.gate >= 0) & (layer.gate < 1)).all()


def test_constant_channels_and_empty_styles_keep_their_gates() -> None:
    layer = BatchInstanceNorm2d(2).eval()
    x = torch.zeros(4, 2, 5, 5)  # the running statistics exactly, but for the variance
    layer.running_var.zero_()
    (only,) = calibrate_gates(layer, (x, x))
    assert layer.gate.tolist() == [1.0, 1.0]
    assert (only.shift, only.left) == (0.0, 1.0)


def test_the_summary_prints_as_a_table() -> None:
    text = str(calibrate_gates(trained(), (pictures(8), restyled(pictures(8)))))
    head, *rows = text.splitlines()
    assert head.split() == ["layer", "gates", "mean", "before", "mean", "now", "lowest", "shift", "of", "it", "left"]
    assert [row.split()[:3] for row in rows] == [["1", "6", "1.000"], ["4", "8", "1.000"]]
    assert all(row.endswith(" %") for row in rows)


def test_what_each_layer_removes_is_drawn() -> None:
    pytest.importorskip("matplotlib")
    layers = [CalibratedLayer("stem", 4, 1.0, 0.5, 0.1, 0.8, 0.25), CalibratedLayer("deep", 8, 1.0, 1.0, 1.0, 0.1, 1.0)]
    axes = binorm.plot_calibration(CalibrationSummary(layers)).axes[0]
    whole, left = ([bar.get_width() for bar in bars] for bars in axes.containers)
    assert whole == [0.8, 0.1]
    assert left == pytest.approx([0.2, 0.1])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["stem", "deep"]
    with pytest.raises(ValueError, match="no layer was calibrated"):
        binorm.plot_calibration(CalibrationSummary())


def without_statistics() -> nn.Module:
    return nn.Sequential(BatchInstanceNorm2d(3, track_running_stats=False)).eval()


def parametrized() -> nn.Module:
    model = nn.Sequential(BatchInstanceNorm2d(3))
    nn.utils.parametrize.register_parametrization(model[0], "gate", nn.Sigmoid())
    return model.eval()


X = pictures(4)


@pytest.mark.parametrize(
    ("make", "pairs", "options", "message"),
    [
        (
            lambda: nn.Sequential(nn.BatchNorm2d(3)),
            (X, X),
            {},
            r"convert its batch norms with binorm\.convert_batch_norm",
        ),
        (without_statistics, (X, X), {}, "0 has no running statistics"),
        (parametrized, (X, X), {}, "gate of 0 is computed from other parameters"),
        (trained, (X, X[:2]), {}, r"of equal shape \(got \(4, 3, 16, 16\) and \(2, 3, 16, 16\)\)"),
        (trained, (X[:0], X[:0]), {}, "of equal shape"),
        (trained, [], {}, "at least one batch"),
        (trained, (X, X), {"clean_weight": 1.5}, r"clean_weight should be from 0 to 1.*got 1\.5"),
        (trained, (X, X), {"layers": 0}, "layers should be at least 1"),
        (trained, (X, X), {"layers": ["2"]}, "'2' is no batch-instance norm of the network; there are 1, 4"),
        (trained, (X, X * float("nan")), {}, "1 got values that are not finite: check the pictures"),
        (trained, (X, X * float("inf")), {}, "1 got values that are not finite"),
    ],
)
def test_what_cannot_be_calibrated_is_said(make, pairs, options, message) -> None:
    with pytest.raises(ValueError, match=message):
        calibrate_gates(make(), pairs, **options)


def test_a_failure_on_the_way_leaves_the_network_as_it_was() -> None:
    model = trained()
    before = state(model)
    with pytest.raises(ValueError, match="not finite"):
        calibrate_gates(model, [(X, restyled(X)), (X, X * float("nan"))])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def with_an_unused_layer() -> nn.Module:
    model = nn.ModuleDict({"used": BatchInstanceNorm2d(3), "unused": BatchInstanceNorm2d(3)}).eval()
    model.forward = lambda x: model["used"](x)
    return model


def test_a_layer_that_is_asked_for_and_not_computed_is_named() -> None:
    with pytest.raises(ValueError, match="did not compute unused"):
        calibrate_gates(with_an_unused_layer(), (X, restyled(X)), layers=["used", "unused"])


def test_a_layer_that_is_for_training_alone_keeps_its_gates() -> None:
    model = with_an_unused_layer()
    assert [each.name for each in calibrate_gates(model, (X, restyled(X)))] == ["used"]
    assert model["used"].gate.min() < 1
    assert torch.equal(model["unused"].gate, torch.ones(3))
