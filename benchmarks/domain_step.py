"""Training steps over two domains: what separate passes and DANN cost beside a plain step on the same pictures.

Run: python benchmarks/domain_step.py [--networks dann_digits,resnet20,resnet18] [--norms bn,bin] [--rounds 7]
     [--out FILE.json]

Forward, backward and SGD step on fixed random pictures of two domains, 32 each (64 for the digit network), in float32
and channels_last. The plain step classifies the joined batch of both domains, all of it labelled. Rounds alternate
between the kinds of step; the figures are the medians of the rounds' ratios to the plain step.
"""

import argparse
import json
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from step_time import seconds

from binorm.experiments.common.machine import describe_machine, describe_versions
from binorm.experiments.data.batches.domain_batches import DomainBatch, DomainBatches
from binorm.experiments.data.dataset import Dataset, ImageSet, UnlabelledSet
from binorm.experiments.models import create
from binorm.experiments.recipes.domains import DomainRecipe
from binorm.experiments.training.tasks.domains import DomainClassification

# Name, size of the pictures and pictures of each domain.
NETWORKS = {
    "dann_digits": ("dann_digits", 28, 64),
    "resnet20": ("resnet20", 32, 32),
    "resnet18": ("torchvision:resnet18", 64, 32),
    "efficientnet": ("timm:tf_efficientnet_lite0", 96, 32),
}
# Method and batch statistics of each kind of step; the first is what the others are compared with.
KINDS = {
    "plain, joint": ("erm", "joint"),
    "plain, separate passes": ("erm", "separate"),
    "plain, per-domain statistics": ("erm", "per-domain"),
    "DANN, joint": ("dann", "joint"),
    "DANN, per-domain statistics": ("dann", "per-domain"),
}
CLASSES = 10


@dataclass(frozen=True)
class Row:
    """One network with one norm: the median ratio of each kind of step to the plain one, and those of all rounds."""

    network: str
    norm: str
    pictures: int
    images_per_second: float
    ratio: dict[str, float]
    ratios: dict[str, list[float]]


def make_step(network: str, norm: str, kind: str) -> Callable[[], None]:
    """One training step, warmed up."""
    model, size, count = NETWORKS[network]
    method, statistics_kind = KINDS[kind]
    recipe = DomainRecipe(
        name="step",
        title="Step",
        dataset="none",
        model=model,
        task="adaptation" if method == "dann" else "mixed",
        method=method,
        epochs=1,
        steps=1,
        batch_size=count,
        statistics=statistics_kind,
    )
    torch.manual_seed(0)
    images = torch.randint(0, 256, (count, size, size, 3), dtype=torch.uint8)
    labels = torch.randint(CLASSES, (count,))
    classes = tuple(map(str, range(CLASSES)))
    source, target = ImageSet(images, labels), UnlabelledSet("target", images)
    whole = Dataset("none", "random", classes, source, {}, (0.5,) * 3, (0.5,) * 3, domains=("source",))
    whole = replace(whole, train_domains=torch.zeros(count, dtype=torch.int64), target=target)
    net = create(model, CLASSES, norm).to(memory_format=torch.channels_last)
    task = DomainClassification(net, recipe, CLASSES, (), DomainBatches(whole, recipe, 0, torch.device("cpu")), 0)
    optimizer = torch.optim.SGD(task.parameter_groups(), lr=1e-3, momentum=0.9)
    pictures = [torch.randn(count, 3, size, size).to(memory_format=torch.channels_last) for _ in range(2)]
    second = None if method == "dann" else labels
    batch = [DomainBatch("source", pictures[0], labels), DomainBatch("target", pictures[1], second)]

    def step() -> None:
        optimizer.zero_grad()
        loss = task.method.loss(task.outputs(batch), 0.5, 1.0)
        loss.backward()
        optimizer.step()

    for _ in range(2):
        step()
    return step


def measure(network: str, norm: str, rounds: int) -> Row:
    """All kinds of step in turn."""
    steps = {kind: make_step(network, norm, kind) for kind in KINDS}
    plain = next(iter(KINDS))
    times = [{kind: seconds(step) for kind, step in steps.items()} for _ in range(rounds)]
    ratios = {kind: sorted(each[kind] / each[plain] for each in times) for kind in KINDS}
    pictures = 2 * NETWORKS[network][2]
    speed = pictures / statistics.median(each[plain] for each in times)
    return Row(network, norm, pictures, speed, {kind: statistics.median(all_) for kind, all_ in ratios.items()}, ratios)


def main() -> None:
    """Measure and print; write the figures to ``--out``, if given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--networks", default="dann_digits,resnet20,resnet18", help=f"with commas: {', '.join(NETWORKS)}"
    )
    parser.add_argument("--norms", default="bn,bin", help="with commas")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = []
    for network in options.networks.split(","):
        for norm in options.norms.split(","):
            row = measure(network, norm, options.rounds)
            print(f"{network}, {norm}: {row.images_per_second:,.0f} images/s in a plain step", flush=True)
            for kind, ratio in row.ratio.items():
                low, high = row.ratios[kind][0], row.ratios[kind][-1]
                print(f"  {kind:30} {ratio:.3f} ({low:.3f} to {high:.3f})", flush=True)
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
