"""The common corruptions of Hendrycks & Dietterich (2019, arXiv:1903.12261), made deterministic.

The package ``imagecorruptions-imaug`` computes them. Most of them draw from numpy's global generator, two from a seed
of their own; here all draw from the seed that they are given.
"""

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from binorm.experiments.common.errors import UserError, lookup

COMMON = (
    "gaussian_noise", "shot_noise", "impulse_noise",
    "defocus_blur", "glass_blur", "motion_blur", "zoom_blur",
    "snow", "frost", "fog", "brightness",
    "contrast", "elastic_transform", "pixelate", "jpeg_compression",
)  # fmt: skip
EXTRA = ("speckle_noise", "gaussian_blur", "spatter", "saturate")

_TAKES_SEED = frozenset({"impulse_noise", "glass_blur"})  # scikit-image's generator and numba's own
_GLOBAL_GENERATOR = threading.Lock()


def corrupt(name: str, picture: NDArray[np.uint8], severity: int, seed: int) -> NDArray[np.uint8]:
    """One of the 19 corruptions of a picture.

    Numpy's global generator is as before afterwards. Glass blur sets numba's generator, which numpy's users never meet.
    Blurs and shifts have the sizes that were chosen for 224 pixels a side: smaller pictures suffer more.

    Args:
        name: one of `COMMON` or `EXTRA`.
        picture: uint8 (H, W, 3) in RGB, at least 32 pixels a side.
        severity: 1 to 5.
        seed: below 2^32; the same seed gives the same bits, from any thread and process.

    Returns:
        Uint8 (H, W, 3).

    Raises:
        UserError: if the package is not installed.
    """
    function = lookup("corruption", name, _functions())
    options = {"seed": seed} if name in _TAKES_SEED else {}
    with _seeded(seed), _quiet():
        corrupted = np.asarray(function(Image.fromarray(picture), severity, **options))
    if corrupted.dtype == np.uint8:
        return corrupted
    # Spatter divides by its thickest drop: small pictures may have none, and stay as they are.
    return np.where(np.isnan(corrupted), picture, corrupted).astype(np.uint8)


def check_installed() -> None:
    """Whether `corrupt` can be called, asked before work begins.

    Raises:
        UserError: with what to install.
    """
    _functions()


def _functions() -> dict[str, Callable[..., Any]]:
    try:
        from imagecorruptions import corruption_dict
    except ImportError as error:
        raise UserError(
            f"the common corruptions need imagecorruptions-imaug ({error}): pip install 'binorm[robustness]'"
        ) from error
    functions: dict[str, Callable[..., Any]] = corruption_dict
    return functions


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Numpy's global generator starts at ``seed`` inside, and is as it was afterwards; one thread at a time."""
    with _GLOBAL_GENERATOR:
        before = np.random.get_state()
        np.random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(before)


@contextmanager
def _quiet() -> Iterator[None]:
    """No warnings of what the package does inside, such as its division of nothing by nothing."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield
