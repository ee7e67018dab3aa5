"""Peak memory and seconds of stylizing large pictures, each in a process of its own.

Run: python benchmarks/stylize_memory.py [--sizes 8660x5774,30000x1600,1600x30000] [--out FILE.json]

The pictures are generated, and the network has random weights in the shape of a style (width 16, 5 blocks, BIN). The
peak is the resident memory of the whole process, Python and PyTorch included, as the system counts it.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy
import torch
from torch import nn

from binorm.experiments.common.machine import describe_machine, describe_versions
from binorm.experiments.style.drawing.stylizer import Stylizer
from binorm.experiments.style.network import ConvNorm, StyleNetwork

SIZES = "8660x5774,30000x1600,1600x30000,2309x1732"  # width x height; the last is drawn whole


def made_up_picture(width: int, height: int) -> numpy.ndarray:
    """Slow waves and noise, uint8 (height, width, 3), made row by row."""
    random = numpy.random.default_rng(0)
    picture = numpy.empty((height, width, 3), numpy.uint8)
    across = numpy.sin(numpy.arange(width)[:, None] / [90, 140, 230])
    for y in range(height):
        noise = random.integers(0, 40, (width, 3))
        picture[y] = 100 + 60 * across * numpy.cos(y / 170) + noise
    return picture


def random_style() -> StyleNetwork:
    """A network whose gates and running statistics differ from channel to channel."""
    torch.manual_seed(0)
    network = StyleNetwork()
    for layer in network.modules():
        if isinstance(layer, ConvNorm):
            nn.init.uniform_(layer.norm.gate)
            nn.init.uniform_(layer.norm.running_var, 0.5, 2.0)
    return network


def measure(width: int, height: int) -> dict[str, float]:
    """Of one picture, in this process."""
    picture, stylizer = made_up_picture(width, height), Stylizer(random_style())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    stylizer(picture)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "seconds": round(seconds, 1),
        "peak_mebibytes": round(peak / 1024),
        "before_mebibytes": round(before / 1024),
    }


def main() -> None:
    """Measure and print; write the figures to ``--out``, if given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default=SIZES, help="WIDTHxHEIGHT, several with commas")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", help="measure this size in this process")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(*map(int, options.one.split("x")))))
        return
    figures = {}
    for size in options.sizes.split(","):
        command = [sys.executable, __file__, "--one", size]
        figures[size] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        print(f"{size}: {figures[size]}", flush=True)
    if options.out:
        facts = {
            "sizes": figures,
            "threads": torch.get_num_threads(),
            "machine": describe_machine(),
            "versions": describe_versions(),
        }
        options.out.write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
