import torch

from binorm.experiments.models.cifar_resnet import CifarResNet
from binorm.experiments.models.norms import NORMS


def test_parameters_have_the_names_that_saved_networks_rely_on():
    with torch.device("meta"):
        names = set(dict(CifarResNet(8, 10, NORMS["bin"]).named_parameters()))
    norms = ["norm", "stage1.0.norm1", "stage1.0.norm2"]
    convolutions = ["conv", "stage1.0.conv1", "stage1.0.conv2"]
    for stage in ("stage2", "stage3"):
        norms += [f"{stage}.0.norm1", f"{stage}.0.norm2", f"{stage}.0.shortcut.1"]
        convolutions += [f"{stage}.0.conv1", f"{stage}.0.conv2", f"{stage}.0.shortcut.0"]
    expected = {f"{norm}.{parameter}" for norm in norms for parameter in ("weight", "bias", "gate")}
    assert names == expected | {f"{convolution}.weight" for convolution in convolutions} | {"head.weight", "head.bias"}


def test_bottlenecks_keep_a_quarter_of_their_outputs_inside():
    with torch.device("meta"):
        network = CifarResNet(11, 10, NORMS["bn"], bottleneck=True)
    stages = (network.stage1, network.stage2, network.stage3)
    assert [stage[0].conv2.out_channels for stage in stages] == [16, 32, 64]
    assert network.head.in_features == 256
