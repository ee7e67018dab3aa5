"""Stylizing large pictures in bounded memory, to the same result as the whole network at once.

Instance statistics belong to the whole picture, so the network is walked layer by layer: one pass over horizontal
strips finds the statistics of a norm's input, after which the norm is an affine map. Maps at full and half size are
computed anew from the picture wherever their rows are needed; those at a quarter of the size, where most of the
computation is, and the first doubling are kept.
"""

import copy
from collections.abc import Iterator
from typing import cast

import numpy
import torch
from torch import Tensor, nn

from binorm.experiments.style.drawing.affine import ChannelStatistics, norm_as_affine
from binorm.experiments.style.drawing.map_rows import ConvolvedRows, CutRows, KeptRows, MapRows, NormedRows, PictureRows
from binorm.experiments.style.drawing.pixels import network_output
from binorm.experiments.style.network import ConvNorm, ResidualBlock, StyleNetwork

STRIP_BYTES = 2**25  # of one map of one strip; a few of them are in memory at a time
MIN_STRIP_ROWS = 16
LARGEST_HALF = 65504.0  # in float16


def stylize_in_strips(network: StyleNetwork, pixels: numpy.ndarray, strip_bytes: int = STRIP_BYTES) -> numpy.ndarray:
    """What `StyleNetwork` draws, to within rounding, in memory for a small part of its maps.

    Args:
        network: in evaluation mode.
        pixels: uint8 (H, W, 3), both sides at least `StyleNetwork.MIN_SIZE`.
        strip_bytes: how much memory one map of a strip takes; strips have `MIN_STRIP_ROWS` rows at the least.

    Returns:
        The stylized picture, uint8 (H, W, 3).
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
    """The passes of one network over one picture.

    Args:
        network: in evaluation mode.
        pixels: uint8 (H, W, 3).
        strip_bytes: see `stylize_in_strips`.

    Attributes:
        strip_rows: of the picture, a multiple of 4.
    """

    def __init__(self, network: StyleNetwork, pixels: numpy.ndarray, strip_bytes: int) -> None:
        self.network, self.pixels = network, pixels
        row_bytes = 4 * network.width * pixels.shape[1]
        self.strip_rows = max(MIN_STRIP_ROWS, strip_bytes // row_bytes // 4 * 4)

    def drawn(self) -> Iterator[tuple[int, Tensor]]:
        """The stylized picture strip by strip: its first row, and (1, 3, rows, W) in [0, 1]."""
        height, width = self.pixels.shape[:2]
        first, second = cast("list[ConvNorm]", list(self.network.decoder))
        half = self._keep_doubled(self._normed(self._blocks(self._encoded()), first))
        last = self.network.last
        drawn = ConvolvedRows(CutRows(self._normed(half, second), height, width), last.weight, last.bias)
        for top, bottom in self._strips(drawn):
            yield top, drawn.rows(top, bottom).sigmoid_()

    def _encoded(self) -> KeptRows:
        x: MapRows = PictureRows(self.pixels)
        *full, last = cast("list[ConvNorm]", list(self.network.encoder))
        for layer in full:
            x = self._normed(x, layer)
        raw = _convolved(x, last)
        kept = KeptRows(_empty(raw, torch.float32))
        normed = NormedRows(kept, norm_as_affine(last.norm, self._fill(kept, raw)))
        for top, bottom in self._strips(kept):
            kept.write(top, normed.rows(top, bottom))
        return kept

    def _blocks(self, x: KeptRows) -> KeptRows:
        """Each block's output takes its input's place, and its second convolution's that of the first."""
        inner = KeptRows(torch.empty_like(x.tensor))
        for block in cast("list[ResidualBlock]", list(self.network.blocks)):
            first = norm_as_affine(block.first.norm, self._fill(inner, _convolved(x, block.first)))
            activated = NormedRows(inner, first)
            second = norm_as_affine(block.second.norm, self._fill(inner, _convolved(activated, block.second)))
            for top, bottom in self._strips(x):
                x.tensor[:, :, top:bottom] += second(inner.rows(top, bottom))
        return x

    def _normed(self, source: MapRows, layer: ConvNorm) -> ConvolvedRows:
        """A layer whose norm has seen the whole of its input, in a pass over it."""
        raw = _convolved(source, layer)
        statistics = ChannelStatistics(raw.channels)
        for top, bottom in self._strips(raw):
            statistics.add(raw.rows(top, bottom))
        return raw.with_norm(norm_as_affine(layer.norm, statistics))

    def _keep_doubled(self, source: ConvolvedRows) -> KeptRows:
        """In float16, because it is the largest map; its values are normalized."""
        kept = KeptRows(_empty(source, torch.float16))
        for top, bottom in self._strips(kept):
            kept.write(top, source.rows(top, bottom).clamp_(max=LARGEST_HALF))
        return kept

    def _fill(self, kept: KeptRows, source: ConvolvedRows) -> ChannelStatistics:
        """Write ``source`` into ``kept``, from which it may read itself; its statistics."""
        statistics = ChannelStatistics(source.channels)
        waiting: tuple[int, Tensor] | None = None  # for the next strip, which reads the last rows that it replaces
        for top, bottom in self._strips(kept):
            rows = source.rows(top, bottom)
            statistics.add(rows)
            if waiting:
                kept.write(*waiting)
            waiting = top, rows
        if waiting:
            kept.write(*waiting)
        return statistics

    def _strips(self, source: MapRows) -> Iterator[tuple[int, int]]:
        """The rows of a map that belong to each strip of the picture."""
        shrinkage = 1
        while source.width * shrinkage < self.pixels.shape[1]:
            shrinkage *= 2
        step = self.strip_rows // shrinkage
        return ((top, min(top + step, source.height)) for top in range(0, source.height, step))


def _transposed(network: StyleNetwork) -> StyleNetwork:
    """The network that draws transposed pictures, transposed."""
    turned = copy.deepcopy(network)
    for module in turned.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data = module.weight.data.transpose(2, 3).contiguous(memory_format=torch.channels_last)
    return turned


def _convolved(source: MapRows, layer: ConvNorm) -> ConvolvedRows:
    return ConvolvedRows(source, layer.conv.weight, stride=layer.conv.stride[0], upsample=layer.upsample)


def _empty(source: ConvolvedRows, dtype: torch.dtype) -> Tensor:
    shape = (1, source.channels, source.height, source.width)
    return torch.empty(shape, dtype=dtype, memory_format=torch.channels_last)
