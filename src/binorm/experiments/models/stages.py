"""Stages: runs of residual blocks at one width, and how many of them a depth means."""

from typing import Protocol

from torch import nn

from binorm.experiments.errors import UserError
from binorm.experiments.models.norms import NormLayer


class ResidualBlock(Protocol):
    """What `residual_stage` builds a stage from: a block's class, or a partial of one."""

    def __call__(self, in_channels: int, channels: int, stride: int, norm_layer: NormLayer) -> nn.Module:
        """A block from (N, in_channels, H, W) to (N, channels, H / stride, W / stride)."""


def residual_stage(
    block: ResidualBlock, in_channels: int, channels: int, blocks: int, stride: int, norm_layer: NormLayer
) -> nn.Sequential:
    """``blocks`` blocks with ``channels`` outputs each; the first one changes width and resolution."""
    first = block(in_channels, channels, stride, norm_layer)
    return nn.Sequential(first, *(block(channels, channels, 1, norm_layer) for _ in range(blocks - 1)))


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
