"""Draws pictures in the styles that the page offers, and keeps the networks at hand."""

import functools
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from binorm.demo.pictures import Pixels, exact, examples
from binorm.experiments.common.errors import lookup

if TYPE_CHECKING:
    from binorm.experiments.style.drawing.stylizer import Stylizer
    from binorm.experiments.style.style_file import StyleCard

THUMBNAIL = 104  # pixels: twice as many as the page shows, for sharp screens
_KEPT_NETWORKS = 24


@dataclass(frozen=True, eq=False)
class Drawing:
    """A picture in a style: (H, W, 3) pixels, and how many seconds it took."""

    pixels: Pixels
    seconds: float


class Stylist:
    """The styles of the page.

    Args:
        styles: their files by name, in the order of display.
    """

    def __init__(self, styles: Mapping[str, Path]) -> None:
        self.styles = dict(styles)
        self._stylizer = functools.lru_cache(_KEPT_NETWORKS)(self._make_stylizer)

    def draw(self, pixels: Pixels, style: str, strength: float, gate: float) -> Drawing:
        """Draw a picture, (H, W, 3), in a style.

        Args:
            pixels: of the picture.
            style: its name.
            strength: from 0, the picture itself, to 1.
            gate: from -1, instance norm, through 0, the gates as trained, to 1, batch norm.

        Raises:
            UserError: for an unknown style, and for a gate that its network has not.
        """
        stylizer = self._stylizer(style, round(gate, 2))
        started = time.perf_counter()
        drawn = stylizer(pixels, strength)
        return Drawing(drawn, time.perf_counter() - started)

    @functools.cached_property
    def cards(self) -> dict[str, "StyleCard"]:
        """What each style is."""
        from binorm.experiments.style.style_file import load_style

        return {name: load_style(path)[1] for name, path in self.styles.items()}

    def title(self, style: str) -> str:
        """What a style is called: after the picture that it was learned from."""
        return lookup("style", style, self.cards).title

    def thumbnails(self) -> dict[str, str]:
        """Each style as a small picture, a data URI: a part of the first example drawn in it, if there is one."""
        if not examples():
            return {}
        picture = next(iter(examples().values()))
        side = min(4 * THUMBNAIL, *picture.shape[:2])
        top, left = ((length - side) // 2 for length in picture.shape[:2])
        part = picture[top : top + side, left : left + side]
        return {style: _thumbnail(self.draw(part, style, 1.0, 0.0).pixels) for style in self.styles}

    def _make_stylizer(self, style: str, gate: float) -> "Stylizer":
        from binorm.experiments.style.drawing.stylizer import Stylizer
        from binorm.experiments.style.style_file import load_style

        return Stylizer(load_style(lookup("style", style, self.styles))[0], gate)


def _thumbnail(pixels: Pixels) -> str:
    import numpy as np
    from PIL import Image

    small = Image.fromarray(pixels).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    return exact(np.asarray(small))
