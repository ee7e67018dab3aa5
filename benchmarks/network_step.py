"""Training steps of whole networks with batch-instance norm beside batch norm: images a second and their ratio.

Run: python benchmarks/network_step.py [--networks resnet20,resnet56|all] [--kinds eager-bfloat16,...] [--rounds 7]
     [--out FILE.json]

Forward, backward and SGD step on one fixed batch of random pictures, channels_last, in float32 or bfloat16 autocast,
eager or compiled. Rounds alternate between the norms; the figures are the medians of speeds and of the rounds' ratios.
"""

import argparse
import json
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from step_time import seconds
from torch.nn import functional as F  # noqa: N812

from binorm import param_groups
from binorm.experiments.common.machine import describe_machine, describe_versions
from binorm.experiments.models import create

KINDS = ("eager-float32", "eager-bfloat16", "compiled-float32", "compiled-bfloat16")
# Pictures a step: 128 as in the recipes where a step then takes about a second on two cores, fewer for larger networks.
BATCHES = {
    "resnet8": 128,
    "resnet20": 128,
    "resnet56": 128,
    "resnet110": 64,
    "resnet83": 64,
    "resnet164": 32,
    "preresnet110": 64,
    "preresnet164": 32,
    "alexnet": 128,
    "vgg19": 64,
    "densenet_bc100_12": 16,
    "resnext29_8x64d": 8,
    "wrn28_10": 8,
    "imagenet_resnet18": 16,
    "imagenet_resnet50": 8,
}


@dataclass(frozen=True)
class Row:
    """One network in one kind: medians, and all ratios of the rounds, BIN's time over BN's."""

    network: str
    kind: str
    batch: int
    images_per_second: dict[str, float]
    ratio: float
    ratios: list[float]


def make_step(network: str, norm: str, batch: int, kind: str) -> Callable[[], None]:
    """One training step, warmed up."""
    torch.manual_seed(0)
    model = create(network, 100, norm).to(memory_format=torch.channels_last)
    if kind.startswith("compiled"):
        model.compile(dynamic=False)
    optimizer = torch.optim.SGD(param_groups(model, 0.01), lr=0.01, momentum=0.9)
    size = 224 if network.startswith("imagenet") else 32
    pictures = torch.randn(batch, 3, size, size).to(memory_format=torch.channels_last)
    labels = torch.randint(100, (batch,))

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, kind.endswith("bfloat16")):
            loss = F.cross_entropy(model(pictures), labels)
        loss.backward()
        optimizer.step()

    for _ in range(2):
        step()
    return step


def measure(network: str, kind: str, rounds: int) -> Row:
    """Both norms of one network in turn."""
    batch = BATCHES.get(network, 128)
    steps = {norm: make_step(network, norm, batch, kind) for norm in ("bn", "bin")}
    times = [{norm: seconds(step) for norm, step in steps.items()} for _ in range(rounds)]
    ratios = sorted(each["bin"] / each["bn"] for each in times)
    speeds = {norm: batch / statistics.median(each[norm] for each in times) for norm in steps}
    return Row(network, kind, batch, speeds, statistics.median(ratios), ratios)


def main() -> None:
    """Measure and print; write the figures to ``--out``, if given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default="resnet20,resnet56", help="with commas, or all")
    parser.add_argument("--kinds", default=",".join(KINDS), help="with commas")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    networks = list(BATCHES) if options.networks == "all" else options.networks.split(",")
    rows = []
    print(f"{'network':18} {'kind':18} {'batch':>5} {'bn img/s':>9} {'bin img/s':>9}  bin / bn (range)")
    for kind in options.kinds.split(","):
        for network in networks:
            torch.compiler.reset()
            row = measure(network, kind, options.rounds)
            speeds = row.images_per_second
            print(
                f"{network:18} {kind:18} {row.batch:5} {speeds['bn']:9,.1f} {speeds['bin']:9,.1f}  "
                f"{row.ratio:.3f} ({row.ratios[0]:.3f} to {row.ratios[-1]:.3f})",
                flush=True,
            )
            rows.append(row)
    if options.out:
        facts = {
            "rounds": options.rounds,
            "rows": [asdict(row) for row in rows],
            "machine": describe_machine(),
            "versions": describe_versions(),
        }
        options.out.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
