import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from binorm.experiments.models.norms import NORMS
from binorm.experiments.models.preresnet import PreActBasicBlock, PreActBottleneck, WideResNet


@pytest.mark.parametrize(("block", "last"), [(PreActBasicBlock, "conv2"), (PreActBottleneck, "conv3")])
def test_nothing_touches_the_input_on_its_way_to_the_sum(block, last):
    network = block(16, 16, 1, NORMS["bn"].layer)
    network.get_submodule(last).weight.data.zero_()
    x = torch.randn(2, 16, 4, 4)
    assert torch.equal(network(x), x)


@pytest.mark.parametrize(("block", "last"), [(PreActBasicBlock, "conv2"), (PreActBottleneck, "conv3")])
def test_shortcuts_that_change_the_shape_see_the_activated_input(block, last):
    network = block(8, 16, 2, NORMS["bn"].layer)
    network.get_submodule(last).weight.data.zero_()
    x = torch.randn(2, 8, 4, 4)
    activated = F.batch_norm(x, None, None, training=True).relu()
    torch.testing.assert_close(network(x), F.conv2d(activated, network.shortcut.weight, stride=2))


@pytest.mark.parametrize("block", [PreActBasicBlock, PreActBottleneck])
def test_each_convolution_comes_after_its_norm_and_relu(block):
    network = block(16, 16, 1, NORMS["bn"].layer)
    inputs = {}
    for name, module in network.named_children():
        if isinstance(module, nn.Conv2d):
            module.register_forward_pre_hook(lambda _, args, name=name: inputs.update({name: args[0]}))
    network(torch.randn(8, 16, 8, 8))
    for name, x in inputs.items():
        assert x.min() == 0, name
        assert x.square().mean().item() == pytest.approx(0.5, abs=0.05), name  # half of a variance of 1


def test_dropout_stands_before_the_second_convolution_and_only_in_training():
    block = PreActBasicBlock(8, 8, 1, NORMS["bn"].layer, dropout=1.0)
    x = torch.randn(2, 8, 4, 4)
    assert torch.equal(block(x), x)
    block.eval()
    assert not torch.equal(block(x), x)


def test_wide_resnets_pass_dropout_to_every_block_and_have_none_by_default():
    with torch.device("meta"):
        with_dropout, without = (WideResNet(28, 1, 10, NORMS["bn"].layer, dropout=share) for share in (0.3, 0.0))
    assert [module.p for module in with_dropout.modules() if isinstance(module, nn.Dropout)] == [0.3] * 12
    assert not any(isinstance(module, nn.Dropout) for module in without.modules())


def test_a_dropout_that_is_no_share_is_an_error():
    with pytest.raises(ValueError, match="between 0 and 1"):
        WideResNet(10, 1, 10, NORMS["bn"].layer, dropout=1.5)
