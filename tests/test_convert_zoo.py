"""Conversion of networks that users bring: evaluation keeps its bits, training moves gates, and there is a way back."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import binorm
from binorm.modules import _BatchInstanceNorm

timm = pytest.importorskip("timm")
torchvision = pytest.importorskip("torchvision")

TORCHVISION = (
    "resnet18",
    "resnet50",
    "vgg11_bn",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "densenet121",
    "shufflenet_v2_x0_5",
    "googlenet",
    "regnet_y_400mf",
    "mnasnet0_5",
    "efficientnet_b0",
)
TIMM = (  # the first half with norm and activation in one layer
    "efficientnet_lite0",
    "mobilenetv3_small_050",
    "regnetx_002",
    "densenet121",
    "ese_vovnet19b_dw",
    "repvgg_a0",
    "skresnet18",  # both kinds
    "ghostnet_050",
    "resnet10t",
    "dla46_c",
    "res2net50_14w_8s",
    "hrnet_w18_small",
    "efficientvit_b0",  # layer norm in its head
    "levit_128s",  # 1d norms
)
NETWORKS = [f"torchvision/{name}" for name in TORCHVISION] + [f"timm/{name}" for name in TIMM]
INPUT_SIZES = {"timm/levit_128s": 224}  # fixed


def build(name: str) -> nn.Module:
    """A network with random parameters, and running statistics that differ from a fresh norm's."""
    torch.manual_seed(0)
    zoo, _, network = name.partition("/")
    if zoo == "timm":
        model = timm.create_model(network, num_classes=10)
    else:
        options = {"init_weights": False} if network in ("googlenet", "vgg11_bn") else {}  # slow
        model = torchvision.models.get_model(network, weights=None, num_classes=10, **options)
    with torch.no_grad():
        for norm in batch_norms(model):
            norm.weight.uniform_(0.7, 1.5)
            norm.bias.normal_(std=0.2)
            norm.running_mean.normal_(std=0.2)
            norm.running_var.uniform_(0.5, 1.5)
    return model.eval()


def batch_norms(model: nn.Module) -> list[nn.Module]:
    return [each for each in model.modules() if isinstance(each, nn.modules.batchnorm._BatchNorm)]


def pictures(name: str) -> Tensor:
    size = INPUT_SIZES.get(name, 64)
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def evaluate(model: nn.Module, x: Tensor) -> Tensor:
    output: Tensor = model(x)
    assert output.isfinite().all()
    assert not torch.equal(output[0], output[1])
    return output


@pytest.mark.parametrize("name", NETWORKS)
def test_evaluation_keeps_its_bits_there_and_back(name: str) -> None:
    model, x = build(name), pictures(name)
    kinds = [type(each) for each in model.modules()]
    addresses = {key: value.data_ptr() for key, value in model.state_dict().items()}
    channels = [norm.num_features for norm in batch_norms(model)]
    expected = evaluate(model, x)

    assert binorm.convert_batch_norm(model) is model
    assert not batch_norms(model)
    gates = dict(binorm.named_gates(model))
    assert [gate.numel() for gate in gates.values()] == channels
    assert sorted(model.state_dict()) == sorted([*addresses, *gates])
    assert torch.equal(evaluate(model, x), expected)
    for gate in gates.values():
        gate.data.fill_(0.5)
    assert not torch.equal(evaluate(model, x), expected)  # the gates do take part
    for gate in gates.values():
        gate.data.fill_(1.0)

    assert binorm.revert_to_batch_norm(model) is model
    assert [type(each) for each in model.modules()] == kinds
    assert {key: value.data_ptr() for key, value in model.state_dict().items()} == addresses
    assert torch.equal(evaluate(model, x), expected)


@pytest.mark.parametrize("name", ["torchvision/shufflenet_v2_x0_5", "timm/mobilenetv3_small_050"])
def test_evaluation_with_gradients_gives_the_same_to_rounding(name: str) -> None:
    model, x = build(name).double(), pictures(name).double()
    expected = evaluate(model, x)
    torch.testing.assert_close(binorm.convert_batch_norm(model)(x).detach(), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["torchvision/resnet18", "timm/regnetx_002"])
def test_channels_last_keeps_its_bits_too(name: str) -> None:
    model = build(name).to(memory_format=torch.channels_last)
    x = pictures(name).contiguous(memory_format=torch.channels_last)
    expected = evaluate(model, x)
    assert torch.equal(evaluate(binorm.convert_batch_norm(model), x), expected)


@pytest.mark.parametrize("name", ["torchvision/mobilenet_v2", "timm/regnetx_002"])
def test_a_training_step_moves_the_gates_of_every_layer(name: str) -> None:
    model = binorm.convert_batch_norm(build(name)).train()
    optimizer = torch.optim.SGD(binorm.param_groups(model, lr=0.1))
    nn.functional.cross_entropy(model(pictures(name)), torch.tensor([0, 1])).backward()
    optimizer.step()
    for layer, gate in binorm.named_gates(model):
        assert gate.grad is not None
        assert gate.min() < 1, layer
    with pytest.raises(ValueError, match="have gates below 1"):
        binorm.revert_to_batch_norm(model)


def test_frozen_batch_norms_are_left_alone() -> None:
    frozen = torchvision.ops.FrozenBatchNorm2d
    model = torchvision.models.resnet18(norm_layer=frozen)
    with pytest.raises(ValueError, match="layers with Norm in their names: FrozenBatchNorm2d"):
        binorm.convert_batch_norm(model)
    model.bn1 = nn.BatchNorm2d(64)
    binorm.convert_batch_norm(model)
    assert type(model.bn1) is binorm.BatchInstanceNorm2d
    assert type(model.layer1[0].bn1) is frozen


def test_what_timm_derives_from_batch_norm_is_an_error() -> None:
    model = timm.layers.convert_splitbn_model(torchvision.models.resnet18(), num_splits=2)
    with pytest.raises(TypeError, match=r"^bn1 is a timm\.layers\.split_batchnorm\.SplitBatchNorm2d, a subclass"):
        binorm.convert_batch_norm(model)


def timm_norm(**options: object) -> nn.Module:
    norm = timm.layers.BatchNormAct2d(5, eps=1e-3, momentum=None, **options)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.running_mean)
    return norm.eval()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"apply_act": False},
        {"act_layer": "silu"},
        {"act_layer": "gelu"},
        {"act_layer": "hard_swish"},
        {"act_layer": nn.LeakyReLU, "act_kwargs": {"negative_slope": 0.3}},
        {"act_layer": nn.PReLU, "act_kwargs": {"init": 0.1}},
        {"drop_layer": lambda: nn.Dropout2d(0.5)},
    ],
    ids=["relu", "no activation", "silu", "gelu", "hard swish", "leaky relu", "prelu", "dropout"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.no_grad()
def test_norm_and_activation_keeps_activation_drop_layer_and_bits(options: dict[str, object], dtype) -> None:
    norm = timm_norm(**options).to(dtype)
    act, drop, x = norm.act, norm.drop, torch.randn(3, 5, 4, 4).to(dtype)
    expected = norm(x)
    converted = binorm.convert_batch_norm(norm)
    assert type(converted) is binorm.BatchInstanceNormAct2d
    assert (converted.eps, converted.momentum, converted.act, converted.drop) == (1e-3, None, act, drop)
    assert torch.equal(converted(x), expected)
    reverted = binorm.revert_to_batch_norm(converted)
    assert type(reverted) is timm.layers.BatchNormAct2d
    assert torch.equal(reverted(x), expected)


def test_a_subclass_of_norm_and_activation_is_an_error() -> None:
    class Shifted(timm.layers.BatchNormAct2d):
        forward: Callable[[Tensor], Tensor] = lambda self, x: super().forward(x) + 1

    with pytest.raises(TypeError, match="Shifted, a subclass of batch norm"):
        binorm.convert_batch_norm(nn.Sequential(Shifted(3)))


@torch.no_grad()
def test_synchronised_norm_and_activation_stays_synchronised() -> None:
    norm = timm.layers.convert_sync_batchnorm(timm_norm(act_layer="silu"))
    norm.process_group = "group"
    x = torch.randn(3, 5, 4, 4)
    expected = norm(x)
    converted = binorm.convert_batch_norm(nn.Sequential(norm))[0]
    assert isinstance(converted, binorm.BatchInstanceNormAct2d)
    assert type(converted).__name__ == "SyncBatchInstanceNormAct2d"
    assert converted.process_group == "group"
    assert torch.equal(converted(x), expected)
    assert type(binorm.revert_to_batch_norm(converted)).__name__ == "SyncBatchNormAct"


def test_norm_and_activation_that_was_synchronised_meanwhile_says_how_to_go_back() -> None:
    model = binorm.convert_sync_batch_instance_norm(binorm.convert_batch_norm(nn.Sequential(timm_norm())))
    with pytest.raises(TypeError, match="was a BatchNormAct2d: revert before convert_sync_batch_instance_norm"):
        binorm.revert_to_batch_norm(model)
    assert isinstance(model[0], _BatchInstanceNorm)
