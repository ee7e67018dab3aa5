"""What a video's frames are beside their pixels: times, the coding of colours, and which side is up."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from binorm.experiments.style.video.colours import UNSPECIFIED, named
from binorm.experiments.style.video.consistency import Pixels

if TYPE_CHECKING:
    import av

BT601, BT709 = 5, 1
HD_LINES = 720  # from here on an unnamed matrix is BT.709, below BT.601, as players take it


@dataclass(frozen=True, eq=False)
class TimedFrame:
    """One upright frame."""

    pixels: Pixels
    time: int  # when it is shown, in the stream's time base
    duration: int  # for how long, 0 if the file does not say


@dataclass(frozen=True)
class FrameForm:
    """The form of a decoded frame: its size, how YUV stands for RGB (FFmpeg's numbers), and how players turn it."""

    width: int  # as decoded, before it is turned; so is the height
    height: int
    matrix: int  # of YUV, 2 for unspecified, as for the next two
    primaries: int
    transfer: int
    color_range: int  # 1 for limited, 2 for full, 0 for unspecified
    display: tuple[int, ...]  # the 3x3 display matrix

    @classmethod
    def of(cls, frame: "av.VideoFrame") -> "FrameForm":
        """That of a decoded frame."""
        side_data: Any = frame.side_data
        data = side_data.get("DISPLAYMATRIX")
        display = (1, 0, 0, 0, 1, 0, 0, 0, 1) if data is None else np.frombuffer(bytes(data), "<i4").tolist()
        is_rgb = frame.format.is_rgb  # as in a GIF; what it says of YUV is not true of the new video's
        return cls(
            frame.width,
            frame.height,
            UNSPECIFIED if is_rgb else named(int(frame.colorspace)),
            named(int(frame.color_primaries)),
            named(int(frame.color_trc)),
            0 if is_rgb else int(frame.color_range),
            tuple(display),
        )

    @property
    def known_matrix(self) -> int:
        """A matrix to compute with, also where the video names none."""
        if self.matrix != UNSPECIFIED:
            return self.matrix
        return BT709 if self.height >= HD_LINES else BT601

    @property
    def transposed(self) -> bool:
        """Whether width and height change places when the frame is turned upright."""
        return abs(self.display[0]) < abs(self.display[1])

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height as shown."""
        return (self.height, self.width) if self.transposed else (self.width, self.height)

    def turned(self, pixels: Pixels) -> Pixels:
        """A frame as players show it.

        The display matrix [a, b, _, c, d, ...] brings column p and row q to a p + c q and b p + d q: quarter turns and
        mirrorings; other angles are brought to the nearest quarter.
        """
        a, b, _, c, d = self.display[:5]
        if self.transposed:
            pixels, a, d = pixels.swapaxes(0, 1), c, b
        return np.ascontiguousarray(pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def over_white(rgba: Pixels) -> tuple[Pixels, bool]:
    """Pixels with opacity, uint8 (H, W, 4), as they look on white, uint8 (H, W, 3); and whether any is not opaque."""
    colours, opacity = rgba[..., :3], rgba[..., 3:].astype(np.uint16)
    if opacity.min() == 255:
        return colours, False
    return ((colours * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8), True
