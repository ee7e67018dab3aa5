"""Images in a style, of any size."""

import numpy
import torch

from binorm.experiments.common.errors import UserError
from binorm.experiments.style.drawing.fast_convolutions import with_fast_convolutions
from binorm.experiments.style.drawing.strips import stylize_in_strips
from binorm.experiments.style.network import StyleNetwork, network_input, network_output, shift_gates

MAX_WHOLE_PIXELS = 4_000_000
BLENDED_VALUES = 2**22  # at a time


class Stylizer:
    """Draws images in the style of a network, which is left as it is, with its gates shifted (see `shift_gates`).

    Those of more than ``max_whole_pixels`` are drawn in strips: slower, with the same result, in bounded memory.
    """

    def __init__(
        self, network: StyleNetwork, gate_shift: float = 0.0, max_whole_pixels: int = MAX_WHOLE_PIXELS
    ) -> None:
        self.max_whole_pixels = max_whole_pixels
        self._network = shift_gates(network, gate_shift).eval().to(memory_format=torch.channels_last)
        self._fast_network = with_fast_convolutions(self._network)

    def __call__(self, pixels: numpy.ndarray, strength: float = 1.0) -> numpy.ndarray:
        """(1 - strength) * photo + strength * stylized, of one image: RGB, uint8 (H, W, 3) -> a new array like it.

        Raises:
            UserError: for a strength outside [0, 1].
            ValueError: for other arrays.
        """
        check_strength(strength)
        if pixels.dtype != numpy.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
            raise ValueError(f"expected a uint8 array (H, W, 3) (got {pixels.dtype} {pixels.shape})")
        if strength == 0.0:
            return pixels.copy()
        stylized = self._draw(pixels)
        return stylized if strength == 1.0 else _blend(pixels, stylized, strength)

    def _draw(self, pixels: numpy.ndarray) -> numpy.ndarray:
        height, width = pixels.shape[:2]
        missing = [(0, max(0, StyleNetwork.MIN_SIZE - side)) for side in (height, width)]
        enlarged = numpy.pad(pixels, (*missing, (0, 0)), mode="edge")
        if height * width > self.max_whole_pixels:
            drawn = stylize_in_strips(self._network, enlarged)
        else:
            with torch.inference_mode():
                drawn = network_output(self._fast_network(network_input(enlarged)))
        return numpy.ascontiguousarray(drawn[:height, :width])


def check_strength(strength: float) -> None:
    """Raise a `UserError` for a strength outside [0, 1]."""
    if not 0.0 <= strength <= 1.0:
        raise UserError(f"the strength should lie between 0 (the photo) and 1 (the style) (got {strength})")


def _blend(photo: numpy.ndarray, stylized: numpy.ndarray, strength: float) -> numpy.ndarray:
    """(1 - strength) * photo + strength * stylized, rounded; all uint8 (H, W, 3)."""
    blended = numpy.empty_like(stylized)
    step = max(1, BLENDED_VALUES // (3 * photo.shape[1]))
    for top in range(0, len(photo), step):
        part = slice(top, top + step)
        mixed = photo[part] * numpy.float32(1 - strength) + stylized[part] * numpy.float32(strength)
        blended[part] = numpy.rint(mixed)
    return blended
