"""Videos as upright frames with their times, and the packets of their sound and subtitles between them."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from binorm.experiments.common.errors import UserError
from binorm.experiments.style.picture_files import MAX_PIXELS
from binorm.experiments.style.video.frames import FrameForm, TimedFrame

if TYPE_CHECKING:
    import av

# What is read as a video. Not among them: playlists, which name other files, and pictures or text taken for a video.
CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,ivf,flv,live_flv,ogg,asf,gif,apng,"
    "mxf,nut,dv,rm,wtv,y4m,yuv4mpegpipe"
)
MISSING = 0.1  # share of the duration that may be absent before a file counts as cut off


def require_av() -> Any:
    """PyAV; raises a `UserError` where it is not installed."""
    try:
        import av
    except ImportError as error:
        raise UserError("videos need PyAV: pip install 'binorm[style]'") from error
    return av


class Decoded(NamedTuple):
    """Packets of other streams, the decoded frame after them (none at the end), and its time."""

    packets: "list[av.Packet[Any]]"
    frame: "av.VideoFrame | None" = None
    time: int = 0


class Step(NamedTuple):
    """What to write next: packets of other streams, then a frame (none at the end)."""

    packets: "list[av.Packet[Any]]"
    frame: TimedFrame | None


class VideoReader:
    """An open video: its first video stream, with sound and subtitles as packets.

    ``stream`` is the video, ``others`` are sound and subtitles, and ``form`` is that of the first frame, once there was
    one.

    Raises:
        UserError: if the file is missing, no video, damaged, or its frames have more than `MAX_PIXELS` pixels.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.form: FrameForm | None = None
        av = require_av()
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror}") from error
        try:
            self.container = av.open(self._file, options={"format_whitelist": CONTAINERS}, metadata_errors="replace")
        except (av.FFmpegError, OSError, ValueError) as error:
            self._file.close()
            raise UserError(
                f"{path} is no video that can be read: expected .mp4, .mov, .mkv, .webm or the like, and the whole file"
            ) from error
        try:
            self.stream = self._video_stream()
            self._check_size(self.stream.codec_context.width, self.stream.codec_context.height)
        except BaseException:
            self.close()
            raise
        self.stream.thread_type = "AUTO"
        self._reformatter = av.video.reformatter.VideoReformatter()
        self.others = [each for each in self.container.streams if each.type in ("audio", "subtitle")]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.container.close()
        self._file.close()

    @property
    def time_base(self) -> Fraction:
        """Seconds of one unit of the frames' times."""
        return self.stream.time_base or Fraction(1, 1000)

    @property
    def rate(self) -> Fraction:
        """Frames a second, on average."""
        return self.stream.average_rate or self.stream.guessed_rate or Fraction(25)

    @property
    def frames(self) -> int | None:
        """How many frames there probably are; None if nothing tells."""
        if self.stream.frames:
            return int(self.stream.frames)
        seconds = self._seconds()
        return round(seconds * self.rate) if seconds else None

    def decoded(self) -> Iterator[Decoded]:
        """Every frame in the order of its time, each with the packets before it; then the packets after the last."""
        av = require_av()
        packets: list[Any] = []
        last, end = None, 0.0
        try:
            for packet in self.container.demux([self.stream, *self.others]):
                if packet.pts is not None:
                    end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                if packet.stream is not self.stream:
                    if packet.dts is not None:
                        packets.append(packet)
                    continue
                for frame in packet.decode():
                    self._check_size(frame.width, frame.height)
                    last = self._time(frame, last)
                    yield Decoded(packets, frame, last)
                    packets = []
        except av.FFmpegError as error:
            raise UserError(f"{self.path} is damaged at about {end:.1f} s ({error.strerror}): get it again") from error
        if last is None:
            raise UserError(f"{self.path} holds no frame that can be decoded: it is damaged, get it again")
        self._check_end(end)
        yield Decoded(packets)

    def to_rgb(self, decoded: Decoded) -> Step:
        """A decoded frame as upright RGB of the first frame's size; for one thread."""
        packets, frame, time = decoded
        if frame is None:
            return Step(packets, None)
        form = FrameForm.of(frame)
        self.form = first = self.form or form
        rgb = self._reformatter.reformat(
            frame, first.width, first.height, "rgb24", src_colorspace=form.known_matrix, dst_color_range=2
        )
        pixels = first.turned(rgb.to_ndarray())
        return Step(packets, TimedFrame(pixels, time, int(frame.duration or 0)))

    def _check_size(self, width: int, height: int) -> None:
        """Raise a `UserError` for frames that are too large."""
        if width * height > MAX_PIXELS:
            raise UserError(
                f"{self.path} has frames of {width}x{height} pixels, expected at most {MAX_PIXELS // 10**6} million: "
                "scale it down first"
            )

    def _video_stream(self) -> Any:
        av = require_av()
        covers = av.stream.Disposition.attached_pic
        streams = [each for each in self.container.streams.video if not each.disposition & covers]
        if not streams:
            raise UserError(f"{self.path} has no video stream: is it sound alone?")
        if streams[0].codec_context is None:
            raise UserError(f"{self.path} holds video in a format that cannot be decoded: convert it to H.264 first")
        return streams[0]

    def _time(self, frame: "av.VideoFrame", last: int | None) -> int:
        """A frame's time; where a file has none, or goes backwards, the next that fits."""
        if frame.pts is None:
            return 0 if last is None else last + max(1, round(1 / (self.rate * self.time_base)))
        return int(frame.pts) if last is None else max(int(frame.pts), last + 1)

    def _seconds(self) -> float | None:
        return self.container.duration / 1e6 if self.container.duration else None

    def _check_end(self, end: float) -> None:
        seconds = self._seconds()
        start = (self.container.start_time or 0) / 1e6
        if seconds and end - start < (1 - MISSING) * seconds - 2 / float(self.rate):
            raise UserError(f"{self.path} ends at {end - start:.1f} s of {seconds:.1f} s: it is cut off, get it again")
