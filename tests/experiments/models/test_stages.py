from functools import partial

import pytest
import torch
import torchvision
from torch import nn

from binorm.experiments.common.errors import UserError
from binorm.experiments.models import MODELS
from binorm.experiments.models.densenet import DenseNetBC
from binorm.experiments.models.norms import NORMS
from binorm.experiments.models.preresnet import PreResNet, WideResNet
from binorm.experiments.models.resnet import BasicBlock, CifarResNet, CifarResNeXt, ImageNetResNet
from binorm.experiments.models.stages import blocks_per_stage, initialize_convolutions, residual_stages, stage_ends


def test_only_the_first_block_of_a_stage_changes_width_and_resolution():
    stages = residual_stages(BasicBlock, 3, (4, 8), (2, 3), NORMS["bn"].layer)
    x = torch.randn(2, 3, 8, 8)
    shapes = [tuple((x := block(x)).shape) for stage in stages.values() for block in stage]
    assert shapes == [(2, 4, 8, 8)] * 2 + [(2, 8, 4, 4)] * 3


@pytest.mark.parametrize(
    ("depth", "layers", "others", "blocks"), [(8, 2, 2, 1), (110, 2, 2, 18), (164, 3, 2, 18), (28, 2, 4, 4)]
)
def test_blocks_per_stage(depth, layers, others, blocks):
    assert blocks_per_stage(depth, layers, others) == blocks


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (partial(CifarResNet, 9), r"6n \+ 2, such as 8 or 14 \(got 9\)"),
        (partial(CifarResNet, 2), r"6n \+ 2, such as 8 or 14 \(got 2\)"),
        (partial(CifarResNet, 100, bottleneck=True), r"9n \+ 2, such as 11 or 20 \(got 100\)"),
        (partial(PreResNet, 109), r"6n \+ 2"),
        (partial(PreResNet, 163, bottleneck=True), r"9n \+ 2"),
        (partial(WideResNet, 26, 10), r"6n \+ 4, such as 10 or 16 \(got 26\)"),
        (partial(CifarResNeXt, 28, 8, 64), r"9n \+ 2"),
        (partial(DenseNetBC, 101, 12), r"6n \+ 4"),
        (partial(ImageNetResNet, 20), r"the depth should be 18 or 50 \(got 20\)"),
    ],
)
def test_depths_without_whole_blocks_are_errors_that_name_some_that_have(build, message):
    with pytest.raises(UserError, match=message):
        build(num_classes=10, norm_layer=NORMS["bn"].layer)


@pytest.mark.parametrize("name", MODELS)
def test_stages_of_our_networks_end_in_their_order(name):
    with torch.device("meta"):
        network = MODELS[name](10, NORMS["bn"].layer)
    stages = [child for child, _ in network.named_children() if child.startswith("stage")]
    assert stage_ends(network) == stages
    assert len(stages) >= 2


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("resnet18", ["layer1", "layer2", "layer3", "layer4"]),
        ("densenet121", [f"features.denseblock{number}" for number in (1, 2, 3, 4)]),
        ("efficientnet_b0", [f"features.{number}" for number in range(1, 8)]),
        ("vgg11_bn", [f"features.{number}" for number in (3, 7, 14, 21, 28)]),
        ("shufflenet_v2_x0_5", ["stage2", "stage3", "stage4"]),
    ],
)
def test_stages_of_torchvision(name, ends):
    with torch.device("meta"):
        network = torchvision.models.get_model(name, weights=None)
    assert stage_ends(network) == ends


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("resnet18", ["layer1", "layer2", "layer3", "layer4"]),
        ("tf_efficientnet_lite0", [f"blocks.{number}" for number in range(7)]),
        ("regnety_004", ["s1", "s2", "s3", "s4"]),
        ("repvgg_a0", ["stages.0", "stages.1", "stages.2", "stages.3"]),
    ],
)
def test_stages_of_timm(name, ends):
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        network = timm.create_model(name)
    assert stage_ends(network) == ends


def test_stages_are_in_the_order_of_their_numbers():
    network = nn.ModuleDict({f"stage{number}": nn.Identity() for number in (10, 2, 1)})
    assert stage_ends(network) == ["stage1", "stage2", "stage10"]


def test_a_network_without_stages_is_an_error_that_says_what_was_looked_for():
    with pytest.raises(UserError, match=r"Sequential has no stages .* looked for stage1, layer1, .* \(it has 0, 1\)"):
        stage_ends(nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU()))


def test_the_variance_is_two_over_fan_out_and_biases_are_zero():
    torch.manual_seed(0)
    conv = nn.Conv2d(32, 128, 3)
    initialize_convolutions(conv)
    assert conv.weight.var().item() == pytest.approx(2 / (128 * 9), rel=0.05)
    assert conv.weight.mean().item() == pytest.approx(0, abs=1e-3)
    assert (conv.bias == 0).all()


def test_only_convolutions_are_drawn_anew():
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1))
    linear, conv = network[0].weight.clone(), network[2].weight.clone()
    initialize_convolutions(network)
    assert torch.equal(network[0].weight, linear)
    assert not torch.equal(network[2].weight, conv)
