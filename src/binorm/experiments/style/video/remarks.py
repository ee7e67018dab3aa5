"""What somebody should know of a video that was drawn, although it could be."""

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Remarks:
    """Counts and marks that a reader takes down, and sentences of them.

    Attributes:
        uncertain: why it is not certain that all of the video is there, if it is not.
        damaged: frames that the decoder had to mend.
        undecodable: about when, in seconds, packets could not be decoded and were passed over.
        interlaced: frames that were interlaced.
        transparent: whether anything shows through.
        other_videos: video streams beside the first.
        covers: pictures of a cover among the streams.
    """

    uncertain: str = ""
    damaged: int = 0
    undecodable: list[float] = field(default_factory=list)
    interlaced: int = 0
    transparent: bool = False
    other_videos: int = 0
    covers: int = 0

    def sentences(self, frames: int, seconds: float) -> Iterator[str]:
        """What to say when so many frames of so many seconds are drawn."""
        if self.uncertain:
            yield (
                f"{frames:,} frames ({seconds:.1f} s) are drawn, and whether these are all cannot be told: "
                f"{self.uncertain}"
            )
        if self.damaged:
            yield f"{self.damaged:,} of {frames:,} frames are damaged, and are drawn as the decoder mended them"
        if self.undecodable:
            yield (
                f"{len(self.undecodable):,} packets of it could not be decoded, the first at about "
                f"{self.undecodable[0]:.1f} s; {frames:,} frames are drawn"
            )
        if self.interlaced:
            yield f"{self.interlaced:,} of {frames:,} frames are interlaced: their lines are brought to one moment"
        if self.transparent:
            yield "its transparency is not kept: it is drawn over white"

    def left_out(self) -> Iterator[str]:
        """Streams that no new video has."""
        if self.other_videos:
            yield "its other video stream" if self.other_videos == 1 else f"its {self.other_videos} other video streams"
        if self.covers:
            yield "its cover picture" if self.covers == 1 else f"its {self.covers} cover pictures"
