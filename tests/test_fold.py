"""Norms that are batch norm, taken into convolutions: the same outputs, and nothing taken in that must stay."""

import copy

import pytest
import torch
from torch import Tensor, nn

import binorm
from binorm import BatchInstanceNorm2d, BatchInstanceNormAct2d, convert_batch_norm, fold, gate_parameters


def stirred(model: nn.Module, seed: int = 0) -> nn.Module:
    """With statistics, weights and biases that are no identity, in evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in binorm.norm_layers(model):
            layer.running_mean.normal_(generator=generator)
            layer.running_var.uniform_(0.5, 2, generator=generator)
            if layer.affine:
                layer.weight.uniform_(0.5, 2, generator=generator)
                layer.bias.normal_(generator=generator)
    return model.eval()


def pictures(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def check(model: nn.Module, x: Tensor, left: int, tolerance: float = 1e-5) -> nn.Module:
    """What is folded computes the same and has so many norms left; the model is as it was."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    folded = fold(model)
    with torch.no_grad():
        expected = model.eval()(x)
        torch.testing.assert_close(folded(x), expected, atol=tolerance * expected.abs().max().item(), rtol=0)
    assert len(list(binorm.norm_layers(folded))) == left
    assert not folded.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    return folded


@pytest.mark.parametrize(
    ("convolution", "norm", "shape"),
    [
        (nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), (2, 3, 9, 9)),
        (nn.Conv2d(3, 8, 3, bias=False, stride=2, padding=1), nn.BatchNorm2d(8), (2, 3, 9, 9)),
        (nn.Conv2d(8, 8, 3, groups=8), nn.BatchNorm2d(8), (2, 8, 9, 9)),
        (nn.Conv2d(8, 12, 1, groups=4), nn.BatchNorm2d(12, affine=False), (2, 8, 9, 9)),
        (nn.ConvTranspose2d(6, 8, 3), nn.BatchNorm2d(8), (2, 6, 9, 9)),
        (nn.ConvTranspose2d(6, 8, 3, groups=2, bias=False), nn.BatchNorm2d(8), (2, 6, 9, 9)),
        (nn.Conv1d(3, 8, 3), nn.BatchNorm1d(8), (2, 3, 9)),
        (nn.Conv3d(3, 8, 3), nn.BatchNorm3d(8), (2, 3, 5, 5, 5)),
    ],
)
@pytest.mark.parametrize("converted", [True, False])
def test_every_kind_of_convolution(
    convolution: nn.Module, norm: nn.Module, shape: tuple[int, ...], converted: bool
) -> None:
    model = nn.Sequential(copy.deepcopy(convolution), copy.deepcopy(norm), nn.ReLU())
    model = stirred(convert_batch_norm(model) if converted else model)
    assert isinstance(check(model, pictures(*shape), left=0)[1], nn.Identity)


def test_gates_below_one_stay() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))
    model = stirred(convert_batch_norm(model))
    model[1].gate.data[2] = 0.6
    folded = check(model, pictures(2, 3, 9, 9), left=1)
    assert torch.equal(folded[1].gate, model[1].gate)
    assert isinstance(folded[4], nn.Identity)


def test_gates_within_the_tolerance_count_as_one() -> None:
    model = stirred(convert_batch_norm(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))))
    model[0].weight.data.mul_(0.1)
    exact = fold(model)
    model[1].gate.data.fill_(0.97)
    assert isinstance(fold(model)[1], BatchInstanceNorm2d)
    folded = fold(model, tolerance=0.05)
    x = pictures(2, 3, 9, 9)
    torch.testing.assert_close(folded(x), exact(x))
    with pytest.raises(ValueError, match=r"tolerance should be in \[0, 1\] \(got 2\)"):
        fold(model, tolerance=2)


@pytest.mark.parametrize("residual", [True, False])
def test_a_norm_with_activation_leaves_its_activation_and_residual(residual: bool) -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 3, padding=1, bias=False)
            self.norm = BatchInstanceNormAct2d(4, act_layer="leaky_relu")

        def forward(self, x: Tensor) -> Tensor:
            return self.norm(self.conv(x), residual=x) if residual else self.norm(self.conv(x))

    check(stirred(Block()), pictures(2, 4, 9, 9), left=0)


class Odd(nn.Module):
    """Places where a norm must not be taken in."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.again = nn.Conv2d(3, 3, 3, padding=1)
        self.norm = BatchInstanceNorm2d(3)
        if kind == "one weight in two convolutions":
            self.again.weight = self.conv.weight
        if kind == "a computed weight":
            nn.utils.parametrizations.weight_norm(self.conv)
        if kind == "a hook between":
            self.conv.register_forward_hook(lambda module, inputs, output: output + 1)

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "the output goes elsewhere too":
            y = self.conv(x)
            return self.norm(y) + y
        if self.kind == "a convolution called twice":
            return self.norm(self.conv(self.conv(x)))
        if self.kind == "a norm called twice":
            return self.norm(self.conv(self.norm(x)))
        if self.kind == "an activation between":
            return self.norm(self.conv(x).relu())
        if self.kind == "no convolution":
            return self.conv(self.norm(x))
        if self.kind == "it cannot be traced" and x.sum() > 1e9:
            return x
        return self.again(self.norm(self.conv(x)))


@pytest.mark.parametrize(
    "kind",
    [
        "the output goes elsewhere too",
        "a convolution called twice",
        "a norm called twice",
        "an activation between",
        "no convolution",
        "it cannot be traced",
        "one weight in two convolutions",
        "a computed weight",
        "a hook between",
    ],
)
def test_what_is_not_right_after_a_convolution_becomes_a_batch_norm(kind: str) -> None:
    folded = check(stirred(Odd(kind)), pictures(2, 3, 9, 9), left=1)
    assert type(folded.norm) is nn.BatchNorm2d


def test_a_network_that_cannot_be_traced_folds_within_sequences() -> None:
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 4, 3), BatchInstanceNorm2d(4), nn.ReLU())

        def forward(self, x: Tensor) -> Tensor:
            return self.body(x) if x.sum() < 1e9 else x

    check(stirred(Branching()), pictures(2, 3, 9, 9), left=0)


def test_layers_without_running_statistics_and_layers_alone_stay() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), BatchInstanceNorm2d(4, track_running_stats=False)).eval()
    assert isinstance(fold(model)[1], BatchInstanceNorm2d)
    assert type(fold(stirred(BatchInstanceNorm2d(3)))) is nn.BatchNorm2d


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "googlenet", "densenet121", "shufflenet_v2_x0_5"])
def test_networks_of_torchvision(name: str) -> None:
    models = pytest.importorskip("torchvision").models
    extra = {"init_weights": False, "aux_logits": False} if name == "googlenet" else {}
    torch.manual_seed(0)
    model = convert_batch_norm(models.get_model(name, num_classes=5, **extra)).eval()
    x = pictures(2, 3, 64, 64)
    left = {"densenet121": 62}.get(name, 0)  # its norms come before their convolutions
    check(model, x, left, tolerance=1e-4)


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "resnet18d", "mobilenetv3_small_050"])
def test_networks_of_timm_but_for_the_first_layer_that_is_calibrated(name: str) -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    model = convert_batch_norm(timm.create_model(name, num_classes=5)).eval()
    x = pictures(4, 3, 64, 64)
    binorm.calibrate_gates(model, (x, 2 * x + 0.5), layers=1)
    folded = check(model, x, left=1, tolerance=1e-4)
    assert sum((gate < 1).any().item() for gate in gate_parameters(folded)) == 1


def test_a_folded_network_can_be_exported() -> None:
    model = stirred(convert_batch_norm(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())))
    x = pictures(2, 3, 9, 9)
    exported = torch.export.export(fold(model), (x,)).module()
    torch.testing.assert_close(exported(x), model(x), atol=1e-5, rtol=1e-5)
