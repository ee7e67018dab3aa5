"""Pictures in the style of a few others: their colours, contrast and sharpness."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from binorm.experiments.classifiers.photographs import Photographs
from binorm.experiments.common.errors import UserError
from binorm.experiments.rescue.restyling import Restyle

LEAST = 4  # pictures of a target: fewer show what is on them rather than their style
BANDS = 12  # of spatial frequency, equal in the logarithm
MOST_GAIN = 4.0


@dataclass(frozen=True)
class TargetStyle:
    """Gives half of the pictures the style of a target's, and restyles the others as without one.

    A picture gets, of a target picture that is drawn for it, the mean of each colour and the mean amplitude of each
    band of spatial frequencies: what light, air, lens and sensor decide, and not what is to be seen.

    Attributes:
        target: its pictures, of the size of those to be restyled.
        restyle: for the other half.

    Raises:
        UserError: for fewer than `LEAST` pictures.
    """

    target: Photographs
    restyle: Restyle
    share: float = 0.5
    _spectra: list[tuple[Tensor, Tensor]] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        if len(self.target) < LEAST:
            raise UserError(
                f"a target's style needs at least {LEAST} pictures, better 32 "
                f"({self.target.source} has {len(self.target)})"
            )
        self._spectra.extend(_style(picture.float() / 255) for picture in self.target.pictures)

    def __call__(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """uint8, (N, 3, H, W) -> the same pictures restyled; the generator alone decides how."""
        restyled = self.restyle(pictures, generator)
        for place in range(len(pictures)):
            if torch.rand((), generator=generator).item() < self.share:
                chosen = int(torch.randint(len(self._spectra), (), generator=generator))
                restyled[place] = _in_style(pictures[place].float() / 255, *self._spectra[chosen])
        return restyled


def _style(picture: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of each colour, (3,), and its mean amplitude in each band, (3, bands)."""
    mean = picture.mean((1, 2))
    bands = _bands(picture.shape[1], picture.shape[2])
    amplitude = torch.fft.rfft2(picture - mean.view(3, 1, 1)).abs().flatten(1)
    sums = torch.zeros(3, BANDS).index_add_(1, bands.flatten(), amplitude)
    return mean, sums / torch.bincount(bands.flatten(), minlength=BANDS).clamp_min(1)


def _in_style(picture: Tensor, mean: Tensor, amplitudes: Tensor) -> Tensor:
    """uint8, (3, H, W)."""
    own_mean, own = _style(picture)
    gains = (amplitudes / own.clamp_min(1e-6)).clamp(1 / MOST_GAIN, MOST_GAIN)
    bands = _bands(picture.shape[1], picture.shape[2])
    spectrum = torch.fft.rfft2(picture - own_mean.view(3, 1, 1)) * gains[:, bands]
    changed = torch.fft.irfft2(spectrum, s=picture.shape[1:]) + mean.view(3, 1, 1)
    pixels: Tensor = (changed * 255).round().clamp(0, 255).to(torch.uint8)
    return pixels


def _bands(height: int, width: int) -> Tensor:
    """The band of each frequency of `torch.fft.rfft2`, (H, W // 2 + 1)."""
    radius = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None])
    lowest = 1 / max(height, width)
    place = (radius.clamp_min(lowest) / lowest).log() / torch.tensor(0.5 / lowest).log() * BANDS
    return place.long().clamp(0, BANDS - 1)
