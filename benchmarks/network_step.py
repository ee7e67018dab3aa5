"""A training step of a whole network with batch-instance norm beside batch norm, eager and compiled.

Run: python benchmarks/network_step.py [--network resnet20] [--batch 128] [--rounds 7] [--out FILE.json]

Forward, backward and SGD step on one fixed batch of 32x32 pictures, channels_last, in float32 and in bfloat16 autocast.
Rounds alternate between the norms; the figure is the median of the rounds' ratios.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional as F  # noqa: N812

from binorm import param_groups
from binorm.experiments.machine import describe_machine, describe_versions
from binorm.experiments.models import create

STEPS_A_ROUND = 3


def make_step(network: str, norm: str, batch: int, bfloat16: bool, compiled: bool) -> Callable[[], None]:
    """One training step, warmed up."""
    torch.manual_seed(0)
    model = create(network, 10, norm).to(memory_format=torch.channels_last)
    if compiled:
        model.compile(dynamic=False)
    optimizer = torch.optim.SGD(param_groups(model, 0.1), lr=0.1, momentum=0.9)
    pictures = torch.randn(batch, 3, 32, 32).to(memory_format=torch.channels_last)
    labels = torch.randint(10, (batch,))

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, bfloat16):
            loss = F.cross_entropy(model(pictures), labels)
        loss.backward()
        optimizer.step()

    for _ in range(3):
        step()
    return step


def seconds(step: Callable[[], None]) -> float:
    """Of one step, the mean of a few."""
    start = time.perf_counter()
    for _ in range(STEPS_A_ROUND):
        step()
    return (time.perf_counter() - start) / STEPS_A_ROUND


def main() -> None:
    """Measure and print; write the figures to ``--out``, if given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="resnet20")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = []
    for compiled in (False, True):
        for bfloat16 in (False, True):
            steps = {
                norm: make_step(options.network, norm, options.batch, bfloat16, compiled) for norm in ("bn", "bin")
            }
            times = [{norm: seconds(step) for norm, step in steps.items()} for _ in range(options.rounds)]
            ratios = sorted(each["bin"] / each["bn"] for each in times)
            kind = f"{'compiled' if compiled else 'eager'} {'bfloat16' if bfloat16 else 'float32'}"
            speeds = {norm: options.batch / statistics.median(each[norm] for each in times) for norm in steps}
            print(
                f"{kind}: bin / bn {statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f}), "
                f"images/s bn {speeds['bn']:,.0f}, bin {speeds['bin']:,.0f}",
                flush=True,
            )
            rows.append({"kind": kind, "images_per_second": speeds, "ratios": ratios})
    if options.out:
        facts = {
            "network": options.network,
            "batch": options.batch,
            "rows": rows,
            "machine": describe_machine(),
            "versions": describe_versions(),
        }
        options.out.write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
