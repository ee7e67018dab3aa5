import pytest
import torch
from torch import nn

from binorm import BatchInstanceNorm2d, gate_parameters
from binorm.experiments.common.errors import UserError
from binorm.experiments.models import check_name, create
from binorm.experiments.models.norms import InstanceBatchNormAct2d, SwitchableNorm2d

KINDS = {
    "bn": nn.BatchNorm2d,
    "in": nn.InstanceNorm2d,
    "bn+in": BatchInstanceNorm2d,
    "bin": BatchInstanceNorm2d,
    "gn": nn.GroupNorm,
    "sn": SwitchableNorm2d,
}


@pytest.mark.parametrize("norm", sorted(KINDS))
def test_every_batch_norm_is_replaced_and_other_weights_are_the_same(norm):
    networks = {}
    for each in ("bn", norm):
        torch.manual_seed(3)
        networks[each] = create("torchvision:resnet18", 7, each)
    norms = {name for name, module in networks["bn"].named_modules() if isinstance(module, nn.BatchNorm2d)}
    assert len(norms) == 20
    for name, module in networks["bn"].named_modules():
        other = networks[norm].get_submodule(name)
        if name in norms:
            assert isinstance(other, KINDS[norm])
        elif isinstance(module, (nn.Conv2d, nn.Linear)):
            assert torch.equal(other.weight, module.weight)
    assert networks[norm](torch.randn(2, 3, 64, 64)).shape == (2, 7)


def test_the_fixed_mix_stays_fixed():
    gates = list(gate_parameters(create("torchvision:resnet18", 7, "bn+in")))
    assert all((gate == 0.5).all() and not gate.requires_grad for gate in gates)


def test_ibn_a_finds_the_blocks_of_torchvision_and_leaves_the_relu_to_them():
    network = create("torchvision:resnet18", 7, "ibn-a")
    changed = {name: each for name, each in network.named_modules() if isinstance(each, InstanceBatchNormAct2d)}
    assert set(changed) == {f"layer{stage}.{block}.bn1" for stage in (1, 2, 3) for block in (0, 1)}
    assert not any(each.apply_act for each in changed.values())


@pytest.mark.parametrize("norm", ["bn", "bin", "gn", "in"])
def test_timms_norms_with_activation_keep_it(norm):
    pytest.importorskip("timm")
    network = create("timm:efficientnet_lite0", 5, norm).eval()
    activations = sum(isinstance(module, nn.ReLU6) for module in network.modules())
    assert activations == 33
    assert network(torch.randn(1, 3, 64, 64)).shape == (1, 5)


def test_googlenet_gives_one_output_in_training():
    assert create("torchvision:googlenet", 4, "bin")(torch.randn(2, 3, 64, 64)).shape == (2, 4)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("torchvision:resnet19", r"unknown network 'resnet19' of torchvision, did you mean 'resnet\d+'\? \(\d+ are"),
        ("timm:resnet18q", r"unknown network 'resnet18q' of timm, did you mean 'resnet\w+'"),
        ("tim:resnet18", "unknown collection of networks 'tim', did you mean 'timm'"),
    ],
)
def test_unknown_names_are_errors_before_anything_is_built(name, message):
    pytest.importorskip("timm")
    with pytest.raises(UserError, match=message):
        check_name(name)


def test_a_network_without_batch_norms_is_an_error():
    with pytest.raises(UserError, match="torchvision:vgg11 has no batch norms"):
        create("torchvision:vgg11", 2, "bin")


def test_dropout_is_for_networks_that_have_it():
    assert any(isinstance(each, nn.Dropout) and each.p == 0.3 for each in create("wrn28_10", 2, "bn", 0.3).modules())
    with pytest.raises(UserError, match=r"resnet20 takes no dropout \(got 0\.3\)"):
        create("resnet20", 2, "bn", 0.3)
