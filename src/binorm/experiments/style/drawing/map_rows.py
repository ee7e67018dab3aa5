"""Maps of a network of which any rows can be had, some kept in memory and some computed when asked for."""

from typing import Protocol

import numpy
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from binorm.experiments.style.drawing.affine import Affine
from binorm.experiments.style.drawing.pixels import network_input


class MapRows(Protocol):
    """A map (1, C, height, width)."""

    height: int
    width: int

    def rows(self, top: int, bottom: int) -> Tensor:
        """Rows ``top`` to ``bottom - 1``, float32 and channels_last; not to be written to."""


class PictureRows:
    """A picture, uint8 (H, W, 3), as the network's input in [-1, 1]."""

    def __init__(self, pixels: numpy.ndarray) -> None:
        self.pixels = pixels
        self.height, self.width = pixels.shape[:2]

    def rows(self, top: int, bottom: int) -> Tensor:
        """See `MapRows`."""
        return network_input(self.pixels[top:bottom]).mul_(2).sub_(1)


class KeptRows:
    """A map in memory."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor
        self.height, self.width = tensor.shape[2:]

    def rows(self, top: int, bottom: int) -> Tensor:
        """See `MapRows`."""
        return self.tensor[:, :, top:bottom].float()

    def write(self, top: int, rows: Tensor) -> None:
        """Replace the rows from ``top`` on."""
        self.tensor[:, :, top : top + rows.shape[2]] = rows


class CutRows:
    """The top left of another map."""

    def __init__(self, source: MapRows, height: int, width: int) -> None:
        self.source, self.height, self.width = source, height, width

    def rows(self, top: int, bottom: int) -> Tensor:
        """See `MapRows`."""
        return self.source.rows(top, bottom)[..., : self.width]


class NormedRows:
    """Another map after its norm and ReLU."""

    def __init__(self, source: MapRows, affine: Affine) -> None:
        self.source, self.affine = source, affine
        self.height, self.width = source.height, source.width

    def rows(self, top: int, bottom: int) -> Tensor:
        """See `MapRows`."""
        return self.affine(self.source.rows(top, bottom)).relu_()


class ConvolvedRows:
    """Nearest doubling (if any), a convolution with reflected borders, and ReLU (if any) of another map.

    Args:
        source: the other map.
        weight: (out, in, k, k), k odd.
        bias: (out,), if any.
        stride: of the convolution.
        upsample: whether the source is doubled first.
        relu: whether ReLU follows.
    """

    def __init__(
        self,
        source: MapRows,
        weight: Tensor,
        bias: Tensor | None = None,
        *,
        stride: int = 1,
        upsample: bool = False,
        relu: bool = False,
    ) -> None:
        self.source, self.weight, self.bias = source, weight, bias
        self.stride, self.upsample, self.relu = stride, upsample, relu
        self.channels, self.kernel_size = weight.shape[0], weight.shape[2]
        self.zoom = 2 if upsample else 1
        self.height, self.width = (-(-self.zoom * side // stride) for side in (source.height, source.width))

    def rows(self, top: int, bottom: int) -> Tensor:
        """See `MapRows`; the result may be written to."""
        padding = self.kernel_size // 2
        first = top * self.stride - padding  # of the rows that are needed, some of them beyond the borders
        last = (bottom - 1) * self.stride - padding + self.kernel_size
        inner_first, inner_last = max(first, 0), min(last, self.zoom * self.source.height)
        x = self._zoomed(inner_first, inner_last)
        x = F.pad(x, (padding, padding, inner_first - first, last - inner_last), mode="reflect")
        y = F.conv2d(x, self.weight, self.bias, self.stride)
        return y.relu_() if self.relu else y

    def with_norm(self, affine: Affine) -> "ConvolvedRows":
        """The same map after its norm, which the convolution takes up, and ReLU."""
        weight = self.weight * affine.scale[:, None, None, None]
        return ConvolvedRows(self.source, weight, affine.shift, stride=self.stride, upsample=self.upsample, relu=True)

    def _zoomed(self, first: int, last: int) -> Tensor:
        if not self.upsample:
            return self.source.rows(first, last)
        top = first // 2
        doubled = F.interpolate(self.source.rows(top, (last + 1) // 2), scale_factor=2.0, mode="nearest")
        return doubled[:, :, first - 2 * top : last - 2 * top]
