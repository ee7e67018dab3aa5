"""What somebody should know of a video that was drawn, although it could be."""

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Remarks:
    """Counts and marks that a reader takes down, and sentences of them.

    Attributes:
        uncertain: why it is not certain that all of the video is there, if it is not.
        damaged: frames that the decoder had to mend.
        corrupt: packets that are marked as incomplete.
        gaps: how often frames are missing between two.
        undecodable: about when, in seconds, packets could not be decoded and were passed over.
        jumps: how often times begin anew.
        interlaced: frames that were interlaced.
        transparent: whether anything shows through.
        captions: whether there are closed captions within frames.
        other_videos: video streams beside the first.
        covers: pictures of a cover among the streams.
    """

    uncertain: str = ""
    damaged: int = 0
    corrupt: int = 0
    gaps: int = 0
    undecodable: list[float] = field(default_factory=list)
    jumps: int = 0
    interlaced: int = 0
    transparent: bool = False
    captions: bool = False
    other_videos: int = 0
    covers: int = 0

    def sentences(self, frames: int, seconds: float) -> Iterator[str]:
        """What to say when so many frames of so many seconds are drawn."""
        if self.uncertain:
            yield (
                f"{frames:,} frames ({seconds:.1f} s) are drawn, and whether these are all cannot be told: "
                f"{self.uncertain}"
            )
        if faults := list(self._faults()):
            yield f"{frames:,} frames are drawn, but the video is damaged: {', '.join(faults)}"
        if self.jumps:
            yield f"its times begin anew in {counted(self.jumps, 'place')}: it is drawn as one film"
        if self.interlaced:
            yield f"{self.interlaced:,} of {frames:,} frames are interlaced: their lines are brought to one moment"
        if self.transparent:
            yield "its transparency is not kept: it is drawn over white"
        if self.captions:
            yield "its closed captions, which lie within frames, are not kept"

    def _faults(self) -> Iterator[str]:
        if self.damaged:
            yield f"{counted(self.damaged, 'frame')} mended by the decoder"
        if self.corrupt:
            yield f"{counted(self.corrupt, 'packet')} incomplete"
        if self.undecodable:
            first = self.undecodable[0]
            yield f"{counted(len(self.undecodable), 'packet')} passed over, the first at about {first:.1f} s"
        if self.gaps:
            yield f"frames missing in {counted(self.gaps, 'place')}"

    def left_out(self) -> Iterator[str]:
        """Streams that no new video has."""
        if self.other_videos:
            yield f"its {counted(self.other_videos, 'other video stream')}"
        if self.covers:
            yield f"its {counted(self.covers, 'cover picture')}"


def counted(number: int, noun: str) -> str:
    """``"1 frame"``, ``"2,000 frames"``."""
    return f"{number:,} {noun}{'s' * (number != 1)}"
