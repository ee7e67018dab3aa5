"""The same second of film in each container, as other programs write it."""

from fractions import Fraction

import av
import numpy as np
from video_files import RATE, write_sine

LENGTH = 25
# name: suffix, FFmpeg's format, its options, codec of the picture, codec of the sound
CONTAINERS = {
    "mp4": (".mp4", "mp4", {}, "libx264", "aac"),
    "mp4 faststart": (".mp4", "mp4", {"movflags": "faststart"}, "libx264", "aac"),
    "mp4 without sound": (".mp4", "mp4", {}, "libx264", ""),
    "fragmented": (".mp4", "mp4", {"movflags": "frag_keyframe+empty_moov"}, "libx264", "aac"),
    "fragments of a stream": (".mp4", "mp4", {"movflags": "frag_keyframe+empty_moov+skip_trailer"}, "libx264", "aac"),
    "dash": (".mp4", "mp4", {"movflags": "frag_keyframe+global_sidx+dash+skip_trailer"}, "libx264", "aac"),
    "mov": (".mov", "mov", {}, "libx264", "aac"),
    "mov with pcm": (".mov", "mov", {"movflags": "faststart"}, "libx264", "pcm_s16le"),
    "3gp": (".3gp", "3gp", {"movflags": "faststart"}, "mpeg4", "aac"),
    "mkv": (".mkv", "matroska", {}, "libx264", "aac"),
    "mkv short clusters": (".mkv", "matroska", {"cluster_time_limit": "200"}, "libx264", "aac"),
    "mkv index first": (".mkv", "matroska", {"cues_to_front": "1"}, "libx264", "aac"),
    "mkv live": (".mkv", "matroska", {"live": "1"}, "libx264", "aac"),
    "webm": (".webm", "webm", {}, "libvpx", "libopus"),
    "avi": (".avi", "avi", {}, "mpeg4", "libmp3lame"),
    "ts": (".ts", "mpegts", {}, "libx264", "aac"),
    "m2ts": (".m2ts", "mpegts", {"mpegts_m2ts_mode": "1"}, "libx264", "ac3"),
    "mpg": (".mpg", "mpeg", {}, "mpeg1video", "mp2"),
    "vob": (".vob", "vob", {}, "mpeg2video", "ac3"),
    "flv": (".flv", "flv", {}, "libx264", "aac"),
    "flv live": (".flv", "flv", {"flvflags": "no_duration_filesize"}, "flv", "libmp3lame"),
    "wmv": (".wmv", "asf", {}, "wmv2", "libmp3lame"),
    "ogv": (".ogv", "ogg", {}, "libvpx", "libopus"),
    "gif": (".gif", "gif", {}, "gif", ""),
}
PIXELS = {"gif": "rgb8"}


def write_container(path, name, length=LENGTH, sound_seconds=None, gop=5):
    """A noisy film of 64x48 pixels, 25 frames a second, with a key frame every ``gop`` frames."""
    _, form, options, codec, audio = CONTAINERS[name]
    noise = np.random.default_rng(0)
    with av.open(str(path), "w", format=form, options=options) as container:
        video = container.add_stream(codec, rate=RATE, options={"g": str(gop)})
        video.width, video.height, video.pix_fmt = 64, 48, PIXELS.get(codec, "yuv420p")
        sound = container.add_stream(audio, rate=48000, layout="mono") if audio else None
        packets = []
        for number in range(length):
            blocks = noise.integers(0, 255, (6, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
            frame = av.VideoFrame.from_ndarray(blocks).reformat(format=video.pix_fmt)
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            packets += video.encode(frame)
        if sound:
            write_sine(_Waiting(packets), sound, sound_seconds or length / RATE)
        container.start_encoding()
        for packet in sorted([*packets, *video.encode(None)], key=lambda each: each.dts * each.time_base):
            container.mux(packet)
    return path


class _Waiting:
    """Takes packets that are to be put in order."""

    def __init__(self, packets):
        self._packets = packets

    def mux(self, packets):
        self._packets += packets
