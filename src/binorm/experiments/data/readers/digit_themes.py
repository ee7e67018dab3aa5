"""Drawing handwritten digits as pictures in many themes: inks and papers, boards and cloth, lights and lenses."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

SIZE = 32  # height and width of a picture, in pixels
EDGE_STEEPNESS = 2.0  # ink per stroke value: strokes come as soft grey levels, pens leave sharper edges
BLOCK = 256  # pictures drawn at a time, so that the intermediate ones stay in the cache

Range = tuple[float, float]
HSB = tuple[float, float, float]  # hue in turns, saturation and brightness in [0, 1]
Texture = Literal["grain", "stripes", "checks"]
TEXTURES: tuple[Texture, ...] = get_args(Texture)


@dataclass(frozen=True)
class Theme:
    """Ranges (low, high) from which each picture draws its own values, uniformly and independently.

    Attributes:
        name: of the theme.
        paper: two corners of a box of colours (hue in turns, saturation in [0, 1], brightness in [0, 1]). A hue may
            leave [0, 1], to reach around red.
        ink: likewise.
        contrast: the share of the way from the paper's colour to the ink's that full ink goes, in [0, 1].
        boldness: stroke values above 1 - boldness are more ink than paper; in [0, 1].
        blur: standard deviation of the strokes' Gaussian blur, in pixels, at least 0.3.
        falloff: f, at least 0, of light that is (1 + f·|lamp|²) / (1 + f·|p - lamp|²) at the point p. The picture
            spans [-1, 1] in x and y, the lamp stands anywhere above it or just beside it, and 0 is even light.
        texture: of the surface. Grain is noise at every pixel, stripes are a sine wave in any direction, checks the
            product of two such waves at a right angle.
        texture_strength: the largest share of the light that the texture adds or takes away, in [0, 1].
        texture_period: of stripes and checks, in pixels, at least 2.

    Raises:
        ValueError: for an unknown texture, and for a range that is empty or leaves these limits.
    """

    name: str
    paper: tuple[HSB, HSB]
    ink: tuple[HSB, HSB]
    contrast: Range = (0.85, 1.0)
    boldness: Range = (0.5, 0.6)
    blur: Range = (0.4, 0.7)
    falloff: Range = (0.0, 0.05)
    texture: Texture = "grain"
    texture_strength: Range = (0.02, 0.06)
    texture_period: Range = (3.0, 5.0)

    def __post_init__(self) -> None:
        if self.texture not in TEXTURES:
            raise ValueError(f"texture of theme {self.name!r} should be one of {TEXTURES} (got {self.texture!r})")
        for field, (least, most) in LIMITS.items():
            low, high = torch.tensor(getattr(self, field))
            if not ((torch.tensor(least) <= low) & (low <= high) & (high <= torch.tensor(most))).all():
                raise ValueError(
                    f"{field} of theme {self.name!r} should be (low, high) with {least} <= low <= high <= {most} "
                    f"(got {getattr(self, field)})"
                )


# Every range of a theme, with the least and the most that it may hold.
LIMITS: dict[str, tuple[float | HSB, float | HSB]] = {
    "paper": ((-1.0, 0.0, 0.0), (2.0, 1.0, 1.0)),
    "ink": ((-1.0, 0.0, 0.0), (2.0, 1.0, 1.0)),
    "contrast": (0.0, 1.0),
    "boldness": (0.0, 1.0),
    "blur": (0.3, math.inf),
    "falloff": (0.0, math.inf),
    "texture_strength": (0.0, 1.0),
    "texture_period": (2.0, math.inf),
}

# What every picture draws whatever its theme: the digit's shift (right, down; in pixels), where the lamp stands (x, y;
# the picture spans [-1, 1]), and the direction and the two phases of the texture's waves (in turns).
PLACES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "shift": ((-2.0, -2.0), (2.0, 2.0)),
    "lamp": ((-1.2, -1.2), (1.2, 1.2)),
    "wave": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}

TRAINING_THEMES: tuple[Theme, ...] = (
    Theme(
        "pencil",
        paper=((0.08, 0.0, 0.85), (0.16, 0.12, 1.0)),
        ink=((0.0, 0.0, 0.2), (1.0, 0.05, 0.4)),
        contrast=(0.6, 0.85),
        texture_strength=(0.05, 0.12),
    ),
    Theme(
        "ballpoint",
        paper=((0.1, 0.0, 0.9), (0.6, 0.06, 1.0)),
        ink=((0.56, 0.7, 0.4), (1.02, 1.0, 0.8)),
        texture="stripes",
        texture_period=(5.0, 8.0),
    ),
    Theme(
        "print",
        paper=((0.0, 0.1, 0.75), (1.0, 0.6, 1.0)),
        ink=((0.0, 0.0, 0.0), (1.0, 0.3, 0.2)),
        boldness=(0.55, 0.65),
        blur=(0.3, 0.4),
        texture="checks",
        texture_period=(2.0, 3.0),
    ),
    Theme(
        "blackboard",
        paper=((0.35, 0.1, 0.12), (0.5, 0.5, 0.32)),
        ink=((0.0, 0.0, 0.85), (1.0, 0.25, 1.0)),
        contrast=(0.7, 0.95),
        falloff=(0.0, 0.15),
        texture_strength=(0.15, 0.3),
    ),
)

UNSEEN_THEMES: tuple[Theme, ...] = (
    Theme(
        "sunlit",
        paper=((0.06, 0.1, 0.75), (0.14, 0.4, 0.95)),
        ink=((0.55, 0.2, 0.1), (1.05, 0.7, 0.35)),
        falloff=(0.3, 0.8),
    ),
    Theme(
        "fog",
        paper=((0.5, 0.0, 0.65), (0.65, 0.12, 0.9)),
        ink=((0.5, 0.0, 0.1), (0.7, 0.2, 0.3)),
        contrast=(0.3, 0.5),
        blur=(0.9, 1.4),
    ),
    Theme(
        "woven",
        paper=((0.0, 0.3, 0.6), (1.0, 0.7, 0.9)),
        ink=((0.0, 0.3, 0.05), (1.0, 0.9, 0.25)),
        texture="checks",
        texture_strength=(0.2, 0.4),
    ),
    Theme(
        "neon",
        paper=((0.6, 0.7, 0.1), (0.95, 1.0, 0.35)),
        ink=((-0.1, 0.4, 0.95), (0.55, 0.9, 1.0)),
        blur=(0.7, 1.0),
        texture="stripes",
        texture_strength=(0.1, 0.25),
    ),
)


def draw(digits: Tensor, themes: Sequence[Theme], generator: torch.Generator) -> Tensor:
    """Draw each digit in a theme chosen at random, with values drawn from that theme's ranges.

    picture = (paper + contrast · ink coverage · (ink - paper)) · light · (1 + texture_strength · texture)

    where the ink coverage is the digit enlarged, sharpened to the theme's boldness, shifted by up to 2 pixels along
    each axis and blurred. The arithmetic is in float64 and rounded to bytes at the end, and all chance comes from
    ``generator``: the same seed draws the same bytes whatever the number of threads.

    Args:
        digits: strokes of shape (N, 8, 8), floating point, from 0 (no ink) to 1 (full ink).
        themes: at least one; each is as likely as the others.
        generator: on the CPU; it moves on.

    Returns:
        RGB pictures of shape (N, 3, 32, 32), uint8.

    Raises:
        ValueError: for digits of another shape or range, and without themes.
    """
    if digits.dim() != 3 or digits.shape[1:] != (8, 8):
        raise ValueError(f"digits should have shape (N, 8, 8) (got {tuple(digits.shape)})")
    if not ((digits >= 0) & (digits <= 1)).all():
        raise ValueError(
            f"digits should be in [0, 1] (got {digits.min():g} to {digits.max():g}): divide by their maximum"
        )
    if not themes:
        raise ValueError("themes should hold at least one theme (got none)")
    blocks = torch.split(digits.double(), BLOCK)
    return torch.cat([_draw_block(block[:, None], themes, generator) for block in blocks])


def _draw_block(digits: Tensor, themes: Sequence[Theme], generator: torch.Generator) -> Tensor:
    values = _sample(themes, len(digits), generator)
    paper, ink = _rgb(values["paper"]), _rgb(values["ink"])
    surface = 1 + values["texture_strength"] * _texture(values, generator)
    picture = (paper + values["contrast"] * _coverage(digits, values) * (ink - paper)) * (_light(values) * surface)
    return picture.clamp(0, 1).mul(255).round().to(torch.uint8)


def _sample(themes: Sequence[Theme], count: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Choose each picture's theme and draw its values: (count, D, 1, 1) for D numbers; (count,) indices of textures."""
    chosen = torch.randint(len(themes), (count,), generator=generator)
    values = {"texture": torch.tensor([TEXTURES.index(theme.texture) for theme in themes])[chosen]}
    for name in (*LIMITS, *PLACES):
        ranges = [PLACES[name] if name in PLACES else getattr(theme, name) for theme in themes]
        low, high = torch.tensor(ranges, dtype=torch.float64).view(len(themes), 2, -1, 1, 1)[chosen].unbind(1)
        values[name] = low + (high - low) * torch.rand(low.shape, generator=generator, dtype=torch.float64)
    return values


def _coverage(digits: Tensor, values: dict[str, Tensor]) -> Tensor:
    """The share of each pixel under ink: (N, 1, 8, 8) -> (N, 1, SIZE, SIZE)."""
    strokes = F.interpolate(F.pad(digits, (1, 1, 1, 1)), size=(SIZE, SIZE), mode="bicubic", align_corners=False)
    ink = (EDGE_STEEPNESS * (strokes - 1 + values["boldness"]) + 0.5).clamp(0, 1)
    across, down = (_blur_matrix(shift, values["blur"]) for shift in values["shift"].chunk(2, dim=1))
    return down @ ink @ across.mT


def _blur_matrix(shift: Tensor, sigma: Tensor) -> Tensor:
    """Matrices that shift and blur one axis, (N, 1, SIZE, SIZE): each row is a Gaussian that sums to 1."""
    pixels = torch.arange(SIZE, dtype=torch.float64)
    weights = (-0.5 * ((pixels[:, None] - pixels - shift) / sigma) ** 2).exp()
    return weights / weights.sum(-1, keepdim=True)


def _light(values: dict[str, Tensor]) -> Tensor:
    """The light at every pixel, (N, 1, SIZE, SIZE), 1 at the centre: it falls off with the distance to the lamp."""
    points = (torch.arange(SIZE, dtype=torch.float64) + 0.5) * (2 / SIZE) - 1
    x, y = values["lamp"].chunk(2, dim=1)
    distance = (points - x) ** 2 + (points[:, None] - y) ** 2
    return (1 + values["falloff"] * (x**2 + y**2)) / (1 + values["falloff"] * distance)


def _texture(values: dict[str, Tensor], generator: torch.Generator) -> Tensor:
    """The pattern of every surface, (N, 1, SIZE, SIZE), in [-1, 1]."""
    x = torch.arange(SIZE, dtype=torch.float64)
    y = x[:, None]
    angle, phase, cross_phase = (2 * math.pi * values["wave"]).chunk(3, dim=1)
    frequency = 2 * math.pi / values["texture_period"]
    stripes = (frequency * (angle.cos() * x + angle.sin() * y) + phase).sin()
    cross_stripes = (frequency * (angle.cos() * y - angle.sin() * x) + cross_phase).sin()
    grain = 2 * torch.rand(stripes.shape, generator=generator, dtype=torch.float64) - 1
    patterns = {"grain": grain, "stripes": stripes, "checks": stripes * cross_stripes}
    return torch.stack([patterns[name] for name in TEXTURES])[values["texture"], torch.arange(len(grain))]


def _rgb(colours: Tensor) -> Tensor:
    """(hue in turns, saturation, brightness) -> (red, green, blue) in [0, 1], both (N, 3, 1, 1)."""
    hue, saturation, brightness = colours.chunk(3, dim=1)
    sector = (6 * hue + torch.tensor([5.0, 3.0, 1.0], dtype=torch.float64)[:, None, None]) % 6
    return brightness * (1 - saturation * torch.minimum(sector, 4 - sector).clamp(0, 1))
