"""Tiny videos to test with, and what is in a video file."""

from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np

TIME_BASE = Fraction(1, 12800)
RATE = 25


def moving_picture(number, width=64, height=48):
    """A red quarter, and a green block that moves two pixels a frame, on grey."""
    pixels = np.full((height, width, 3), 60, np.uint8)
    pixels[: height // 2, : width // 2] = (250, 30, 30)
    pixels[8:16, 2 * number : 2 * number + 8] = (30, 220, 30)
    return pixels


def write_video(path, pictures, times=None, codec="libx264", audio="aac", rotation=None, colours=None, subtitle=None):
    """Encode pictures at 25 a second or at ``times`` (in `TIME_BASE`), with a sine of the same length."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=RATE)
        video.height, video.width = pictures[0].shape[:2]
        video.pix_fmt = "yuv420p"
        video.time_base = video.codec_context.time_base = TIME_BASE
        if rotation is not None:
            video.set_display_rotation(rotation)
        if colours is not None:
            video.codec_context.colorspace, video.codec_context.color_range = colours
        sound = container.add_stream(audio, rate=48000, layout="mono") if audio else None
        text = container.add_mux_stream("subrip", time_base=Fraction(1, 1000)) if subtitle else None
        for number, pixels in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(pixels)
            frame.pts = times[number] if times else round(number / RATE / TIME_BASE)
            frame.time_base = TIME_BASE
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if sound:
            write_sine(container, sound, len(pictures) / RATE)
        if text:
            packet = av.Packet(subtitle)
            packet.stream, packet.time_base = text, Fraction(1, 1000)
            packet.pts = packet.dts = 100
            packet.duration = 300
            container.mux(packet)


def write_sine(container, sound, seconds):
    samples = np.sin(np.arange(round(sound.rate * seconds)) / 20).astype(np.float32)[None] / 2
    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
    frame.sample_rate, frame.pts = sound.rate, 0
    resampler = av.AudioResampler(sound.format.name, "mono", sound.rate, sound.codec_context.frame_size or 1024)
    for each in (*resampler.resample(frame), *resampler.resample(None), None):
        container.mux(sound.encode(each))


@dataclass
class Content:
    """What a video file holds: seconds of the frames, frames as RGB, other packets as (seconds, bytes)."""

    times: list
    frames: list
    packets: list
    codec: str
    colours: tuple
    seconds: float

    @property
    def size(self):
        return self.frames[0].shape[1::-1]


def read_video(path):
    with av.open(str(path)) as container:
        video, times, frames, packets = container.streams.video[0], [], [], []
        for packet in container.demux():
            if packet.stream is video:
                for frame in packet.decode():
                    times.append(float(frame.pts * frame.time_base))
                    frames.append(frame.to_ndarray(format="rgb24"))
            elif packet.dts is not None:
                packets.append((float(packet.pts * packet.time_base), bytes(packet)))
        context = video.codec_context
        colours = (context.colorspace, context.color_range)
        return Content(times, frames, packets, context.name, colours, container.duration / 1e6)
