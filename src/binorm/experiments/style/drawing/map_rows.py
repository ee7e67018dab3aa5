"""Maps of a network of which any rows can be had, some kept in memory and some computed when asked for."""

from collections.abc import Callable
from typing import NamedTuple

import numpy
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from binorm.experiments.style.drawing.affine import Affine
from binorm.experiments.style.network import network_input


class MapRows(NamedTuple):
    """A map (1, C, height, width).

    ``rows(top, bottom)`` gives rows ``top`` to ``bottom - 1``, float32 and channels_last, not to be written to.
    """

    height: int
    width: int
    rows: Callable[[int, int], Tensor]


def image_rows(pixels: numpy.ndarray) -> MapRows:
    """An image, uint8 (H, W, 3), as the network's input in [-1, 1]."""
    height, width = pixels.shape[:2]
    return MapRows(height, width, lambda top, bottom: network_input(pixels[top:bottom]).mul_(2).sub_(1))


def kept_rows(kept: Tensor, affine: Affine | None = None) -> MapRows:
    """A map in memory; after its norm and ReLU where a norm is given."""

    def rows(top: int, bottom: int) -> Tensor:
        part = kept[:, :, top:bottom].float()
        return part if affine is None else affine(part).relu_()

    height, width = kept.shape[2:]
    return MapRows(height, width, rows)


def convolved_rows(
    source: MapRows, conv: nn.Conv2d, affine: Affine | None = None, *, upsample: bool = False
) -> MapRows:
    """Nearest doubling (if any), a convolution with reflected borders, its norm and ReLU (if any) of another map.

    What its ``rows`` gives may be written to. The convolution takes up the norm.
    """
    weight = conv.weight if affine is None else conv.weight * affine.scale[:, None, None, None]
    bias = conv.bias if affine is None else affine.shift
    (size, _), (stride, _), zoom = conv.kernel_size, conv.stride, 2 if upsample else 1

    def zoomed(first: int, last: int) -> Tensor:
        if not upsample:
            return source.rows(first, last)
        top = first // 2
        doubled = F.interpolate(source.rows(top, (last + 1) // 2), scale_factor=2.0, mode="nearest")
        return doubled[:, :, first - 2 * top : last - 2 * top]

    def rows(top: int, bottom: int) -> Tensor:
        padding = size // 2
        first = top * stride - padding  # of the rows that are needed, some of them beyond the borders
        last = (bottom - 1) * stride - padding + size
        inner_first, inner_last = max(first, 0), min(last, zoom * source.height)
        x = zoomed(inner_first, inner_last)
        x = F.pad(x, (padding, padding, inner_first - first, last - inner_last), mode="reflect")
        y = F.conv2d(x, weight, bias, stride)
        return y if affine is None else y.relu_()

    return MapRows(-(-zoom * source.height // stride), -(-zoom * source.width // stride), rows)
