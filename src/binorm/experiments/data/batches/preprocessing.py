"""What a trained network expects of a picture, as numbers that are stored with its weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy
import torch
from PIL import Image
from torch import Tensor

from binorm.experiments.data.batches.streaming import evaluation_crop
from binorm.experiments.data.batches.transforms import CentreCrop
from binorm.experiments.data.dataset import Dataset, ImageSet
from binorm.experiments.data.readers.image_folder import decode
from binorm.experiments.recipes.classification import ClassifierRecipe

INTERPOLATIONS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
MAX_SIDE = 4096  # pixels; of no trained network is the input near this


@dataclass(frozen=True)
class Preprocessing:
    """How pictures are brought to the network.

    Attributes:
        height: of what the network sees, in pixels.
        width: see there.
        short_side: pixels that a picture's short side is brought to, before height and width are cut from its middle;
            0 where the whole picture is brought to that height and width, whatever its shape.
        mean: of R, G and B in [0, 1]; subtracted.
        std: of R, G and B in [0, 1]; divided by.
        interpolation: ``bilinear`` or ``bicubic``, both over the area of what is made smaller.
    """

    height: int
    width: int
    short_side: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        sides = (self.height, self.width)
        square = not self.short_side or (self.height == self.width and self.short_side >= self.height)
        numbers = len(self.mean) == len(self.std) == 3 and all(map(isfinite, (*self.mean, *self.std)))
        sizes = min(sides) >= 1 and max(*sides, self.short_side) <= MAX_SIDE and square
        if not (sizes and numbers and min(self.std) > 0 and self.interpolation in INTERPOLATIONS):
            raise ValueError(f"expected sizes, three means, three deviations above 0, an interpolation (got {self})")

    @classmethod
    def of(cls, dataset: Dataset, recipe: ClassifierRecipe) -> "Preprocessing":
        """That of `evaluation_batches` of a data set."""
        if isinstance(dataset.train, ImageSet):
            height, width = (recipe.image_size,) * 2 if recipe.image_size else dataset.train.images.shape[1:3]
            return cls(int(height), int(width), 0, dataset.mean, dataset.std)
        crop = evaluation_crop(recipe)
        return cls(crop.size, crop.size, crop.short_side, dataset.mean, dataset.std)

    @classmethod
    def stored(cls, fields: Mapping[str, Any]) -> "Preprocessing":
        """From what a file says. Raises `KeyError`, `TypeError` or `ValueError` where it does not say it."""
        height, width, short_side = (int(fields[name]) for name in ("height", "width", "short_side"))
        mean, std = (tuple(float(each) for each in fields[name]) for name in ("mean", "std"))
        return cls(height, width, short_side, mean, std, str(fields.get("interpolation", "bilinear")))  # type: ignore[arg-type]

    def read(self, data: bytes) -> Tensor:
        """An encoded picture as the network's pixels, uint8, (3, height, width), RGB.

        Raises:
            BrokenImageError: if it cannot be decoded.
        """
        resampling = INTERPOLATIONS[self.interpolation]
        if self.short_side:
            pixels = CentreCrop(self.height, self.short_side, resampling)(data)
        else:
            pixels = decode(data, (self.width, self.height), resize=True, resampling=resampling)
        return torch.from_numpy(numpy.ascontiguousarray(pixels.transpose(2, 0, 1)))

    def normalize(self, pictures: Tensor) -> Tensor:
        """(N, 3, H, W) RGB from 0 to 255 -> what the network sees, (N, 3, H, W) float32."""
        std = torch.tensor(self.std, device=pictures.device)
        shift = -torch.tensor(self.mean, device=pictures.device) / std
        scale = 1 / (255 * std)
        return torch.addcmul(shift.view(3, 1, 1), pictures.to(torch.float32), scale.view(3, 1, 1))
