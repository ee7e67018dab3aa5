"""ResNeXts for 32x32 pictures (Xie et al., *Aggregated Residual Transformations*, CVPR 2017, section 5.3)."""

from functools import partial

from binorm.experiments.models.cifar_resnet import ThreeStageResNet
from binorm.experiments.models.norms import NormLayer
from binorm.experiments.models.residual_blocks import Bottleneck
from binorm.experiments.models.stages import blocks_per_stage


class CifarResNeXt(ThreeStageResNet):
    """Three stages of 256, 512 and 1024 channels with (depth - 2) / 9 bottleneck blocks of grouped convolutions each.

    ``CifarResNeXt(29, 8, 64, ...)`` is ResNeXt-29, 8x64d: the 3x3 convolutions of its first stage have 8 groups of 64
    channels; later stages double the 64.

    Args:
        depth: 9n + 2.
        cardinality: groups.
        base_width: channels of one group in the first stage.
        num_classes: logits.
        norm_layer: the norm, see `binorm.experiments.models.norms`.

    Raises:
        UserError: for a depth that does not give whole blocks.
    """

    def __init__(self, depth: int, cardinality: int, base_width: int, num_classes: int, norm_layer: NormLayer) -> None:
        block = partial(Bottleneck, cardinality=cardinality, base_width=base_width)
        blocks = blocks_per_stage(depth, 3, 2)
        super().__init__(block, 64, (256, 512, 1024), blocks, num_classes, norm_layer)
