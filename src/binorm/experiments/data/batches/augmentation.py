"""Pictures in memory, augmented in whole batches: a random window of each, mirrored half of the time."""

import numpy
import torch
from torch import Tensor
from torch.nn import functional

from binorm.experiments.common.errors import UserError
from binorm.experiments.data.batches.transforms import resized_crop_box
from binorm.experiments.recipes.classification import ClassifierRecipe

CHUNK = 256  # pictures that are resized at once


class Augmented:
    """Pictures at one size, of which any batch can be had, augmented.

    Args:
        images: uint8, (N, H, W, 3).
        recipe: says the size, and how pictures are cut and mirrored.
        device: where the pictures are kept and the batches made.
    """

    def __init__(self, images: Tensor, recipe: ClassifierRecipe, device: torch.device) -> None:
        size = recipe.image_size
        self.size = (size, size) if size else (images.shape[1], images.shape[2])
        if not recipe.resized_crop:
            images = _padded(resized(images, self.size), recipe.crop_padding, recipe.padding)
        self.images, self.device = images.to(device), device
        self.crop_padding, self.flip, self.resized_crop = recipe.crop_padding, recipe.flip, recipe.resized_crop

    def __call__(self, indices: Tensor, generator: torch.Generator, boxes: numpy.random.Generator) -> Tensor:
        """The pictures at ``indices``, (n, H, W, 3) with values from 0 to 255.

        Args:
            indices: on the device of the pictures.
            generator: draws windows and mirrors, the same number of values whatever is asked for.
            boxes: draws the parts of ``resized_crop``.
        """
        crops = torch.randint(2 * self.crop_padding + 1, (2, len(indices)), generator=generator)
        flips = (torch.rand(len(indices), generator=generator) < (0.5 if self.flip else 0.0)).to(self.device)
        if self.resized_crop:
            return self._resized_crop(indices, boxes, flips)
        return self._crop(indices, crops.to(self.device), flips)

    def _crop(self, indices: Tensor, corners: Tensor, flips: Tensor) -> Tensor:
        """Cut one window from each padded picture, at its corner (row, column), mirrored where ``flips``."""
        height, width = self.size
        rows = corners[0, :, None] + torch.arange(height, device=self.device)
        columns = torch.arange(width, device=self.device).expand(len(indices), -1)
        columns = corners[1, :, None] + torch.where(flips[:, None], columns.flip(1), columns)
        return self.images[indices[:, None, None], rows[:, :, None], columns[:, None, :]]

    def _resized_crop(self, indices: Tensor, random: numpy.random.Generator, flips: Tensor) -> Tensor:
        """Bring a random part of each picture to one size by bilinear sampling, mirrored where ``flips``."""
        height, width = self.images.shape[1:3]
        drawn = torch.tensor([resized_crop_box(random, width, height) for _ in range(len(indices))])
        left, upper, right, lower = drawn.float().to(self.device).unbind(1)
        # An affine map from the output to the picture, where both reach from -1 to 1, edge to edge.
        maps = torch.zeros(len(indices), 2, 3, device=self.device)
        maps[:, 0, 0] = (right - left) / width * torch.where(flips, -1.0, 1.0)
        maps[:, 1, 1] = (lower - upper) / height
        maps[:, 0, 2] = (right + left) / width - 1
        maps[:, 1, 2] = (lower + upper) / height - 1
        pictures = self.images[indices].permute(0, 3, 1, 2).float()
        grid = functional.affine_grid(maps, [len(indices), 3, *self.size], align_corners=False)
        sampled = functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
        return sampled.permute(0, 2, 3, 1).contiguous()


def _padded(images: Tensor, pixels: int, padding: str) -> Tensor:
    """(N, H, W, 3) bytes with so many pixels more at each edge."""
    if padding == "black" or not pixels:
        return functional.pad(images, (0, 0, *[pixels] * 4))
    if pixels >= min(images.shape[1:3]):
        raise UserError(
            f"crop_padding {pixels} with mirrored padding needs pictures of more pixels a side (these have "
            f"{images.shape[2]}x{images.shape[1]}): choose a smaller one, or --padding black"
        )
    pieces = [
        functional.pad(chunk.permute(0, 3, 1, 2).float(), [pixels] * 4, mode="reflect").byte().permute(0, 2, 3, 1)
        for chunk in torch.split(images, CHUNK)
    ]
    return torch.cat(pieces).contiguous()


def resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, H, W, 3) bytes at another (height, width), whatever their shape; as they are where it is their own."""
    if tuple(images.shape[1:3]) == size:
        return images
    pieces = [
        functional.interpolate(chunk.permute(0, 3, 1, 2).float(), size, mode="bilinear", antialias=True)
        for chunk in torch.split(images, CHUNK)
    ]
    return torch.cat([piece.round().clamp(0, 255).byte().permute(0, 2, 3, 1) for piece in pieces]).contiguous()
