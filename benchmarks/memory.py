"""Peak memory of a training step of ResNet-50 with batch-instance norm, beside batch norm.

Run: python benchmarks/memory.py [--batch 8] [--rounds 3] [--out FILE.json]

Each step runs in a process of its own, eagerly, on the CPU: forward, backward and SGD step on pictures of 224x224. The
peak is the resident memory that the system counts, less that before the first step.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
from pathlib import Path

import torch
from torch import nn
from torchvision.models import resnet50

import binorm
from binorm.experiments.common.machine import describe_machine, describe_versions

NORMS = {"bn": nn.BatchNorm2d, "bin": binorm.BatchInstanceNorm2d}


def peak_mebibytes(norm: str, batch: int) -> float:
    """Of two steps, in this process."""
    torch.manual_seed(0)
    network = resnet50(norm_layer=NORMS[norm]).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    pictures = torch.randn(batch, 3, 224, 224).to(memory_format=torch.channels_last)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(2):
        optimizer.zero_grad()
        network(pictures).square().mean().backward()
        optimizer.step()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def main() -> None:
    """Measure and print; write the figures to ``--out``, if given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--norm", choices=NORMS, help="measure this one in this process")
    options = parser.parse_args()
    if options.norm:
        print(peak_mebibytes(options.norm, options.batch))
        return
    peaks: dict[str, list[float]] = {norm: [] for norm in NORMS}
    for _ in range(options.rounds):
        for norm in NORMS:
            command = [sys.executable, __file__, "--norm", norm, "--batch", str(options.batch)]
            peaks[norm].append(float(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    medians = {norm: statistics.median(values) for norm, values in peaks.items()}
    ratio = medians["bin"] / medians["bn"]
    print(f"peak of a ResNet-50 training step, MiB: {medians}, bin / bn {ratio:.3f}")
    if options.out:
        facts = {
            "batch": options.batch,
            "peak_mebibytes": peaks,
            "ratio_of_medians": ratio,
            "machine": describe_machine(),
            "versions": describe_versions(),
        }
        options.out.write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
