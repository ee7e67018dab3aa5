"""Pictures on the page: those to try, and pictures as text that stands in the page itself and on no disk."""

import base64
import functools
import html
import io
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SHOWN_SIDE = 1400  # pixels of the longer side of what the page shows; downloads keep the size
_PALACE_CREDIT = "Photograph: danielbuechele, CC BY 2.0, from scikit-learn"
EXAMPLES = {  # of scikit-learn's, by what the page calls them: file, how much of the light is left, and whose it is
    "Palace": ("china.jpg", 1.0, _PALACE_CREDIT),
    "Palace, dim": ("china.jpg", 0.35, f"{_PALACE_CREDIT}, darkened"),
    "Flower": ("flower.jpg", 1.0, "Photograph: vultilion, CC BY 2.0, from scikit-learn"),
}

Pixels = NDArray[np.uint8]


@functools.cache
def examples() -> dict[str, Pixels]:
    """Pictures that came with scikit-learn, (H, W, 3), by name; none where they are missing."""
    package = find_spec("sklearn")  # importing it takes longer than all the rest
    if package is None or package.origin is None:
        return {}
    folder = Path(package.origin).parent / "datasets" / "images"
    found = {name: (folder / file, light) for name, (file, light, _) in EXAMPLES.items() if (folder / file).is_file()}
    return {
        name: (np.asarray(Image.open(path).convert("RGB")) * light).astype(np.uint8)
        for name, (path, light) in found.items()
    }


def shown(pixels: Pixels, longest: int = SHOWN_SIDE) -> str:
    """A JPEG of (H, W, 3) pixels as a data URI, no larger than the page needs."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return _uri(picture, "JPEG", quality=88)


def exact(pixels: Pixels) -> str:
    """A PNG of (H, W, 3) pixels as a data URI."""
    return _uri(Image.fromarray(pixels), "PNG")


def comparison(before: Pixels, after: Pixels, style: str, facts: str) -> str:
    """Two pictures of one size on top of each other, and a divider that mouse, finger and arrow keys move."""
    height, width = before.shape[:2]
    return (
        f'<figure class="comparison"><div class="frame" style="aspect-ratio: {width} / {height}; --ratio: '
        f'{width / height:.4f}"><img src="{shown(after)}" alt="After, in the style of {html.escape(style)}">'
        f'<img class="before" src="{shown(before)}" alt="Before"><span class="divider" aria-hidden="true"></span>'
        '<input type="range" min="0" max="100" value="50" aria-label="Divider between before and after"></div>'
        f"<figcaption>{html.escape(facts)}</figcaption></figure>"
    )


# The divider stays where it was when a new result comes, which is a new element.
KEEP_DIVIDER = """
const place = (value) => {
  element.dataset.divider = value;
  element.style.setProperty('--divider', value + '%');
};
element.addEventListener('input', (event) => place(event.target.value));
watch('value', () => {
  const range = element.querySelector('input[type=range]');
  if (range && element.dataset.divider) range.value = element.dataset.divider;
});
"""


def _uri(picture: Image.Image, file_format: str, **options: int) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, file_format, **options)
    return f"data:image/{file_format.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
