from functools import partial

import pytest
import torch
import torchvision
from torch import nn

from binorm.experiments.common.errors import UserError
from binorm.experiments.models import MODELS, create
from binorm.experiments.models.head import FeatureTap, find_head
from binorm.experiments.models.norms import NORMS
from binorm.experiments.models.plain import CifarAlexNet
from binorm.experiments.models.preresnet import WideResNet

# Of every class of network in MODELS one with few blocks, with the features that its head takes.
WIDTHS = {
    "resnet8": 64,
    "resnet83": 256,
    "preresnet110": 64,
    "densenet_bc100_12": 342,
    "alexnet": 256,
    "vgg19": 512,
    "imagenet_resnet18": 512,
    "dann_digits": 768,
    "torchvision:resnet18": 512,
    "torchvision:mobilenet_v2": 1280,
    "timm:tf_efficientnet_lite0": 1280,
}


def _create(name, norm="bin"):
    if name.startswith("timm:"):
        pytest.importorskip("timm")
    torch.manual_seed(0)
    return create(name, 7, norm)


@pytest.mark.parametrize("name", MODELS)
def test_the_head_of_our_networks_is_called_head(name):
    with torch.device("meta"):
        assert find_head(MODELS[name](7, NORMS["bn"].layer), 7) == "head"


@pytest.mark.parametrize(
    ("name", "head"), [("resnet18", "fc"), ("mobilenet_v2", "classifier.1"), ("vgg11_bn", "classifier.6")]
)
def test_the_head_of_torchvisions_networks_is_their_last_linear_layer(name, head):
    with torch.device("meta"):
        assert find_head(torchvision.models.get_model(name, weights=None, num_classes=7), 7) == head


@pytest.mark.parametrize(
    ("name", "head"),
    [("resnet18", "fc"), ("tf_efficientnet_lite0", "classifier"), ("regnety_004", "head.fc"), ("dla34", "fc")],
)
def test_timms_networks_say_what_their_head_is(name, head):
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        assert find_head(timm.create_model(name, num_classes=7), 7) == head


def test_a_head_with_other_outputs_is_an_error():
    with pytest.raises(UserError, match=r"CifarResNet has no head for 3 classes: .* a linear layer with 3 outputs"):
        find_head(create("resnet8", 7, "bn"), 3)


@pytest.mark.parametrize("name", WIDTHS)
def test_the_head_makes_the_logits_of_the_features(name):
    network = _create(name).eval()
    tap = FeatureTap(network, 7)
    size = 28 if name == "dann_digits" else 33
    with torch.no_grad():
        features, logits = tap(torch.rand(2, 3, size, size))
        again = network.get_submodule(tap.head)(features)
    assert features.shape == (2, WIDTHS[name])
    assert logits.shape == (2, 7)
    assert torch.equal(again, logits)
    assert tap.num_features(size) == WIDTHS[name]


def test_maps_of_one_pixel_are_flattened():
    timm = pytest.importorskip("timm")
    tap = FeatureTap(timm.create_model("dla34", num_classes=7), 7)  # its head is a convolution
    assert tap(torch.rand(2, 3, 64, 64))[0].shape == (2, 512)


def test_features_and_logits_carry_gradients_as_without_the_tap():
    network = _create("resnet8")
    x = torch.rand(4, 3, 32, 32)
    network(x).square().sum().backward()
    expected = [parameter.grad.clone() for parameter in network.parameters()]
    network.zero_grad()
    features, logits = FeatureTap(network, 7)(x)
    logits.square().sum().backward(retain_graph=True)
    for parameter, gradient in zip(network.parameters(), expected, strict=True):
        assert torch.equal(parameter.grad, gradient)
    network.zero_grad()
    features.sum().backward()
    assert network.conv.weight.grad.abs().sum() > 0
    assert network.head.weight.grad is None


def test_names_state_and_outputs_stay_as_they_were():
    network, untouched = _create("resnet8"), _create("resnet8")
    tap = FeatureTap(network, 7)
    assert list(network.state_dict()) == list(untouched.state_dict())
    assert [name for name, _ in network.named_modules()] == [name for name, _ in untouched.named_modules()]
    x = torch.rand(4, 3, 32, 32)
    assert torch.equal(tap(x)[1], untouched(x))
    assert torch.equal(network(x), untouched(x))


def test_calls_past_the_tap_leave_nothing_behind():
    network = _create("resnet8")
    tap = FeatureTap(network, 7)
    tap(torch.rand(2, 3, 32, 32))
    assert tap._features is None
    network(torch.rand(2, 3, 32, 32))
    assert tap._features is None


def test_counting_features_changes_nothing():
    network = WideResNet(10, 1, 7, NORMS["bin"].layer, dropout=0.5)
    network.stage1.eval()  # a frozen part stays frozen
    modes = [module.training for module in network.modules()]
    state = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    torch.manual_seed(3)
    assert FeatureTap(network, 7).num_features(32) == 64
    drawn = torch.rand(4)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(4))
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(tensor, state[key]) for key, tensor in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_size_that_the_network_refuses_leaves_it_as_it_was():
    network = CifarAlexNet(7, NORMS["bn"].layer)
    with pytest.raises(RuntimeError, match="too small"):
        FeatureTap(network, 7).num_features(8)
    assert all(module.training for module in network.modules())


def test_a_network_that_passes_its_head_by_is_an_error():
    network = nn.ModuleDict({"body": nn.Linear(3, 5), "head": nn.Linear(5, 7)})
    network.forward = partial(torch.mean, dim=0)
    with pytest.raises(RuntimeError, match="did not call its head, head"):
        FeatureTap(network, 7)(torch.rand(2, 3))
