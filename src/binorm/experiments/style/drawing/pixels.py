"""Pictures between arrays of bytes and a style network's tensors."""

import numpy
import torch
from torch import Tensor

BLENDED_VALUES = 2**22  # at a time


def network_input(pixels: numpy.ndarray) -> Tensor:
    """uint8 (H, W, 3) -> (1, 3, H, W) in [0, 1], float32 and channels_last."""
    return torch.from_numpy(numpy.array(pixels, dtype=numpy.float32, order="C")).permute(2, 0, 1)[None].div_(255)


def network_output(pictures: Tensor) -> numpy.ndarray:
    """(1, 3, H, W) in [0, 1], which is overwritten -> uint8 (H, W, 3)."""
    levels: numpy.ndarray = pictures[0].permute(1, 2, 0).mul_(255).round_().to(torch.uint8).contiguous().numpy()
    return levels


def blend(photo: numpy.ndarray, stylized: numpy.ndarray, strength: float) -> numpy.ndarray:
    """(1 - strength) * photo + strength * stylized, rounded; all uint8 (H, W, 3)."""
    blended = numpy.empty_like(stylized)
    step = max(1, BLENDED_VALUES // (3 * photo.shape[1]))
    for top in range(0, len(photo), step):
        part = slice(top, top + step)
        mixed = photo[part] * numpy.float32(1 - strength) + stylized[part] * numpy.float32(strength)
        blended[part] = numpy.rint(mixed)
    return blended
