"""Style shifts: other light, cameras, films and prints, the content left where it is.

Each takes a picture (uint8 (H, W, 3) in RGB, at least 32 pixels a side), a severity from 1 to 5 and a seed, and returns
a picture of the same shape. Severity 5 is among the severities 5 of the common corruptions in what it costs an ImageNet
network.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[np.uint8]
Floats = NDArray[np.float32]

_LEVELS = np.arange(256, dtype=np.float64) / 255
_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601


def dark(picture: Picture, severity: int, seed: int) -> Picture:
    """Too short an exposure: the light that the sensor gets, and so its linear values, fall to a fraction."""
    exposure = (0.12, 0.04, 0.012, 0.004, 0.0015)[severity - 1]
    return _curve(picture, _encode(_decode(_LEVELS) * exposure))


def bright(picture: Picture, severity: int, seed: int) -> Picture:
    """Too long an exposure: highlights burn out."""
    exposure = (2.5, 5.0, 11.0, 24.0, 55.0)[severity - 1]
    return _curve(picture, _encode(_decode(_LEVELS) * exposure))


def faded(picture: Picture, severity: int, seed: int) -> Picture:
    """Low contrast of an old print: black is lifted, white is dulled."""
    contrast = (0.5, 0.35, 0.22, 0.14, 0.08)[severity - 1]
    return _curve(picture, 0.55 + contrast * (_LEVELS - 0.5))


def warm(picture: Picture, severity: int, seed: int) -> Picture:
    """White balance set for a far colder light than there was, down to a sodium lamp: blue goes, and red burns out."""
    green, blue = ((0.6, 0.3), (0.35, 0.1), (0.18, 0.03), (0.08, 0.008), (0.03, 0.002))[severity - 1]
    return _gains(picture, (1.0, green, blue))


def cold(picture: Picture, severity: int, seed: int) -> Picture:
    """White balance set for a far warmer light than there was, as under water: red goes, and blue burns out."""
    red, green = ((0.3, 0.65), (0.1, 0.4), (0.03, 0.2), (0.008, 0.09), (0.002, 0.03))[severity - 1]
    return _gains(picture, (red, green, 1.0))


def photocopy(picture: Picture, severity: int, seed: int) -> Picture:
    """Grey, and ever harder: what is lighter than the mean goes to white, what is darker to black."""
    colour, hardness = ((0.3, 1.0), (0.0, 1.5), (0.0, 3.0), (0.0, 6.0), (0.0, 12.0))[severity - 1]
    grey = (picture @ _LUMINANCE)[..., None]
    pale, mean = colour * picture + (1 - colour) * grey, float(grey.mean())
    return _rounded(mean + hardness * (pale - mean))


def haze(picture: Picture, severity: int, seed: int) -> Picture:
    """Mist of uneven density lays its own light over the scene (atmospheric scattering)."""
    density = (0.6, 0.9, 1.3, 1.7, 2.2)[severity - 1]
    depth = 0.6 + 0.8 * _smooth_noise(picture.shape[:2], np.random.default_rng(seed), cells=(2, 4, 8))
    seen = np.exp(-density * depth)[..., None]
    return _rounded(picture * seen + np.array([205, 212, 220], dtype=np.float32) * (1 - seen))


def uneven_light(picture: Picture, severity: int, seed: int) -> Picture:
    """A lamp at one side, in a direction by chance: the far side falls into the dark, the near one is burnt out."""
    stops = (3.0, 5.0, 7.5, 10.5, 14.0)[severity - 1]
    height, width = picture.shape[:2]
    angle = np.random.default_rng(seed).uniform(0, 2 * np.pi)
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    distance = (x * np.cos(angle) + y * np.sin(angle)) / (abs(np.cos(angle)) + abs(np.sin(angle)))
    gain = (2 ** (-stops / 2 * (distance + 0.35))).astype(np.float32)[..., None]
    light = _decode(_LEVELS).astype(np.float32)[picture]
    return _rounded(255 * _encode(light * gain))


def poster(picture: Picture, severity: int, seed: int) -> Picture:
    """Printed in few inks: every channel has a handful of levels."""
    levels = (6, 5, 4, 3, 2)[severity - 1]
    return _curve(picture, np.round(_LEVELS * (levels - 1)) / (levels - 1))


def paper(picture: Picture, severity: int, seed: int) -> Picture:
    """Printed on rough paper: its grain, from coarse to fine, is in all colours alike."""
    strength = (0.35, 0.6, 0.9, 1.2, 1.6)[severity - 1]
    grain = _smooth_noise(picture.shape[:2], np.random.default_rng(seed), cells=(8, 16, 32, 64))
    return _rounded(
        picture * np.maximum(1 - strength * grain, 0)[..., None] + 60 * np.minimum(strength * grain, 1)[..., None]
    )


STYLE_SHIFTS: dict[str, Callable[[Picture, int, int], Picture]] = {
    each.__name__: each for each in (dark, bright, faded, warm, cold, photocopy, haze, uneven_light, poster, paper)
}


def _curve(picture: Picture, values: NDArray[np.float64]) -> Picture:
    """Every level of every channel becomes its entry of ``values`` (256 of them, 1 is white)."""
    curve = _rounded(255 * values)
    return curve[picture]


def _gains(picture: Picture, gains: tuple[float, float, float]) -> Picture:
    """The light of red, green and blue times ``gains``, the luminance of a grey kept."""
    light = _decode(_LEVELS)
    kept = float(np.dot(gains, _LUMINANCE))
    curves = [_rounded(255 * _encode(light * gain / kept)) for gain in gains]
    return np.stack([curve[picture[..., channel]] for channel, curve in enumerate(curves)], axis=2)


def _decode(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The light behind a picture's values, by the plain power law that is near sRGB's."""
    light: NDArray[np.float64] = values**2.2
    return light


def _encode(light: NDArray[Any]) -> NDArray[Any]:
    values: NDArray[Any] = np.clip(light, 0, 1) ** (1 / 2.2)
    return values


def _rounded(values: NDArray[Any]) -> Picture:
    picture: Picture = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return picture


def _smooth_noise(shape: tuple[int, ...], generator: np.random.Generator, cells: tuple[int, ...]) -> Floats:
    """Noise (H, W) between 0 and 1: grids of ``cells`` a side, drawn out smoothly; finer ones are fainter."""
    height, width = shape
    total = np.zeros((height, width), dtype=np.float32)
    for count in cells:
        grid = generator.random((count, count), dtype=np.float32)
        smooth = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
        total += np.asarray(smooth) / count
    noise: Floats = (total - total.min()) / (total.max() - total.min())
    return noise
