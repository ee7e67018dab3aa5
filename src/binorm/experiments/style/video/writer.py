"""Stylized frames as a video file, beside the other streams and the chapters of the video they come from."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from binorm.experiments.common.errors import UserError
from binorm.experiments.style.video.containers import FORMATS, fits
from binorm.experiments.style.video.frames import FrameForm, TimedFrame
from binorm.experiments.style.video.opening import require_av
from binorm.experiments.style.video.reader import VideoReader
from binorm.experiments.style.video.remarks import counted

if TYPE_CHECKING:
    import av

OPTIONS = {
    "libx264": {"crf": "18", "preset": "faster"},
    "libvpx-vp9": {"crf": "24", "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"},
    "mpeg4": {"flags": "+qscale", "global_quality": str(3 * 118)},  # quantizer 3 of 31, times FF_QP2LAMBDA
}
MPEG4_TIME_BASE = 60_000  # its times have 16 bits
# What the old file says of itself.
LEFT_BEHIND = {"encoder", "major_brand", "minor_version", "compatible_brands", "alpha_mode"}
STATISTICS = ("BPS", "DURATION", "NUMBER_OF_", "_STATISTICS_")


def check_target(target: Path) -> None:
    """Raise a `UserError` for a target whose suffix names no container that is written."""
    if target.suffix.lower() not in FORMATS:
        raise UserError(f"cannot write {target}: expected a name that ends in {', '.join(FORMATS)}")


class VideoWriter:
    """Encodes frames into an open, seekable file.

    ``target`` names the container by its suffix, and the file in messages. Time base, colours, chapters and streams
    that are copied are those of the ``reader``, whose frames have the ``form``.

    Raises:
        UserError: if the container cannot hold the sound as it is, or no encoder is at hand.
    """

    def __init__(self, file: BinaryIO, target: Path, reader: VideoReader, form: FrameForm) -> None:
        av = require_av()
        self._target = target
        self._reader = reader
        self._form = form
        self._reformatter = av.video.reformatter.VideoReformatter()
        self._durations: dict[int, int] = {}
        self._left_out = list(reader.remarks.left_out())
        self._dropped = 0
        self.size = (0, 0)
        self._container = av.open(file, "w", format=FORMATS[target.suffix.lower()])
        self._container.metadata.update(_kept(reader.container.metadata))
        self._codec = _encoder(target)
        self._stream = self._add_video()
        self._copies = {each.index: copy for each in reader.others if (copy := self._add_copy(each))}
        self._add_attachments()
        self._container.set_chapters(reader.container.chapters())
        with self._explaining():
            self._container.start_encoding()

    def copy(self, packets: "list[av.Packet[Any]]") -> None:
        """Write packets of the old file's other streams."""
        av = require_av()
        with self._explaining():
            for packet in packets:
                if stream := self._copies.get(packet.stream.index):
                    packet.stream = stream
                    try:
                        self._container.mux(packet)
                    except (av.InvalidDataError, av.ArgumentError):  # its times go back, or it is damaged
                        self._dropped += 1

    def write(self, frame: TimedFrame) -> None:
        """Encode a frame."""
        av = require_av()
        width, height = self.size
        rgb = av.VideoFrame.from_ndarray(frame.pixels[:height, :width], format="rgb24")
        yuv = self._reformatter.reformat(
            rgb, format="yuv420p", dst_colorspace=self._form.known_matrix, dst_color_range=self._form.color_range or 1
        )
        ticks = self._reader.time_base / self._stream.codec_context.time_base
        yuv.pts, yuv.time_base = round(frame.time * ticks), self._stream.codec_context.time_base
        self._durations[yuv.pts] = round(frame.duration * ticks)
        with self._explaining():
            self._mux(self._stream.encode(yuv))

    def finish(self) -> None:
        """Write what the encoder still holds, and the file's index."""
        with self._explaining():
            self._mux(self._stream.encode(None))
            self._container.close()

    def remarks(self) -> Iterator[str]:
        """Sentences on what the new video is without."""
        if self._dropped:
            yield f"left out are {counted(self._dropped, 'damaged packet')} of its sound or other streams"
        if self._left_out:
            yield f"the new video is without {', '.join(self._left_out)}"

    def abandon(self) -> None:
        """Close without caring for what is written."""
        with suppress(Exception):
            self._container.close()

    def _mux(self, packets: "list[av.Packet[Any]]") -> None:
        for packet in packets:
            # Encoders drop it, and the last frame would be shown for no time.
            packet.duration = self._durations.pop(packet.pts or 0, 0) or packet.duration
            self._container.mux(packet)

    def _add_video(self) -> Any:
        source = self._reader.stream
        (width, height), aspect = self._form.upright_size, source.sample_aspect_ratio
        if self._codec == "libx264":  # it takes whole pairs of pixels alone
            width, height = width - width % 2, height - height % 2
        self.size = (width, height)
        time_base = self._reader.time_base
        if self._codec == "mpeg4" and time_base.denominator > MPEG4_TIME_BASE:
            time_base = Fraction(1, MPEG4_TIME_BASE)
        stream = self._container.add_stream(
            self._codec, self._reader.rate.limit_denominator(1001), options=dict(OPTIONS[self._codec])
        )
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = time_base
        if aspect:
            stream.codec_context.sample_aspect_ratio = 1 / aspect if self._form.transposed else aspect
        context = stream.codec_context
        context.colorspace, context.color_range = self._form.matrix, self._form.color_range
        context.color_primaries, context.color_trc = self._form.primaries, self._form.transfer
        stream.metadata.update(_kept(source.metadata))
        return stream

    def _add_copy(self, source: Any) -> Any:
        """A stream for packets as they are; None for what does not fit into the container, of sound into any."""
        if not fits(source, self._target.suffix.lower()):
            if source.type == "audio":
                self._check_no_other_fits(source)
            kind = {"audio": "sound", "subtitle": "subtitles"}.get(source.type, "data")
            self._left_out.append(f"{kind} ({_codec_name(source)})")
            return None
        copy = self._container.add_stream_from_template(source)
        copy.metadata.update(_kept(source.metadata))
        copy.disposition = source.disposition
        return copy

    def _check_no_other_fits(self, sound: Any) -> None:
        """Raise a `UserError` that names the containers that can hold a sound, if there are any."""
        if suffixes := [suffix for suffix in (".mp4", ".mov", ".mkv", ".webm") if fits(sound, suffix)]:
            raise UserError(
                f"{self._target.suffix} cannot hold the sound of {self._reader.path} ({_codec_name(sound)}) as it is: "
                f"write {' or '.join(suffixes)}"
            )

    def _add_attachments(self) -> None:
        """Copy fonts and the like into Matroska files, which want a type of each."""
        for source in self._reader.container.streams:
            if source.type == "attachment":
                if FORMATS[self._target.suffix.lower()] == "matroska" and source.mimetype:
                    self._container.add_attachment(source.name or "unnamed", source.mimetype, source.data)
                else:
                    self._left_out.append(f"an attachment ({source.name or 'unnamed'})")

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        """FFmpeg's errors in plain words; those of the file system stay what they are."""
        try:
            yield
        except require_av().FFmpegError as error:
            if isinstance(error, OSError):
                raise
            size, others = "x".join(map(str, self.size)), [_codec_name(each) for each in self._copies.values()]
            raise UserError(
                f"cannot write {self._target} ({' and '.join([f'{size} pixels by {self._codec}', *others])}): "
                f"{error.strerror}; try {self._other_formats()}"
            ) from error

    def _other_formats(self) -> str:
        return ".mkv" if self._target.suffix.lower() != ".webm" else ".mp4 or .mkv"


def _encoder(target: Path) -> str:
    available = require_av().codecs_available
    choices = ("libvpx-vp9",) if target.suffix.lower() == ".webm" else ("libx264", "mpeg4")
    for name in choices:
        if name in available:
            return name
    raise UserError(f"cannot write {target}: this PyAV has no encoder {' or '.join(choices)}; write .mp4 or .mkv")


def _codec_name(stream: Any) -> str:
    """How FFmpeg calls the codec of a stream; of data, what the camera calls it."""
    if stream.type == "data":
        return str(stream.metadata.get("handler_name") or stream.name or "unnamed")
    return str(stream.codec_context.name if stream.codec_context else "an unknown format")


def _kept(metadata: dict[str, str]) -> dict[str, str]:
    """Metadata that are true of the new video too; rates and counts of the old one are not."""
    return {
        name: value
        for name, value in metadata.items()
        if name.lower() not in LEFT_BEHIND and not name.upper().startswith(STATISTICS)
    }
