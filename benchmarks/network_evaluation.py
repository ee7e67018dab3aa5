"""Evaluation of converted networks beside their batch-norm originals: time of a batch, and their ratio.

Run: python benchmarks/network_evaluation.py [--networks efficientnet-lite0,resnet50] [--batches 1,32] [--rounds 9]
     [--out FILE.json]

Eager, under no_grad, 224x224, contiguous float32. The gates are at 1 ("converted"), distributed as those of the paper's
trained ResNet-110 ("trained", its figure's shares of ten bins), or so in the first norm layer alone ("first layer").
Random weights: time does not depend on them. Rounds alternate between the networks.
"""

import argparse
import copy
import json
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import timm
import torch
from step_time import seconds
from torch import nn

import binorm
from binorm.experiments.common.machine import describe_machine, describe_versions

NETWORKS = {"efficientnet-lite0": "efficientnet_lite0", "resnet50": "resnet50"}
TRAINED_GATES = (0.103, 0.021, 0.014, 0.010, 0.012, 0.013, 0.015, 0.022, 0.062, 0.719)


@dataclass(frozen=True)
class Row:
    """One network with one kind of gates: medians in milliseconds, and the ratios of the rounds."""

    network: str
    batch: int
    gates: str
    batch_norm_ms: float
    ms: float
    ratio: float
    ratios: list[float]


def converted(model: nn.Module, gates: str) -> nn.Module:
    """The same network with gates."""
    model = binorm.convert_batch_norm(copy.deepcopy(model))
    drawn = torch.Generator().manual_seed(0)
    shares = torch.tensor(TRAINED_GATES)
    layers = list(binorm.gate_parameters(model))
    for gate in layers[: {"converted": 0, "first layer": 1, "trained": None}[gates]]:
        bins = torch.multinomial(shares, gate.numel(), replacement=True, generator=drawn)
        gate.data = (bins + torch.rand(gate.numel(), generator=drawn)) / len(shares)
    return model


def make_evaluation(model: nn.Module, x: torch.Tensor) -> Callable[[], None]:
    """One pass, warmed up."""

    def evaluate() -> None:
        with torch.no_grad():
            model(x)

    for _ in range(3):
        evaluate()
    return evaluate


def measure(network: str, batch: int, rounds: int) -> list[Row]:
    """All kinds of gates of one network in turn."""
    torch.manual_seed(0)
    original = timm.create_model(NETWORKS[network]).eval()
    x = torch.randn(batch, 3, 224, 224)
    models = {"batch norm": original}
    models |= {gates: converted(original, gates) for gates in ("converted", "first layer", "trained")}
    passes = {name: make_evaluation(model, x) for name, model in models.items()}
    times = [{name: seconds(evaluate) for name, evaluate in passes.items()} for _ in range(rounds)]
    rows = []
    for name in list(models)[1:]:
        ratios = sorted(each[name] / each["batch norm"] for each in times)
        ms, batch_norm_ms = (1e3 * statistics.median(each[key] for each in times) for key in (name, "batch norm"))
        rows.append(Row(network, batch, name, batch_norm_ms, ms, statistics.median(ratios), ratios))
    return rows


def main() -> None:
    """Measure and print; write the figures to ``--out``, if given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default=",".join(NETWORKS), help="with commas")
    parser.add_argument("--batches", default="1,32", help="with commas")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = []
    print(f"{'network':18} {'batch':>5} {'gates':12} {'bn ms':>8} {'ms':>8}  ratio (range)")
    for network in options.networks.split(","):
        for batch in map(int, options.batches.split(",")):
            for row in measure(network, batch, options.rounds):
                print(
                    f"{row.network:18} {row.batch:5} {row.gates:12} {row.batch_norm_ms:8.1f} {row.ms:8.1f}  "
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
