import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from binorm.experiments.models.norms import NORMS
from binorm.experiments.models.resnet import (
    IMAGENET_DEPTHS,
    BasicBlock,
    Bottleneck,
    CifarResNet,
    CifarResNeXt,
    ImageNetResNet,
)


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
def test_without_its_convolutions_a_block_is_the_relu_of_its_input(block):
    network = block(16, 16, 1, NORMS["bn"].layer)
    _last(network, nn.Conv2d).weight.data.zero_()
    x = torch.randn(2, 16, 4, 4)
    torch.testing.assert_close(network(x), x.relu())


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
def test_without_its_convolutions_a_changing_block_is_the_relu_of_its_normalized_projection(block):
    network = block(8, 16, 2, NORMS["bn"].layer)
    _last(network, nn.Conv2d, but="shortcut").weight.data.zero_()
    x = torch.randn(2, 8, 4, 4)
    projection = F.conv2d(x, network.shortcut[0].weight, stride=2)
    torch.testing.assert_close(network(x), F.batch_norm(projection, None, None, training=True).relu())


def _last(network, kind, but="nothing"):
    return [module for name, module in network.named_modules() if isinstance(module, kind) and but not in name][-1]


def test_cardinality_and_base_width_set_the_grouped_convolution():
    conv = Bottleneck(64, 512, 2, NORMS["bn"].layer, cardinality=8, base_width=64).conv2
    assert (conv.groups, conv.in_channels, conv.out_channels, conv.stride) == (8, 1024, 1024, (2, 2))
    assert Bottleneck(64, 512, 2, NORMS["bn"].layer).conv2.weight.shape == (128, 128, 3, 3)


def test_parameters_have_the_names_that_saved_networks_rely_on():
    with torch.device("meta"):
        names = set(dict(CifarResNet(8, 10, NORMS["bin"].layer).named_parameters()))
    norms = ["norm", "stage1.0.norm1", "stage1.0.norm2"]
    convolutions = ["conv", "stage1.0.conv1", "stage1.0.conv2"]
    for stage in ("stage2", "stage3"):
        norms += [f"{stage}.0.norm1", f"{stage}.0.norm2", f"{stage}.0.shortcut.1"]
        convolutions += [f"{stage}.0.conv1", f"{stage}.0.conv2", f"{stage}.0.shortcut.0"]
    expected = {f"{norm}.{parameter}" for norm in norms for parameter in ("weight", "bias", "gate")}
    assert names == expected | {f"{convolution}.weight" for convolution in convolutions} | {"head.weight", "head.bias"}


def test_bottlenecks_keep_a_quarter_of_their_outputs_inside():
    with torch.device("meta"):
        network = CifarResNet(11, 10, NORMS["bn"].layer, bottleneck=True)
    stages = (network.stage1, network.stage2, network.stage3)
    assert [stage[0].conv2.out_channels for stage in stages] == [16, 32, 64]
    assert network.head.in_features == 256


def test_groups_double_their_width_from_stage_to_stage():
    with torch.device("meta"):
        network = CifarResNeXt(11, 8, 64, 10, NORMS["bn"].layer)
    stages = (network.stage1, network.stage2, network.stage3)
    assert [tuple(stage[0].conv2.weight.shape[:2]) for stage in stages] == [(512, 64), (1024, 128), (2048, 256)]
    assert [stage[0].conv3.out_channels for stage in stages] == [256, 512, 1024]


@pytest.mark.parametrize("depth", IMAGENET_DEPTHS)
def test_with_torchvisions_weights_it_computes_what_torchvision_does(depth):
    torch.manual_seed(0)
    reference = torchvision.models.get_model(f"resnet{depth}", weights=None, num_classes=10)
    network = ImageNetResNet(depth, 10, NORMS["bn"].layer)
    values = reference.state_dict().values()
    network.load_state_dict(dict(zip(network.state_dict(), values, strict=True)))
    pictures = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(network(pictures), reference(pictures), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("side", [32, 33, 50, 224, 256])
@pytest.mark.parametrize("depth", IMAGENET_DEPTHS)
def test_pictures_of_any_size_from_32_pass(depth, side):
    with torch.device("meta"):
        network = ImageNetResNet(depth, 10, NORMS["bn"].layer)
        assert network(torch.empty(2, 3, side, side)).shape == (2, 10)


@pytest.mark.parametrize("norm", ["bn", "bn+in", "bin"])
def test_pictures_of_32_pixels_train_although_the_last_maps_are_single_pixels(norm):
    torch.manual_seed(0)
    network = ImageNetResNet(18, 10, NORMS[norm].layer)
    network(torch.randn(2, 3, 32, 32)).logsumexp(1).sum().backward()
    assert all(each.grad.isfinite().all() for each in network.parameters() if each.requires_grad)


def test_instance_norm_needs_33_pixels():
    network = ImageNetResNet(18, 10, NORMS["in"].layer)
    assert network(torch.randn(2, 3, 33, 33)).shape == (2, 10)
    with pytest.raises(ValueError, match="more than 1 spatial element"):
        network(torch.randn(2, 3, 32, 32))
