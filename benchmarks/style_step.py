"""A training step of a style network with each norm, beside the same network with nn.InstanceNorm2d.

Run: python benchmarks/style_step.py [--size 128] [--precision bfloat16] [--rounds 7] [--out FILE.json]

Forward, losses, backward and Adam step on a fixed batch of 4 random pictures, eagerly, in channels_last; the losses are
those of the recipe, over a VGG-19 to conv3_3 with random weights (which cost what trained ones do). Rounds alternate
between the norms; the figures are the medians of the rounds' ratios to instance norm.
"""

import argparse
import json
import statistics
from collections.abc import Callable
from pathlib import Path

import torch
from step_time import seconds
from torch import nn

from binorm import param_groups
from binorm.experiments.common.machine import describe_machine, describe_versions
from binorm.experiments.style.network import STYLE_NORMS, StyleNetwork
from binorm.experiments.style.training.loss_network import LossNetwork
from binorm.experiments.style.training.losses import PerceptualLoss

BATCH = 4
CHANNELS = {"conv1_1": 64, "conv1_2": 64, "pool2": 0, "conv2_1": 128, "conv2_2": 128, "pool3": 0}
CHANNELS |= {"conv3_1": 256, "conv3_2": 256, "conv3_3": 256}


def random_vgg() -> LossNetwork:
    """VGG-19 to conv3_3, untrained."""
    layers: dict[str, nn.Module] = {}
    inputs = 3
    for name, outputs in CHANNELS.items():
        if not outputs:
            layers[name] = nn.MaxPool2d(2)
            continue
        layers[name] = nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True))
        inputs = outputs
    return LossNetwork(layers, caffe=False).to(memory_format=torch.channels_last)


def make_step(norm: str, size: int, precision: str) -> Callable[[], None]:
    """One training step, warmed up."""
    torch.manual_seed(0)
    loss = PerceptualLoss(random_vgg(), torch.rand(1, 3, 256, 256), ["relu2_2"], ["relu1_2", "relu2_2", "relu3_3"])
    network = StyleNetwork(norm=norm).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(param_groups(network, 1e-4))
    pictures = torch.rand(BATCH, 3, size, size).to(memory_format=torch.channels_last)

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, precision == "bfloat16"):
            losses = loss(network(pictures), pictures)
            total = losses.content + losses.total_style() + losses.variation
        total.backward()
        optimizer.step()

    for _ in range(2):
        step()
    return step


def main() -> None:
    """Measure and print; write the figures to ``--out``, if given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=128, help="height and width of the pictures")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    steps = {norm: make_step(norm, options.size, options.precision) for norm in STYLE_NORMS}
    times = [{norm: seconds(step) for norm, step in steps.items()} for _ in range(options.rounds)]
    ratios = {norm: sorted(each[norm] / each["in"] for each in times) for norm in STYLE_NORMS}
    medians = {norm: statistics.median(each[norm] for each in times) for norm in STYLE_NORMS}
    for norm, values in ratios.items():
        low, high = values[0], values[-1]
        print(f"{norm:6} {medians[norm]:.3f} s a step, {statistics.median(values):.3f} ({low:.3f} to {high:.3f}) of in")
    if options.out:
        facts = {
            "batch": BATCH,
            "size": options.size,
            "precision": options.precision,
            "rounds": options.rounds,
            "seconds": medians,
            "ratio_to_in": {norm: statistics.median(values) for norm, values in ratios.items()},
            "ratios": ratios,
            "threads": torch.get_num_threads(),
            "machine": describe_machine(),
            "versions": describe_versions(),
        }
        options.out.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
