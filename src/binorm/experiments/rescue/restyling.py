"""Pictures in another style: the same scene in other light, through other air and another camera."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it
from torchvision.transforms.v2 import functional as transforms

from binorm.experiments.common.errors import lookup

Draw = Callable[[float, float], float]
"""A number between two, uniformly."""

Noise = Callable[[Sequence[int]], Tensor]
"""Standard normal numbers of a shape."""


def _light(picture: Tensor, draw: Draw, noise: Noise) -> Tensor:
    changed: Tensor = transforms.adjust_brightness(picture, draw(0.4, 1.7))
    return changed


def _colour(picture: Tensor, draw: Draw, noise: Noise) -> Tensor:
    gains = torch.tensor([draw(0.65, 1.35) for _ in range(3)]).view(3, 1, 1)
    return (picture * gains).clamp(0, 1)


def _saturation(picture: Tensor, draw: Draw, noise: Noise) -> Tensor:
    changed: Tensor = transforms.adjust_saturation(picture, draw(0.0, 2.0))
    return changed


def _contrast(picture: Tensor, draw: Draw, noise: Noise) -> Tensor:
    changed: Tensor = transforms.adjust_contrast(picture, draw(0.25, 1.5))
    return changed


def _gamma(picture: Tensor, draw: Draw, noise: Noise) -> Tensor:
    changed: Tensor = transforms.adjust_gamma(picture, 2 ** draw(-1.2, 1.2))
    return changed


def _fog(picture: Tensor, draw: Draw, noise: Noise) -> Tensor:
    """Mixed with light air, thicker here than there."""
    size = picture.shape[1:]
    clouds = torch.zeros(1, *size)
    for cells in (2, 4, 8):
        clouds += F.interpolate(noise((1, 1, cells, cells)), size=size, mode="bicubic", align_corners=False)[0] / cells
    thickness = (draw(0.2, 0.7) + 0.15 * clouds).clamp(0, 0.85)
    return picture * (1 - thickness) + draw(0.7, 1.0) * thickness


def _blur(picture: Tensor, draw: Draw, noise: Noise) -> Tensor:
    sigma = max(draw(0.005, 0.015) * min(picture.shape[1:]), 0.5)
    widths = [2 * min(max(round(2 * sigma), 1), side - 1) + 1 for side in reversed(picture.shape[1:])]
    changed: Tensor = transforms.gaussian_blur(picture, widths, [sigma] * 2)
    return changed


def _noise(picture: Tensor, draw: Draw, noise: Noise) -> Tensor:
    return (picture + draw(0.02, 0.15) * noise(picture.shape)).clamp(0, 1)


def _jpeg(picture: Tensor, draw: Draw, noise: Noise) -> Tensor:
    file = io.BytesIO()
    Image.fromarray(_to_bytes(picture).permute(1, 2, 0).numpy()).save(file, "JPEG", quality=round(draw(8, 50)))
    with Image.open(file) as coded:
        pixels = torch.from_numpy(numpy.array(coded))
    return pixels.permute(2, 0, 1).float() / 255


Normalize = Callable[[Tensor], Tensor]
"""Pictures, uint8 (N, 3, H, W), to what a network takes."""

Restyle = Callable[[Tensor, torch.Generator], Tensor]
"""Pictures in another style: uint8, (N, 3, H, W) -> the same shape, as the generator alone decides."""

KINDS: dict[str, Callable[[Tensor, Draw, Noise], Tensor]] = {
    "light": _light,
    "colour": _colour,
    "saturation": _saturation,
    "contrast": _contrast,
    "gamma": _gamma,
    "fog": _fog,
    "blur": _blur,
    "noise": _noise,
    "jpeg": _jpeg,
}
"""Changes of a picture, (3, H, W) in [0, 1], by numbers that are drawn; in this order where there are several."""


@dataclass(frozen=True)
class Restyling:
    """Changes pictures by some of `KINDS`, each picture by its own.

    Attributes:
        kinds: names of those that occur.
        most: each picture gets from one to so many of them.

    Raises:
        UserError: for an unknown kind, naming the nearest.
        ValueError: for none.
    """

    kinds: tuple[str, ...] = tuple(KINDS)
    most: int = 2

    def __post_init__(self) -> None:
        for kind in self.kinds:
            lookup("restyling", kind, KINDS)
        if not self.kinds or self.most < 1:
            raise ValueError(f"expected at least one kind of restyling of each picture (got {self})")

    def __call__(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """uint8, (N, 3, H, W) -> the same pictures restyled; the generator alone decides how."""
        return torch.stack([self._restyled(picture, generator) for picture in pictures])

    def _restyled(self, picture: Tensor, generator: torch.Generator) -> Tensor:
        def draw(low: float, high: float) -> float:
            return low + (high - low) * torch.rand((), generator=generator).item()

        def noise(shape: Sequence[int]) -> Tensor:
            return torch.randn(tuple(shape), generator=generator)

        count = 1 + int(draw(0, min(self.most, len(self.kinds))))
        chosen = sorted(torch.randperm(len(self.kinds), generator=generator)[:count].tolist())
        values = picture.float() / 255
        for kind in (name for name in KINDS if name in {self.kinds[place] for place in chosen}):
            values = KINDS[kind](values, draw, noise)
        return _to_bytes(values)


DEFAULT = Restyling()


def _to_bytes(picture: Tensor) -> Tensor:
    return (picture * 255).round().clamp(0, 255).to(torch.uint8)
