"""Time and memory of stylizing one picture, beside the network of PyTorch's example ``fast_neural_style``.

Run: python benchmarks/stylize.py [--style starry-night] [--sizes 256x256,512x512,1920x1080,3840x2160] [--rounds 5]
     [--out FILE.json]

Both take a uint8 picture in memory and give one; reading and writing files is not counted. The example's network is
rebuilt here at its own width (32 channels, 5 residual blocks, instance norm, float32), with random weights. Each
network and size runs in a process of its own for its peak of resident memory, Python and PyTorch included; the ratios
are medians over rounds that alternate between both in one process.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy
import torch
from torch import Tensor, nn

from binorm.experiments.common.machine import describe_machine, describe_versions
from binorm.experiments.style.drawing.stylizer import Stylizer
from binorm.experiments.style.style_file import load_style

Draw = Callable[[numpy.ndarray], numpy.ndarray]


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, upsample: bool = False) -> nn.Sequential:
    """A convolution with reflected borders, after nearest upsampling if asked for."""
    layers = [nn.ReflectionPad2d(kernel // 2), nn.Conv2d(inputs, outputs, kernel, stride)]
    return nn.Sequential(*([nn.Upsample(scale_factor=2, mode="nearest")] if upsample else []), *layers)


class Residual(nn.Module):
    """Two convolutions of 128 channels with instance norm."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            convolution(128, 128, 3),
            nn.InstanceNorm2d(128, affine=True),
            nn.ReLU(),
            convolution(128, 128, 3),
            nn.InstanceNorm2d(128, affine=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, 128, H, W) -> the same shape."""
        return x + self.layers(x)


def example_network() -> nn.Sequential:
    """The network of PyTorch's example: (N, 3, H, W) in 0 to 255 -> the same."""
    layers: list[nn.Module] = []
    for inputs, outputs, kernel, stride in ((3, 32, 9, 1), (32, 64, 3, 2), (64, 128, 3, 2)):
        layers += [convolution(inputs, outputs, kernel, stride), nn.InstanceNorm2d(outputs, affine=True), nn.ReLU()]
    layers += [Residual() for _ in range(5)]
    for inputs, outputs in ((128, 64), (64, 32)):
        layers += [convolution(inputs, outputs, 3, upsample=True), nn.InstanceNorm2d(outputs, affine=True), nn.ReLU()]
    return nn.Sequential(*layers, convolution(32, 3, 9))


def example() -> Draw:
    """The example's way from picture to picture."""
    torch.manual_seed(0)
    network = example_network().eval()

    def draw(pixels: numpy.ndarray) -> numpy.ndarray:
        with torch.no_grad():
            drawn = network(torch.from_numpy(pixels).permute(2, 0, 1)[None].float())[0]
        result: numpy.ndarray = drawn.clamp(0, 255).permute(1, 2, 0).byte().numpy()
        return result

    return draw


def picture(size: str) -> numpy.ndarray:
    """Random pixels of ``WIDTHxHEIGHT``."""
    width, height = map(int, size.split("x"))
    return numpy.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=numpy.uint8)


def make(which: str, style: str) -> Draw:
    """One of the two."""
    return example() if which == "example" else Stylizer(load_style(style)[0])


def peak_mebibytes(which: str, style: str, size: str) -> float:
    """Of this process, after one picture."""
    make(which, style)(picture(size))
    status = Path("/proc/self/status").read_text()  # ru_maxrss would know that of the process which started this one
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def measure(style: str, size: str, rounds: int) -> dict[str, object]:
    """Seconds, ratio and peak memory at one size."""
    draws, pixels = {which: make(which, style) for which in ("example", "binorm")}, picture(size)
    for draw in draws.values():
        draw(pixels)
    times: dict[str, list[float]] = {which: [] for which in draws}
    for _ in range(rounds):
        for which, draw in draws.items():
            start = time.perf_counter()
            draw(pixels)
            times[which].append(time.perf_counter() - start)
    ratios = sorted(ours / theirs for ours, theirs in zip(times["binorm"], times["example"], strict=True))
    peaks = {}
    for which in draws:
        command = [sys.executable, __file__, "--peak", which, "--style", style, "--sizes", size]
        peaks[which] = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    seconds = {which: statistics.median(values) for which, values in times.items()}
    return {"size": size, "seconds": seconds, "ratio": statistics.median(ratios), "ratios": ratios, "peak_mib": peaks}


def main() -> None:
    """Measure and print; write the figures to ``--out``, if given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--style", default="starry-night", help="a style's name or file")
    parser.add_argument("--sizes", default="256x256,512x512,1920x1080,3840x2160", help="width x height, with commas")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peak", choices=("example", "binorm"), help="print this one's peak memory in this process")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.peak:
        print(peak_mebibytes(options.peak, options.style, options.sizes))
        return
    rows = []
    for size in options.sizes.split(","):
        row = measure(options.style, size, options.rounds)
        print(
            f"{size}: {row['seconds']['binorm']:.3f} s, the example {row['seconds']['example']:.3f} s, ratio "
            f"{row['ratio']:.3f} ({row['ratios'][0]:.3f} to {row['ratios'][-1]:.3f}); peak memory "
            f"{row['peak_mib']['binorm']:,.0f} and {row['peak_mib']['example']:,.0f} MiB",
            flush=True,
        )
        rows.append(row)
    if options.out:
        facts = {
            "style": options.style,
            "rounds": options.rounds,
            "rows": rows,
            "threads": torch.get_num_threads(),
            "machine": describe_machine(),
            "versions": describe_versions(),
        }
        options.out.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
