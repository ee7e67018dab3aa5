"""A file as a container of streams; or a sentence that says why it cannot be drawn."""

import shlex
from pathlib import Path
from typing import Any, BinaryIO

from binorm.experiments.common.errors import UserError
from binorm.experiments.style.video.not_a_video import what_it_is
from binorm.experiments.style.video.wholeness import Extent, extent_of

# What is read as a video. Not among them: playlists, which name other files, and pictures or text taken for a video.
CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,ivf,flv,live_flv,ogg,asf,gif,apng,"
    "mxf,nut,dv,rm,wtv,y4m,yuv4mpegpipe"
)
START = 512  # bytes that tell what a file is


def require_av() -> Any:
    """PyAV; raises a `UserError` where it is not installed."""
    try:
        import av
    except ImportError as error:
        raise UserError("videos need PyAV: pip install 'binorm[style]'") from error
    return av


def open_container(file: BinaryIO) -> Any:
    """PyAV's container for an open file; raises what PyAV raises."""
    return require_av().open(file, options={"format_whitelist": CONTAINERS}, metadata_errors="replace")


def open_video(path: Path, file: BinaryIO) -> tuple[Any, Extent]:
    """The container of a file, and what it says of its end; messages name ``path``.

    Raises:
        UserError: if the file is no video, encrypted, or so much cut that it cannot be opened.
    """
    av = require_av()
    try:
        start = file.read(START)
        extent = extent_of(file)
        file.seek(0)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    if kind := what_it_is(start):
        raise UserError(f"{path} is no video that can be read: it is {kind}")
    if extent.encrypted:
        raise UserError(f"{path} is encrypted, and cannot be drawn without its key: give a copy that is not")
    try:
        return open_container(file), extent
    except (av.FFmpegError, OSError, ValueError) as error:
        why = "expected .mp4, .mov, .mkv, .webm or the like, and the whole file"
        if extent.whole is False:
            what = "damaged" if extent.damaged else "cut off, or its recording was not finished"
            why = f"it is {what} ({extent.reason}); get it again"
        raise UserError(f"{path} is no video that can be read: {why}") from error


def end_of(packet: Any) -> float:
    """The second at which a packet is over; AVI tells of most packets only when they are to be decoded."""
    time = packet.dts if packet.pts is None else packet.pts
    return 0.0 if time is None else float((time + (packet.duration or 0)) * packet.time_base)


def video_streams(container: Any) -> list[Any]:
    """Those to be seen, the one that players choose first; no pictures of a cover."""
    kinds = require_av().stream.Disposition
    streams = [each for each in container.streams.video if not each.disposition & kinds.attached_pic]
    return sorted(streams, key=lambda each: not each.disposition & kinds.default)


def not_whole(path: Path, container: Any, extent: Extent) -> UserError:
    """The error of a video that is cut or damaged: what is there, counted, and how to go on with that."""
    what = "damaged" if extent.damaged else "cut off"
    streams = video_streams(container)
    frames, end, start = 0, 0.0, (container.start_time or 0) / 1e6
    try:
        for packet in container.demux(streams[:1]):
            if packet.size and not packet.is_corrupt:
                frames += 1
                end = max(end, end_of(packet) - start)
    except (require_av().FFmpegError, OSError):  # at the cut
        pass
    if not frames:
        return UserError(f"{path} is {what}, and holds no frame: {extent.reason}; get it again")
    known = int(streams[0].frames or 0)  # by the tables of the container
    of_frames = f" of {known:,}" if known > frames else ""
    of_seconds = f" of {extent.seconds:.1f}" if extent.seconds else ""
    old, new = shlex.quote(path.name), shlex.quote(f"{path.stem}-rest.mkv")
    return UserError(
        f"{path} is {what}: it holds {frames:,}{of_frames} frames ({end:.1f}{of_seconds} seconds), and "
        f"{extent.reason}; get it again, or give what is there, after 'ffmpeg -fflags +discardcorrupt -i {old} "
        f"-map 0 -sn -dn -c copy {new}'"
    )
