"""Stylizing large pictures in bounded memory, to the same result as the whole network at once.

Instance statistics belong to the whole picture, so the network is walked layer by layer: one pass over horizontal
strips finds the statistics of a norm's input, after which the norm is an affine map. Maps at full and half size are
computed anew from the picture wherever their rows are needed; those at a quarter of the size, where most of the
computation is, and the first doubling are kept.
"""

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import cast

import numpy
import torch
from torch import Tensor, nn

from binorm.experiments.style.drawing.affine import ChannelStatistics, norm_as_affine
from binorm.experiments.style.drawing.map_rows import MapRows, convolved_rows, image_rows, kept_rows
from binorm.experiments.style.network import ConvNorm, ResidualBlock, StyleNetwork, network_output

STRIP_BYTES = 2**25  # of one map of one strip; a few of them are in memory at a time
MIN_STRIP_ROWS = 16
LARGEST_HALF = 65504.0  # in float16


def stylize_in_strips(network: StyleNetwork, pixels: numpy.ndarray, strip_bytes: int = STRIP_BYTES) -> numpy.ndarray:
    """What `StyleNetwork` draws, to within rounding, in memory for a small part of its maps.

    ``network`` is in evaluation mode; ``pixels`` and the result are uint8 (H, W, 3), both sides at least
    `StyleNetwork.MIN_SIZE`. One map of a strip takes ``strip_bytes``, or `MIN_STRIP_ROWS` rows where those take more.
    """
    if pixels.shape[1] > pixels.shape[0]:  # strips along the shorter side: less of them, and rows that are never huge
        turned = stylize_in_strips(_transposed(network), pixels.transpose(1, 0, 2), strip_bytes)
        return numpy.ascontiguousarray(turned.transpose(1, 0, 2))
    output = numpy.empty(pixels.shape, numpy.uint8)
    with torch.inference_mode():
        for top, strip in StripWalk(network, pixels, strip_bytes).drawn():
            output[top : top + strip.shape[2]] = network_output(strip)
    return output


class StripWalk:
    """The passes of one network over one image; the arguments are those of `stylize_in_strips`."""

    def __init__(self, network: StyleNetwork, pixels: numpy.ndarray, strip_bytes: int) -> None:
        self.network, self.pixels = network, pixels
        row_bytes = 4 * network.width * pixels.shape[1]
        self.strip_rows = max(MIN_STRIP_ROWS, strip_bytes // row_bytes // 4 * 4)  # a multiple of 4

    def drawn(self) -> Iterator[tuple[int, Tensor]]:
        """The stylized image strip by strip: its first row, and (1, 3, rows, W) in [0, 1]."""
        height, width = self.pixels.shape[:2]
        first, second = cast("list[ConvNorm]", list(self.network.decoder))
        half = self._keep_doubled(self._normed(kept_rows(self._blocks(self._encoded())), first), first)
        full = self._normed(kept_rows(half), second)
        cut = MapRows(height, width, lambda top, bottom: full.rows(top, bottom)[..., :width])
        drawn = convolved_rows(cut, self.network.last)
        for top, bottom in self._strips(height, width):
            yield top, drawn.rows(top, bottom).sigmoid_()

    def _encoded(self) -> Tensor:
        x = image_rows(self.pixels)
        *full, last = cast("list[ConvNorm]", list(self.network.encoder))
        for layer in full:
            x = self._normed(x, layer)
        raw = convolved_rows(x, last.conv)
        kept = _empty(raw, last, torch.float32)
        affine = norm_as_affine(last.norm, self._fill(kept, raw))
        for top, bottom in self._strips(*kept.shape[2:]):
            kept[:, :, top:bottom] = affine(kept[:, :, top:bottom]).relu_()
        return kept

    def _blocks(self, x: Tensor) -> Tensor:
        """Each block's output takes its input's place, and its second convolution's that of the first."""
        inner = torch.empty_like(x)
        for block in cast("list[ResidualBlock]", list(self.network.blocks)):
            raw = convolved_rows(kept_rows(x), block.first.conv)
            first = norm_as_affine(block.first.norm, self._fill(inner, raw))
            raw = convolved_rows(kept_rows(inner, first), block.second.conv)
            second = norm_as_affine(block.second.norm, self._fill(inner, raw))
            for top, bottom in self._strips(*x.shape[2:]):
                x[:, :, top:bottom] += second(inner[:, :, top:bottom])
        return x

    def _normed(self, source: MapRows, layer: ConvNorm) -> MapRows:
        """A layer whose norm has seen the whole of its input, in a pass over it."""
        raw = convolved_rows(source, layer.conv, upsample=layer.upsample)
        statistics = ChannelStatistics(layer.conv.out_channels)
        for top, bottom in self._strips(raw.height, raw.width):
            statistics.add(raw.rows(top, bottom))
        return convolved_rows(source, layer.conv, norm_as_affine(layer.norm, statistics), upsample=layer.upsample)

    def _keep_doubled(self, source: MapRows, layer: ConvNorm) -> Tensor:
        """In float16, because it is the largest map; its values are normalized."""
        kept = _empty(source, layer, torch.float16)
        for top, bottom in self._strips(*kept.shape[2:]):
            kept[:, :, top:bottom] = source.rows(top, bottom).clamp_(max=LARGEST_HALF)
        return kept

    def _fill(self, kept: Tensor, source: MapRows) -> ChannelStatistics:
        """Write ``source`` into ``kept``, from which it may read itself; its statistics."""
        statistics = ChannelStatistics(kept.shape[1])
        waiting: Callable[[], object] | None = None  # for the next strip, which reads the last rows that it replaces
        for top, bottom in self._strips(source.height, source.width):
            rows = source.rows(top, bottom)
            statistics.add(rows)
            if waiting:
                waiting()
            waiting = partial(kept[:, :, top:bottom].copy_, rows)
        if waiting:
            waiting()
        return statistics

    def _strips(self, height: int, width: int) -> Iterator[tuple[int, int]]:
        """The rows of a map of this size that belong to each strip of the image."""
        shrinkage = 1
        while width * shrinkage < self.pixels.shape[1]:
            shrinkage *= 2
        step = self.strip_rows // shrinkage
        return ((top, min(top + step, height)) for top in range(0, height, step))


def _transposed(network: StyleNetwork) -> StyleNetwork:
    """The network that draws transposed images, transposed."""
    turned = copy.deepcopy(network)
    for module in turned.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data = module.weight.data.transpose(2, 3).contiguous(memory_format=torch.channels_last)
    return turned


def _empty(source: MapRows, layer: ConvNorm, dtype: torch.dtype) -> Tensor:
    shape = (1, layer.conv.out_channels, source.height, source.width)
    return torch.empty(shape, dtype=dtype, memory_format=torch.channels_last)
