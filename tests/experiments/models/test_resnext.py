import torch

from binorm.experiments.models.norms import NORMS
from binorm.experiments.models.resnext import CifarResNeXt


def test_groups_double_their_width_from_stage_to_stage():
    with torch.device("meta"):
        network = CifarResNeXt(11, 8, 64, 10, NORMS["bn"])
    stages = (network.stage1, network.stage2, network.stage3)
    assert [tuple(stage[0].conv2.weight.shape[:2]) for stage in stages] == [(512, 64), (1024, 128), (2048, 256)]
    assert [stage[0].conv3.out_channels for stage in stages] == [256, 512, 1024]
