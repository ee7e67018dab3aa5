"""Stages: runs of residual blocks at one width, how many of them a depth means, how they start, and where they end."""

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from torch import Tensor, nn

from binorm.experiments.common.errors import UserError
from binorm.experiments.models.norms import NormLayer

# In order; the first one that a network has counts.
_STAGES = (
    r"stage(\d+)",  # ours, torchvision's ShuffleNets
    r"layer(\d+)",  # ResNets of torchvision and timm
    r"features\.denseblock(\d+)",  # DenseNets of both
    r"blocks\.(\d+)",  # timm's EfficientNets and MobileNets
    r"stages[._](\d+)",  # others of timm
    r"s(\d+)",  # timm's RegNets
    r"trunk_output\.block(\d+)",  # torchvision's RegNets
)


class StagedNetwork(nn.Sequential):
    """Layers one after the other, the mean over all pixels, and a linear head.

    (N, 3, H, W) images -> (N, num_classes) logits. Convolutions start as `initialize_convolutions` says.

    Args:
        layers: by name, such as ``stage1``; the last one gives ``channels`` channels.
        channels: what the head sees.
        num_classes: logits.
    """

    def __init__(self, layers: Mapping[str, nn.Module], channels: int, num_classes: int) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.mean = _MeanOverPixels()
        self.head = nn.Linear(channels, num_classes)
        initialize_convolutions(self)


class _MeanOverPixels(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


class ResidualBlock(Protocol):
    """What `residual_stages` builds stages from: a block's class, or a partial of one."""

    def __call__(self, in_channels: int, channels: int, stride: int, norm_layer: NormLayer) -> nn.Module:
        """A block from (N, in_channels, H, W) to (N, channels, H / stride, W / stride)."""


def residual_stages(
    block: ResidualBlock, in_channels: int, widths: Sequence[int], blocks: Sequence[int], norm_layer: NormLayer
) -> dict[str, nn.Module]:
    """``stage1``, ``stage2``, …: of each its width and its number of blocks.

    The first block of a stage changes the width, and halves the resolution in all stages but the first.
    """
    stages: dict[str, nn.Module] = {}
    for number, (channels, count) in enumerate(zip(widths, blocks, strict=True), 1):
        first = block(in_channels, channels, min(number, 2), norm_layer)
        others = (block(channels, channels, 1, norm_layer) for _ in range(count - 1))
        stages[f"stage{number}"] = nn.Sequential(first, *others)
        in_channels = channels
    return stages


def blocks_per_stage(depth: int, layers_per_block: int, other_layers: int) -> int:
    """Blocks in each of three equal stages: (depth - other_layers) / (3 layers_per_block).

    Raises:
        UserError: if that is not a whole number above 0.
    """
    layers = 3 * layers_per_block
    blocks, rest = divmod(depth - other_layers, layers)
    if rest or blocks < 1:
        smallest, next_one = layers + other_layers, 2 * layers + other_layers
        raise UserError(
            f"the depth should be {layers}n + {other_layers}, such as {smallest} or {next_one} (got {depth})"
        )
    return blocks


def initialize_convolutions(network: nn.Module) -> None:
    """Draw the weights of every 2d convolution from N(0, 2 / fan_out), and set its bias to 0.

    They are drawn in the order of ``network.modules()``. No norm draws anything, so one seed gives every norm the same
    weights.

    Source: He et al., *Delving Deep into Rectifiers*, ICCV 2015, section 2.2 (backward propagation case).
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def stage_ends(network: nn.Module) -> list[str]:
    """The dotted names of the modules with which each stage ends, from the first to the last.

    A stage is a run of blocks at one width and resolution, and in most networks a module, such as ``layer1`` to
    ``layer4`` of ResNets or ``blocks.0`` to ``blocks.6`` of timm's EfficientNets. In torchvision's EfficientNets it is
    one of the plain sequences in ``features``, and in its VGGs ends with a max pooling there.

    Raises:
        UserError: if the network has no stages under the names known here.
    """
    modules = dict(network.named_modules())
    for pattern in _STAGES:
        found = {int(match[1]): name for name in modules if (match := re.fullmatch(pattern, name))}
        if found:
            return [found[number] for number in sorted(found)]
    features = [(name, each) for name, each in modules.items() if re.fullmatch(r"features\.\d+", name)]
    for kind in (nn.Sequential, nn.MaxPool2d):
        ends = [name for name, each in features if type(each) is kind]  # subclasses are stems and blocks
        if ends:
            return ends
    children = ", ".join(name for name, _ in network.named_children())
    raise UserError(
        f"{type(network).__name__} has no stages that are known: looked for stage1, layer1, blocks.0, stages.0 and the "
        f"like (it has {children or 'no modules'}); choose a network of residual blocks"
    )
