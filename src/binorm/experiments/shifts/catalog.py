"""What happens to pictures between training and use: the common corruptions, and the style shifts of ours, by name."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from binorm.experiments.common.errors import UserError, lookup
from binorm.experiments.shifts import corruptions, style_shifts

Group = Literal["corruption", "extra", "style"]
Picture = NDArray[np.uint8]

GROUP_NAMES: dict[str, Group] = {"corruptions": "corruption", "extra": "extra", "style": "style"}  # on command lines
GROUPS: dict[str, str] = {"corruption": "corruption", "extra": "extra corruption", "style": "style shift"}  # in words
SEVERITIES = (1, 2, 3, 4, 5)
SMALLEST_SIDE = 32  # pixels, of corruptions; a shift of style moves no pixels, and needs few
SMALLEST_SIDE_OF_STYLE = 8


@dataclass(frozen=True)
class Shift:
    """A change of pictures in five severities.

    Called with a picture and a severity, its result depends on these two and the shift's name alone: not on the order,
    the process or which other pictures there are.

    Attributes:
        name: as on the command line.
        group: ``"corruption"`` (the 15 common ones of Hendrycks & Dietterich 2019), ``"extra"`` (their 4 for choosing
            hyper-parameters) or ``"style"`` (ours).
        apply: takes a picture, uint8 (H, W, 3) in RGB, a severity from 1 to 5 and a seed below 2^32, and returns a
            picture of the same shape.
    """

    name: str
    group: Group
    apply: Callable[[Picture, int, int], Picture]

    @property
    def smallest_side(self) -> int:
        """In pixels, of the pictures that it can be applied to."""
        return SMALLEST_SIDE_OF_STYLE if self.group == "style" else SMALLEST_SIDE

    def __call__(self, picture: Picture, severity: int) -> Picture:
        """The picture after the shift, uint8 (H, W, 3); the one that was given is left as it is.

        Raises:
            UserError: for a picture of another kind or a smaller one, or a severity that is not 1 to 5.
        """
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise UserError(
                f"the shift {self.name} got {picture.dtype} {picture.shape}: "
                "expected a picture, uint8 (height, width, 3)"
            )
        height, width, _ = picture.shape
        if min(height, width) < self.smallest_side:
            raise UserError(
                f"the shift {self.name} got a picture of {width}x{height} pixels: expected at least "
                f"{self.smallest_side} a side. Enlarge the pictures, or choose a network that takes larger ones"
            )
        if severity not in SEVERITIES:
            raise UserError(f"severity {severity} of the shift {self.name}: expected 1, 2, 3, 4 or 5")
        return self.apply(picture, severity, self.seed(picture, severity))

    def seed(self, picture: Picture, severity: int) -> int:
        """A number below 2^32 from the picture's content, the shift's name and the severity."""
        text = f"{self.name} {severity} {picture.shape}".encode()
        digest = hashlib.blake2b(text + np.ascontiguousarray(picture).tobytes(), digest_size=4).digest()
        return int.from_bytes(digest, "little")


SHIFTS: dict[str, Shift] = {
    **{name: Shift(name, "corruption", partial(corruptions.corrupt, name)) for name in corruptions.COMMON},
    **{name: Shift(name, "extra", partial(corruptions.corrupt, name)) for name in corruptions.EXTRA},
    **{name: Shift(name, "style", apply) for name, apply in style_shifts.STYLE_SHIFTS.items()},
}


def find_shift(name: str) -> Shift:
    """The shift of that name, ready for use.

    Raises:
        UserError: for an unknown name, or a corruption while the package that computes it is not installed.
    """
    shift = lookup("shift", name, SHIFTS)
    if shift.group != "style":
        corruptions.check_installed()
    return shift
