"""What becomes of one encoded picture on its way into a batch: decode, crop and resize in one pass, flip."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy
from PIL import Image

from binorm.experiments.common.decoding import DRAFTED, draft, in_rgb, upright_size
from binorm.experiments.common.images import open_image

AREA = (0.08, 1.0)  # of the picture; this and the next are those that networks for ImageNet are trained with
ASPECT = (3 / 4, 4 / 3)
EVALUATION_SCALE = 256 / 224  # the short side over the side of the square that is cut from the middle

Box = tuple[float, float, float, float]  # left, upper, right, lower, in pixels of the picture


@dataclass(frozen=True)
class ResizedCrop:
    """A random part of the picture (8 to 100 % of its area, 3:4 to 4:3) becomes a square of ``size`` pixels."""

    size: int
    flip: bool

    def __call__(self, data: bytes, random: numpy.random.Generator) -> numpy.ndarray:
        """Encoded bytes -> uint8, (size, size, 3). Raises `BrokenImageError` for what cannot be decoded."""
        pixels = cut(data, partial(resized_crop_box, random), self.size, sharpness=1)
        return pixels[:, ::-1] if self.flip and random.random() < 0.5 else pixels


@dataclass(frozen=True)
class PaddedCrop:
    """The picture at ``size`` pixels, padded by ``pixels`` black or mirrored ones, of which a random window is cut."""

    size: int
    pixels: int
    flip: bool
    mirrored: bool = False

    def __call__(self, data: bytes, random: numpy.random.Generator) -> numpy.ndarray:
        """Encoded bytes -> uint8, (size, size, 3). Raises `BrokenImageError` for what cannot be decoded."""
        widths = ((self.pixels,) * 2, (self.pixels,) * 2, (0, 0))
        mode: Literal["reflect", "constant"] = "reflect" if self.mirrored else "constant"
        padded = numpy.pad(CentreCrop(self.size, self.size)(data), widths, mode)
        row, column = random.integers(0, 2 * self.pixels + 1, 2)
        pixels: numpy.ndarray = padded[row : row + self.size, column : column + self.size]
        return pixels[:, ::-1] if self.flip and random.random() < 0.5 else pixels


@dataclass(frozen=True)
class CentreCrop:
    """The picture at ``short_side`` pixels, of which the square of ``size`` pixels in the middle is cut."""

    size: int
    short_side: int
    resampling: Image.Resampling = Image.Resampling.BILINEAR

    def __call__(self, data: bytes) -> numpy.ndarray:
        """Encoded bytes -> uint8, (size, size, 3). Raises `BrokenImageError` for what cannot be decoded."""
        return cut(data, self._box, self.size, sharpness=2, resampling=self.resampling)

    def _box(self, width: int, height: int) -> Box:
        """The square in pixels of the original, where torchvision's Resize and CenterCrop would cut it."""
        left, right = self._span(width, min(width, height))
        upper, lower = self._span(height, min(width, height))
        return left, upper, right, lower

    def _span(self, length: int, short: int) -> tuple[float, float]:
        resized = self.short_side * length // short
        pixel = length / resized
        start = round((resized - self.size) / 2) * pixel
        return start, min(start + self.size * pixel, length)


def resized_crop_box(random: numpy.random.Generator, width: int, height: int) -> Box:
    """A random part of a picture with uniform area and log-uniform aspect ratio (Szegedy et al. 2015).

    Shapes that stick out of the picture are drawn again; after ten of them it is the largest allowed part
    in the middle.
    """
    for _ in range(10):
        area = width * height * random.uniform(*AREA)
        aspect = math.exp(random.uniform(math.log(ASPECT[0]), math.log(ASPECT[1])))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            left, upper = int(random.integers(0, width - w + 1)), int(random.integers(0, height - h + 1))
            return left, upper, left + w, upper + h
    w, h = min(width, round(height * ASPECT[1])), min(height, round(width / ASPECT[0]))
    left, upper = (width - w) // 2, (height - h) // 2
    return left, upper, left + w, upper + h


def cut(
    data: bytes,
    choose: Callable[[int, int], Box],
    size: int,
    sharpness: float,
    resampling: Image.Resampling = Image.Resampling.BILINEAR,
) -> numpy.ndarray:
    """Decode a picture and bring the box that ``choose(width, height)`` names to ``size`` x ``size`` pixels.

    A JPEG is decoded at a half, a quarter or an eighth of its size where the box keeps ``sharpness * size`` pixels a
    side. The picture, and so the box, is upright.
    """
    scale = 1.0
    with open_image(data) as image:
        pixels = None if image.format in DRAFTED else in_rgb(image)
        whole = upright_size(image) if pixels is None else pixels.size
        box = choose(*whole)
        if pixels is None:
            width, height = (
                math.ceil(side * sharpness * size / (end - start))
                for side, start, end in zip(whole, box[:2], box[2:], strict=True)
            )
            scale = draft(image, (width, height))
            pixels = in_rgb(image)
    if scale != 1:
        box = (box[0] * scale, box[1] * scale, box[2] * scale, box[3] * scale)
    if box == (0, 0, size, size) == (0, 0, *pixels.size):
        return numpy.asarray(pixels)
    return numpy.asarray(pixels.resize((size, size), resampling, box=box))
