from functools import partial

import pytest
import torch

from binorm.experiments.errors import UserError
from binorm.experiments.models.cifar_resnet import CifarResNet
from binorm.experiments.models.densenet import DenseNetBC
from binorm.experiments.models.imagenet_resnet import ImageNetResNet
from binorm.experiments.models.norms import NORMS
from binorm.experiments.models.preresnet import PreResNet, WideResNet
from binorm.experiments.models.residual_blocks import BasicBlock
from binorm.experiments.models.resnext import CifarResNeXt
from binorm.experiments.models.stages import blocks_per_stage, residual_stage


def test_only_the_first_block_of_a_stage_changes_width_and_resolution():
    stage = residual_stage(BasicBlock, 4, 8, 3, 2, NORMS["bn"])
    x = torch.randn(2, 4, 8, 8)
    shapes = [tuple((x := block(x)).shape) for block in stage]
    assert shapes == [(2, 8, 4, 4)] * 3


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
        build(num_classes=10, norm_layer=NORMS["bn"])
