"""What the page takes from whoever reaches it, and how a picture that came is read within that."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from binorm.experiments.common.errors import UserError

if TYPE_CHECKING:
    from binorm.experiments.style.picture_files import Picture

MEBIBYTE = 2**20


@dataclass(frozen=True)
class Limits:
    """How much is too much.

    Attributes:
        megapixels: of a picture, by what its header says, before anything is decoded.
        megabytes: of an upload, counted while it arrives.
        longest_side: of a picture, in pixels.
        waiting: requests that may wait for their turn; whoever comes then is told to try again.
        connections: that may be open at a time; a browser holds one or two.
        kept_megabytes: of uploads and results together on the disk; beyond it, the oldest go.
        kept_seconds: after its last use, a file goes.
    """

    megapixels: float = 12
    megabytes: float = 20
    longest_side: int = 10_000
    waiting: int = 16
    connections: int = 256
    kept_megabytes: float = 512
    kept_seconds: float = 600

    def __post_init__(self) -> None:
        for name in ("megapixels", "megabytes"):
            if not 0 < getattr(self, name) <= 1000:
                raise UserError(
                    f"--max-{name} should be above 0 and at most 1000 (got {getattr(self, name):g}): 12 and 20 are "
                    "what a phone's camera needs"
                )

    @property
    def upload_bytes(self) -> int:
        """The largest upload."""
        return int(self.megabytes * MEBIBYTE)

    @property
    def pixels(self) -> int:
        """The most pixels of a picture."""
        return int(self.megapixels * 1e6)


def open_picture(data: bytes, limits: Limits) -> "Picture":
    """Decode an uploaded picture; what it is called does not matter.

    Raises:
        UserError: where it is too large or no picture; the message is for the person who sent it.
    """
    from binorm.experiments.style.picture_files import decode_picture

    if len(data) > limits.upload_bytes:
        raise UserError(f"this file has {len(data) / MEBIBYTE:.1f} MB, the page takes up to {limits.megabytes:g} MB")
    picture = decode_picture(data, "this file", limits.pixels)
    height, width = picture.pixels.shape[:2]
    if max(height, width) > limits.longest_side:
        raise UserError(
            f"this picture has {width} x {height} pixels, the page takes sides of up to {limits.longest_side:,}: "
            "crop it"
        )
    return picture
