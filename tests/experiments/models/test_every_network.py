"""What holds for all networks: counts, conventions, norms, memory layouts, precision."""

from functools import partial

import pytest
import torch
from torch import nn

from binorm import gate_parameters
from binorm.experiments.models.densenet import DenseNetBC
from binorm.experiments.models.norms import NORMS
from binorm.experiments.models.plain import CifarAlexNet, CifarVGG19, DigitNetwork
from binorm.experiments.models.preresnet import PreResNet, WideResNet
from binorm.experiments.models.resnet import CifarResNet, CifarResNeXt, ImageNetResNet

# The paper's networks and DANN's; the parameter counts are for batch norm and 100 classes (ImageNet's for 1,000).
FULL = {
    # conv 3*64*121+64 = 23,296; 64*192*25+192 = 307,392; 192*384*9+384 = 663,936; 384*256*9+256 = 884,992;
    # 256*256*9+256 = 590,080; norms 2*(64+192+384+256+256) = 2,304; head 256*100+100 = 25,700
    "alexnet": (CifarAlexNet, 2_497_700),
    "vgg19": (CifarVGG19, 20_086_692),
    "resnet56": (partial(CifarResNet, 56), 861_620),
    "resnet110": (partial(CifarResNet, 110), 1_736_564),
    "resnet83": (partial(CifarResNet, 83, bottleneck=True), 892_660),
    "resnet164": (partial(CifarResNet, 164, bottleneck=True), 1_727_284),
    # stem 432; head 6,500; norm 128; basic blocks, the first of a stage with its shortcut, then 17 more:
    # 18*(2*2,304+64); 32+4,608+64+9,216+512 and 17*(2*9,216+128); 64+18,432+128+36,864+2,048 and 17*(2*36,864+256)
    "preresnet110": (partial(PreResNet, 110), 1_736_372),
    # stem 432; head 25,700; norm 512; bottlenecks (norms, 1x1, 3x3, 1x1), the first with its shortcut, then 17 more:
    # 96+256+2,304+1,024+1,024 and 17*(192+1,024+2,304+1,024) = 81,952;
    # 256+2,048+9,216+4,096+8,192 and 17*(384+4,096+9,216+4,096) = 326,272;
    # 512+8,192+36,864+16,384+32,768 and 17*(768+16,384+36,864+16,384) = 1,291,520
    "preresnet164": (partial(PreResNet, 164, bottleneck=True), 1_726_388),
    "wrn28_10": (partial(WideResNet, 28, 10), 36_536_884),
    "resnext29_8x64d": (partial(CifarResNeXt, 29, 8, 64), 34_518_948),
    "densenet_bc100_12": (partial(DenseNetBC, 100, 12), 800_032),
    "imagenet_resnet18": (partial(ImageNetResNet, 18), 11_689_512),
    "imagenet_resnet50": (partial(ImageNetResNet, 50), 25_557_032),
    # conv 3*32*25+32 = 2,432; 32*48*25+48 = 38,448; norms 2*(32+48) = 160;
    # linear 768*100+100 = 76,900; 100*100+100 = 10,100, twice
    "dann_digits": (DigitNetwork, 138_140),
}
# Few blocks of every kind, for what costs time.
SMALL = {
    "alexnet": CifarAlexNet,
    "vgg19": CifarVGG19,
    "resnet": partial(CifarResNet, 8),
    "bottleneck resnet": partial(CifarResNet, 11, bottleneck=True),
    "preresnet": partial(PreResNet, 8),
    "bottleneck preresnet": partial(PreResNet, 11, bottleneck=True),
    "wide resnet": partial(WideResNet, 10, 2, dropout=0.3),
    "resnext": partial(CifarResNeXt, 11, 8, 4),
    "densenet": partial(DenseNetBC, 16, 12),
    "imagenet_resnet18": partial(ImageNetResNet, 18),
    "dann_digits": DigitNetwork,
}
SMALLEST_MAPS = {"alexnet": 2, "vgg19": 2, "imagenet_resnet18": 2, "dann_digits": 10}  # 8 of others


def _without_weights(network, norm, classes=100):
    """On the meta device: layers and shapes, no memory and no arithmetic."""
    with torch.device("meta"):
        return network(classes, NORMS[norm].layer)


def _count(parameters):
    return sum(parameter.numel() for parameter in parameters)


@pytest.mark.parametrize("name", FULL)
def test_parameter_counts(name):
    network, parameters = FULL[name]
    classes = 1000 if name.startswith("imagenet") else 100
    assert _count(_without_weights(network, "bn", classes).parameters()) == parameters


def test_the_authors_network_has_as_many_gates_as_they_report():
    network = _without_weights(FULL["resnet164"][0], "bin")
    assert _count(gate_parameters(network)) == 12_560
    assert _count(network.parameters()) == 1_739_844


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        ("resnet83", 83),
        ("resnet164", 164),
        ("preresnet110", 110),
        ("preresnet164", 164),
        ("resnext29_8x64d", 29),
        ("densenet_bc100_12", 100),
        ("imagenet_resnet18", 18),
        ("imagenet_resnet50", 50),
        ("vgg19", 17),  # VGG's name counts the original's three linear layers
        ("wrn28_10", 26),  # and this one's its three shortcuts, but not the head
    ],
)
def test_depth_counts_convolutions_and_the_head_without_shortcuts(name, depth):
    network = _without_weights(FULL[name][0], "bn")
    layers = [name for name, module in network.named_modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    assert sum("shortcut" not in name for name in layers) == depth


@pytest.mark.parametrize("name", [name for name in FULL if name not in {"alexnet", "vgg19", "dann_digits"}])
def test_the_first_norm_of_each_block_of_a_stage_is_called_norm1(name):
    network = _without_weights(FULL[name][0], "bn")
    stages = [module for name, module in network.named_children() if name.startswith("stage")]
    assert len(stages) == (4 if name.startswith("imagenet") else 3)
    for block in (block for stage in stages for block in stage):
        norms = [name for name, module in block.named_modules() if isinstance(module, nn.BatchNorm2d)]
        assert norms[0] == "norm1"


@pytest.mark.parametrize("name", SMALL)
def test_no_norm_sees_maps_of_one_pixel(name):
    """Instance norm could not train there."""
    network = _without_weights(SMALL[name], "bn")
    sizes = []
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_pre_hook(lambda _, inputs: sizes.append(tuple(inputs[0].shape[2:])))
    side = 33 if name.startswith("imagenet") else 32
    assert network(torch.empty(2, 3, side, side, device="meta")).shape == (2, 100)
    assert len(sizes) == sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    assert min(sizes) == (SMALLEST_MAPS.get(name, 8),) * 2


@pytest.mark.parametrize("name", SMALL)
def test_every_norm_starts_from_the_same_weights(name):
    torch.manual_seed(5)
    reference = SMALL[name](10, NORMS["bn"].layer)
    for norm in ("in", "bn+in", "bin"):
        torch.manual_seed(5)
        network = SMALL[name](10, NORMS[norm].layer)
        for place, module in network.named_modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                assert torch.equal(module.weight, reference.get_submodule(place).weight), (place, norm)


def _train_once(network, precision=torch.bfloat16, side=32):
    """One forward and backward pass, channels last; returns the logits."""
    network.to(memory_format=torch.channels_last)
    pictures = torch.randn(2, 3, side, side).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", dtype=precision, enabled=precision != torch.float32):
        logits = network(pictures)
    logits.float().logsumexp(1).sum().backward()
    return logits


def _assert_it_trains(network, side):
    logits = _train_once(network, side=side)
    assert logits.shape == (2, 10)
    assert logits.dtype == torch.bfloat16
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("norm", ["bn", "in", "bn+in", "bin"])
@pytest.mark.parametrize("name", SMALL)
def test_every_norm_trains_channels_last_in_bfloat16(name, norm):
    torch.manual_seed(0)
    network = SMALL[name](10, NORMS[norm].layer)
    _assert_it_trains(network, side=36)  # 36: no maps of one pixel in ImageNet's ResNet
    assert network.eval()(torch.randn(1, 3, 36, 36)).isfinite().all()


@pytest.mark.parametrize("norm", ["bn", "bin"])
@pytest.mark.parametrize("name", [name for name in FULL if name not in {*SMALL, "resnet56", "resnet110"}])
def test_the_papers_networks_train_channels_last_in_bfloat16(name, norm):
    torch.manual_seed(0)
    _assert_it_trains(FULL[name][0](10, NORMS[norm].layer), side=32 if name.startswith("imagenet") else 16)


@pytest.mark.parametrize("norm", ["bn", "bin"])
@pytest.mark.parametrize("name", SMALL)
def test_maps_stay_channels_last_through_the_network(name, norm):
    network = SMALL[name](10, NORMS[norm].layer)
    layouts = []

    def note(_module, inputs, output):
        maps = (*inputs, output)
        layouts.append(all(each.is_contiguous(memory_format=torch.channels_last) for each in maps))

    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) or hasattr(module, "gate"):
            module.register_forward_hook(note)
    _train_once(network)
    assert layouts
    assert all(layouts)


@pytest.mark.parametrize("name", SMALL)
def test_bin_starts_as_batch_norm(name):
    torch.manual_seed(0)
    reference = SMALL[name](10, NORMS["bn"].layer)
    network = SMALL[name](10, NORMS["bin"].layer)
    missing, unexpected = network.load_state_dict(reference.state_dict(), strict=False)
    assert not unexpected
    assert all(key.endswith("gate") for key in missing)
    torch.manual_seed(1)
    expected = _train_once(reference, torch.float32)
    torch.manual_seed(1)
    torch.testing.assert_close(_train_once(network, torch.float32), expected, atol=1e-3, rtol=1e-3)
