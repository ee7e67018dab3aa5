"""Flicker of stylized videos: how much there is, and less of it where the input stands still."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it

Pixels = NDArray[np.uint8]

BLUR = 3  # side of the square over which changes are averaged, at half size: noise evens out, moving edges do not
SIGMA = 12.0  # levels; at this change the mask is 1/e
CUT = 40.0  # levels; a mean change beyond it is another shot
STILL = 8.0  # levels; what changes less counts for the flicker


class Steadying:
    r"""Blends each output with the one before, where the input hardly changes.

    .. math:: o_t = s_t + c \, m_t \, (o_{t-1} - s_t), \quad m_t = \exp(-(\overline{|x_t - \bar x_{t-1}|} / \sigma)^2)

    s is the stylized frame and x the input at half size; x̄ is the input blended in the same way, which is what the
    last output shows: slow fades and slow pans add up in it until they open the mask, so that the output cannot lag
    far behind. The change is a mean over the channels and a square of `BLUR` pixels. A mean change above `CUT` starts
    anew.

    Args:
        consistency: c, in [0, 1]; 0 gives back what it is given.
    """

    def __init__(self, consistency: float) -> None:
        self.consistency = consistency
        self._output: Tensor | None = None
        self._seen: Tensor | None = None

    def __call__(self, pixels: Pixels, stylized: Pixels) -> Pixels:
        """The input frame and its stylized form, uint8 (H, W, 3) -> the frame to show."""
        if self.consistency == 0:
            return stylized
        seen, output = F.avg_pool2d(_levels(pixels), 2, ceil_mode=True), _levels(stylized)
        if self._output is not None and self._seen is not None:
            change = (seen - self._seen).abs_().mean(0)
            if float(change.mean()) <= CUT:
                share = self.consistency * _blurred(change).div_(SIGMA).square_().neg_().exp_()
                seen.lerp_(self._seen, share)
                output.lerp_(self._output, _doubled(share)[: output.shape[1], : output.shape[2]])
        self._seen, self._output = seen, output
        shown: Pixels = output.round().byte().permute(1, 2, 0).contiguous().numpy()
        return shown


class Flicker:
    """The mean absolute change of the output from frame to frame, in levels of 255, where the input stands still."""

    def __init__(self) -> None:
        self._last: tuple[Tensor, Tensor] | None = None
        self._sum = 0.0
        self._count = 0

    def add(self, pixels: Pixels, shown: Pixels) -> None:
        """Take in one frame of the input and of the output, uint8 (H, W, 3); every second row and column of them."""
        frame = _levels(pixels[::2, ::2]), _levels(shown[::2, ::2])
        if self._last is not None:
            changes = [(new - old).abs_().mean(0) for new, old in zip(frame, self._last, strict=True)]
            input_change, output_change = changes
            still = _blurred(input_change) < STILL
            self._sum += float(output_change[still].sum())
            self._count += int(still.sum())
        self._last = frame

    @property
    def levels(self) -> float:
        """Over all frames so far; nan where nothing stood still."""
        return self._sum / self._count if self._count else math.nan


def _levels(pixels: Pixels) -> Tensor:
    """Uint8 (H, W, 3) -> float32 (3, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1).contiguous().float()


def _blurred(change: Tensor) -> Tensor:
    """(H, W) -> the means over squares around each pixel, fewer values at the borders."""
    return F.avg_pool2d(change[None], BLUR, stride=1, padding=BLUR // 2, count_include_pad=False)[0]


def _doubled(share: Tensor) -> Tensor:
    """(H, W) -> (2 H, 2 W), each value four times."""
    return F.interpolate(share[None, None], scale_factor=2.0, mode="nearest")[0, 0]
