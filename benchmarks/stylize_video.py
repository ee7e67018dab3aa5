"""A stylized video: how much less it flickers with consistency, and how decoding, network and encoding overlap.

Run: python benchmarks/stylize_video.py [--style starry-night] [--frames 45] [--rounds 3] [--out FILE.json]

The video is made here from scikit-learn's photographs: a third of it stands still, a third pans by one pixel a frame,
a third is another shot, all with sensor noise of 3 levels and a disc that moves 12 pixels a frame. Flicker is the mean
absolute change of the output over pixels whose input hardly changes, in levels of 255; blending is how far the output
is from the frame's own stylized form where the input changes by more than 48 levels, which is where ghosts would be.

Speed is frames a second of the whole, from file to file, beside the same frames decoded, drawn, blended and encoded one
after the other; each a median over rounds, which alternate. The network runs in the threads that OMP_NUM_THREADS
allows; a second row stands a wait of 50 ms a frame in its place, as for a device, beside which the rest can hide.
"""

import argparse
import importlib.metadata
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from binorm.experiments.common.files import replacing
from binorm.experiments.common.machine import describe_machine, describe_versions
from binorm.experiments.style.drawing.stylizer import Stylizer
from binorm.experiments.style.style_file import load_style
from binorm.experiments.style.video.consistency import Flicker, Pixels, Steadying
from binorm.experiments.style.video.reader import Step, VideoReader
from binorm.experiments.style.video.stylize import stylize_video
from binorm.experiments.style.video.writer import VideoWriter

Stylize = Callable[[Pixels, float], Pixels]

RATE = 25
NOISE = 3.0  # levels, the standard deviation
STEP = 12  # pixels a frame that the disc moves
CONSISTENCIES = (0.0, 0.3, 0.5, 0.8, 0.9)
CHANGED = 48  # levels
WAIT = 0.05  # seconds a frame
SPEED_FRAMES = 5


def write_source(path: Path, frames: int, width: int, height: int) -> None:
    """The video described above, H.264 of high quality."""
    shots = [
        np.asarray(Image.fromarray(load_sample_image(name)).resize((width + frames, height), Image.Resampling.BICUBIC))
        for name in ("china.jpg", "flower.jpg")
    ]
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:height, :width]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "12"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            shot = shots[3 * number // frames == 2]
            left = max(0, number - frames // 3) if shot is shots[0] else 0
            picture = shot[:, left : left + width].astype(np.float32)
            disc = np.hypot(rows - height / 2, columns - STEP * number % width) < height / 12
            picture[disc] = (230, 60, 40)
            noisy = picture + generator.normal(0, NOISE, picture.shape)
            frame = av.VideoFrame.from_ndarray(np.clip(noisy, 0, 255).astype(np.uint8))
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def decoded_steps(source: Path) -> list[Step]:
    """All frames of a video, in memory."""
    with VideoReader(source) as reader:
        return [reader.to_rgb(each) for each in reader.decoded()]


def encode(source: Path, target: Path, steps: list[Step]) -> None:
    """Write frames as they are."""
    with VideoReader(source) as reader, replacing(target) as file:
        reader.to_rgb(next(reader.decoded()))
        assert reader.form is not None
        writer = VideoWriter(file, target, reader, reader.form)
        for step in steps:
            if step.frame is not None:
                writer.write(step.frame)
        writer.finish()


def blend(frames: list[Pixels], consistency: float) -> None:
    """What consistency and the measure of flicker cost, with the frames for their stylized forms."""
    steadying, flicker = Steadying(consistency), Flicker()
    for pixels in frames:
        flicker.add(pixels, steadying(pixels, pixels))


def measure_flicker(source: Path, target: Path, stylizer: Stylizer) -> list[dict[str, float]]:
    """One row a consistency; the network draws each frame once."""
    frames = [step.frame.pixels for step in decoded_steps(source) if step.frame is not None]
    drawn = [stylizer(pixels, 1.0) for pixels in frames]
    rows = []
    for consistency in CONSISTENCIES:
        coming = iter(drawn)
        facts = stylize_video(source, target, lambda _, __, coming=coming: next(coming), consistency=consistency)
        shown = [step.frame.pixels for step in decoded_steps(target) if step.frame is not None]
        rows.append(
            {
                "consistency": consistency,
                "flicker": facts.flicker,
                "flicker_after_encoding": _still_change(frames, shown),
                "blending_where_changed": _blending(frames, drawn, shown),
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    return rows


def _still_change(frames: list[Pixels], shown: list[Pixels]) -> float:
    flicker = Flicker()
    for before, after in zip(frames, shown, strict=True):
        flicker.add(before, after)
    return flicker.levels


def _blending(frames: list[Pixels], drawn: list[Pixels], shown: list[Pixels]) -> float:
    """Over the pixels that changed since the last frame: |shown - drawn|; with consistency 0 it is the encoder's."""
    distances = []
    for old, new, own, seen in zip(frames, frames[1:], drawn[1:], shown[1:], strict=False):
        changed = np.abs(new.astype(int) - old).mean(-1) > CHANGED
        distances.append(np.abs(own.astype(int) - seen).mean(-1)[changed])
    return float(np.concatenate(distances).mean())


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def waiting(pixels: Pixels, strength: float) -> Pixels:
    """Stands for a network on a device."""
    time.sleep(WAIT)
    return pixels


def measure_speed(source: Path, target: Path, stylizer: Stylize, consistency: float, rounds: int) -> dict[str, Any]:
    """Seconds of each part by itself and of the whole, and their ratio."""
    steps = decoded_steps(source)
    frames = [step.frame.pixels for step in steps if step.frame is not None]
    works: dict[str, Callable[[], object]] = {
        "decode": lambda: decoded_steps(source),
        "network": lambda: [stylizer(pixels, 1.0) for pixels in frames],
        "blend": lambda: blend(frames, consistency),
        "encode": lambda: encode(source, target, steps),
        "whole": lambda: stylize_video(source, target, stylizer, consistency=consistency),
    }
    stylizer(frames[0], 1.0)
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            taken[name].append(seconds(work))
    parts = [sum(taken[name][number] for name in ("decode", "network", "blend", "encode")) for number in range(rounds)]
    medians = {name: statistics.median(each) for name, each in taken.items()}
    row = {
        "size": [frames[0].shape[1], frames[0].shape[0]],
        "frames": len(frames),
        "consistency": consistency,
        "seconds": taken,
        "frames_per_second": len(frames) / medians["whole"],
        "frames_per_second_of_the_network_alone": len(frames) / medians["network"],
        "whole_over_sum_of_parts": statistics.median(a / b for a, b in zip(taken["whole"], parts, strict=True)),
    }
    print(json.dumps(row), flush=True)
    return row


def main() -> None:
    """Measure and print; write the figures to ``--out``, if given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--style", default="starry-night", help="a style's name or file")
    parser.add_argument("--frames", type=int, default=45)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    network, card = load_style(options.style)
    stylizer = Stylizer(network)
    with tempfile.TemporaryDirectory() as temporary:
        source, target = Path(temporary) / "source.mp4", Path(temporary) / "target.mp4"
        write_source(source, options.frames, 640, 360)
        flicker = measure_flicker(source, target, stylizer)
        speed = []
        for name, stylize, frames in (("style", stylizer, SPEED_FRAMES), ("wait", waiting, 10 * SPEED_FRAMES)):
            write_source(source, frames, 1280, 720)
            row = measure_speed(source, target, stylize, 0.5, options.rounds)
            speed.append({"network": name, **row})
    if options.out:
        facts = {
            "command": " ".join(["python", *sys.argv]),
            "style": {"title": card.title, "norm": card.norm, "width": card.width, "blocks": card.blocks},
            "noise": NOISE,
            "wait": WAIT,
            "flicker_at_640x360": flicker,
            "speed": speed,
            "threads": torch.get_num_threads(),
            "load_average_at_the_end": os.getloadavg()[0],  # of other work on this machine as well
            "machine": describe_machine(),
            "versions": describe_versions() | {"av": importlib.metadata.version("av")},
        }
        options.out.write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
