"""Videos as upright frames with their times, and the packets of their other streams between them."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from binorm.experiments.common.errors import UserError
from binorm.experiments.style.picture_files import MAX_PIXELS
from binorm.experiments.style.video.colours import check_colours
from binorm.experiments.style.video.deinterlace import Deinterlacer
from binorm.experiments.style.video.frames import FrameForm, TimedFrame, over_white
from binorm.experiments.style.video.opening import end_of, not_whole, open_video, require_av, video_streams
from binorm.experiments.style.video.remarks import Remarks
from binorm.experiments.style.video.timeline import Timeline

if TYPE_CHECKING:
    import av

MISSING = 0.1  # share of the stated duration that may be absent where nothing else tells the end
LONGEST_GAP = 1.6  # frames, in broadcasts, whose frames follow each other at one rate
NEVER_READ = 48  # AVDISCARD_ALL
ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # FFmpeg's own pass over the transparency


class Decoded(NamedTuple):
    """Packets of other streams, the decoded frame after them (none at the end), and its time and duration."""

    packets: "list[av.Packet[Any]]"
    frame: "av.VideoFrame | None" = None
    time: int = 0
    duration: int = 0


class Step(NamedTuple):
    """What to write next: packets of other streams, then a frame (none at the end)."""

    packets: "list[av.Packet[Any]]"
    frame: TimedFrame | None


class VideoReader:
    """An open video: its first video stream, with the packets of sound, subtitles and data.

    ``stream`` is the video, ``others`` are streams to be copied, ``form`` is that of the first frame, once there was
    one, and ``remarks`` are what its user should know of it.

    Raises:
        UserError: if the file is missing, no video, cut, encrypted, damaged, its colours are not those of ordinary
            video, or its frames have more than `MAX_PIXELS` pixels.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.form: FrameForm | None = None
        self.remarks = Remarks()
        require_av()
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror}") from error
        try:
            self.container, self._extent = open_video(path, self._file)
        except BaseException:
            self._file.close()
            raise
        try:
            if self._extent.whole is False:
                raise not_whole(path, self.container, self._extent)
            self.stream = self._video_stream()
            context = self.stream.codec_context
            self._check_size(context.width, context.height)
            check_colours(path, int(context.colorspace), int(context.color_trc))
        except BaseException:
            self.close()
            raise
        self.stream.thread_type = "AUTO"
        self._reformatter = require_av().video.reformatter.VideoReformatter()
        self._alpha_decoder = self._with_alpha()
        self.others = [each for each in self.container.streams if _is_copied(each)]

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
        last, duration, end = None, 0, 0.0
        deinterlacer, timeline = Deinterlacer(self.time_base), Timeline()
        try:
            for packet in self.container.demux([self.stream, *self.others]):
                self.remarks.corrupt += packet.is_corrupt
                if self._extent.endless:
                    timeline.shift(packet)
                if packet.stream.type in ("video", "audio"):
                    end = max(end, end_of(packet))
                if packet.stream is not self.stream:
                    if packet.dts is not None:
                        packets.append(packet)
                    continue
                frames = [each for frame in self._decode(packet, end) for each in deinterlacer(frame)]
                if packet.dts is None:  # the end
                    frames += deinterlacer.finish()
                for frame in frames:
                    last, duration = self._timed(frame, last, duration)
                    yield Decoded(packets, frame, last, duration)
                    packets = []
        except av.FFmpegError as error:
            raise UserError(f"{self.path} is damaged at about {end:.1f} s ({error.strerror}): get it again") from error
        if last is None:
            raise UserError(f"{self.path} holds no frame that can be decoded: it is damaged, get it again")
        self.remarks.interlaced, self.remarks.jumps = deinterlacer.count, timeline.jumps
        self._check_end(end)
        yield Decoded(packets)

    def to_rgb(self, decoded: Decoded) -> Step:
        """A decoded frame as upright RGB of the first frame's size; for one thread."""
        packets, frame, time, duration = decoded
        if frame is None:
            return Step(packets, None)
        form = FrameForm.of(frame)
        self.form = first = self.form or form
        is_clear = frame.format.has_palette or any(each.is_alpha for each in frame.format.components)
        rgb = self._reformatter.reformat(
            frame,
            first.width,
            first.height,
            "rgba" if is_clear else "rgb24",
            src_colorspace=form.known_matrix,
            dst_color_range=2,
        )
        pixels = rgb.to_ndarray()
        if is_clear:
            pixels, seen_through = over_white(pixels)
            self.remarks.transparent |= seen_through
        return Step(packets, TimedFrame(first.turned(pixels), time, duration))

    def _decode(self, packet: Any, end: float) -> "list[av.VideoFrame]":
        """The frames that a packet completes. Of broadcasts, packets that make no sense are passed over."""
        try:
            if self._alpha_decoder is None:
                frames = packet.decode()
            else:
                frames = self._alpha_decoder.decode(packet if packet.size else None)
        except require_av().FFmpegError:
            if not self._extent.endless:
                raise
            self.remarks.undecodable.append(end)
            return []
        for frame in frames:
            self._check_size(frame.width, frame.height)
            side_data: Any = frame.side_data
            dolby_vision = any(side_data.get(f"DOVI_{name}") is not None for name in ("METADATA", "RPU_BUFFER"))
            check_colours(self.path, int(frame.colorspace), int(frame.color_trc), dolby_vision)
            self.remarks.damaged += frame.is_corrupt
            self.remarks.captions |= side_data.get("A53_CC") is not None
        return list(frames)

    def _check_size(self, width: int, height: int) -> None:
        """Raise a `UserError` for frames that are too large."""
        if width * height > MAX_PIXELS:
            raise UserError(
                f"{self.path} has frames of {width}x{height} pixels, expected at most {MAX_PIXELS // 10**6} million: "
                "scale it down first"
            )

    def _video_stream(self) -> Any:
        streams = video_streams(self.container)
        if not streams:
            raise UserError(f"{self.path} has no video stream: is it sound alone?")
        if streams[0].codec_context is None:
            raise UserError(f"{self.path} holds video in a format that cannot be decoded: convert it to H.264 first")
        self.remarks.other_videos = len(streams) - 1
        self.remarks.covers = len(self.container.streams.video) - len(streams)
        return streams[0]

    def _with_alpha(self) -> Any:
        """A decoder that keeps transparency which lies beside the frames, or None where the stream's own does."""
        metadata = {name.lower(): value for name, value in self.stream.metadata.items()}
        name = ALPHA_DECODERS.get(self.stream.codec_context.name, "")
        if metadata.get("alpha_mode") != "1" or not name:
            return None
        self.remarks.transparent = True
        av = require_av()
        return av.CodecContext.create(name, "r") if name in av.codecs_available else None

    def _timed(self, frame: "av.VideoFrame", last: int | None, length: int) -> tuple[int, int]:
        """A frame's time, and its duration or 0, from those of the one before.

        Where a file has no time, or goes backwards, it is the next that fits.
        """
        ticks = (frame.time_base or self.time_base) / self.time_base
        usual = max(1, round(1 / (self.rate * self.time_base)))
        duration = round((frame.duration or 0) * ticks)
        if frame.pts is None:
            return 0 if last is None else last + usual, duration
        time = round(frame.pts * ticks)
        if last is None:
            return time, duration
        self.remarks.gaps += self._extent.endless and time - last > LONGEST_GAP * max(length, usual)
        return max(time, last + 1), duration

    def _seconds(self) -> float | None:
        return self.container.duration / 1e6 if self.container.duration else None

    def _check_end(self, end: float) -> None:
        """Compare the end with the one that the container states, where its bytes did not tell it."""
        if self._extent.whole is not None:
            return
        start = (self.container.start_time or 0) / 1e6
        seconds, slack = self._extent.seconds, 2 / float(self.rate)
        if seconds and end - start < (1 - MISSING) * seconds - slack:
            raise UserError(f"{self.path} ends at {end - start:.1f} s of {seconds:.1f} s: it is cut off, get it again")
        if not seconds or end - start < seconds - slack:
            self.remarks.uncertain = self._extent.reason


def _is_copied(stream: Any) -> bool:
    """Whether packets are taken: not those by which QuickTime files store chapters and the time code of the start.

    Of both, the container tells by other means, and they are written anew.
    """
    if stream.type == "data":
        return "timecode" not in stream.metadata and stream.discard != NEVER_READ
    return stream.type in ("audio", "subtitle")
