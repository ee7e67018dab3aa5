"""What training through `binorm train` costs beyond the bare loop: input, augmentation, trainer, metrics and logging.

Run: python benchmarks/training.py --data cifar10.zip [--norm bin] [--rounds 5] [--pictures 12800] [--out FILE.json]

ResNet-20 on CIFAR-10, batch 128. Each round times, one after the other in one process, (a) forward, backward and step
on one fixed batch and (b) an epoch of `run()`, which is what `binorm train` calls, at the same precision, compiled
alike, for the same number of steps. The figure is b / a; the rounds alternate, so that a neighbour's load meets both.
"""

import argparse
import dataclasses
import json
import statistics
import tempfile
import time
from pathlib import Path

import torch
from rich.console import Console
from torch.nn import functional

from binorm import param_groups
from binorm.experiments import data
from binorm.experiments.common.machine import describe_machine, describe_versions
from binorm.experiments.common.run_files import METRICS_FILE
from binorm.experiments.data.dataset import Dataset, ImageSet
from binorm.experiments.models import create
from binorm.experiments.recipes import load_recipe
from binorm.experiments.recipes.classification import ClassifierRecipe
from binorm.experiments.training.progress import ProgressDisplay
from binorm.experiments.training.protocols import Loader
from binorm.experiments.training.run import run
from binorm.experiments.training.settings import Settings, choose_settings
from binorm.experiments.training.tasks.classification import ClassificationTask

WARM_UP_STEPS = 5


class BareLoop:
    """Forward, backward and step on one batch, with nothing around."""

    def __init__(self, recipe: ClassifierRecipe, norm: str, settings: Settings) -> None:
        self.settings = settings
        self.network = create(recipe.model, 10, norm).to(settings.device).to(memory_format=torch.channels_last)
        if settings.compiled:
            self.network.compile(dynamic=False)
        groups = param_groups(self.network, recipe.lr, recipe.gate_lr_scale, recipe.weight_decay)
        self.optimizer = torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum)
        pictures = torch.randn(recipe.batch_size, 3, 32, 32, device=settings.device)
        self.pictures = pictures.to(memory_format=torch.channels_last)
        self.labels = torch.randint(10, (recipe.batch_size,), device=settings.device)

    def seconds(self, steps: int) -> float:
        """Time so many steps after a few that are not counted."""
        for _ in range(WARM_UP_STEPS):
            self._step()
        self._wait()
        start = time.perf_counter()
        for _ in range(steps):
            self._step()
        self._wait()
        return time.perf_counter() - start

    def _step(self) -> None:
        self.optimizer.zero_grad()
        with torch.autocast(self.settings.device, torch.bfloat16, self.settings.precision == "bfloat16"):
            loss = functional.cross_entropy(self.network(self.pictures), self.labels)
        loss.backward()
        self.optimizer.step()

    def _wait(self) -> None:
        if self.settings.device == "cuda":
            torch.cuda.synchronize()


class Given(Loader):
    """A loader of one data set that is there already."""

    def __init__(self, dataset: Dataset) -> None:
        super().__init__(None)
        self.given = dataset

    def dataset(self, recipe: ClassifierRecipe) -> Dataset:
        """The one."""
        return self.given


def trained_epoch(recipe: ClassifierRecipe, norm: str, dataset: Dataset) -> float:
    """Seconds of the second epoch of a run; the first one compiles."""
    steps = recipe.epochs * (len(dataset.train) // recipe.batch_size)
    with tempfile.TemporaryDirectory() as out, ProgressDisplay(Console(quiet=True), 1, steps) as display:
        folder = run(ClassificationTask(Given(dataset)), recipe, norm, 0, Path(out), "benchmarks/training.py", display)
        header, *rows = (line.split(",") for line in (folder / METRICS_FILE).read_text().splitlines())
        return float(rows[-1][header.index("seconds")])


def main() -> None:
    """Measure and print; write the figures to ``--out``, if given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--norm", default="bin")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pictures", type=int, default=12_800)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()

    recipe = dataclasses.replace(load_recipe("cifar10-resnet20", {"epochs": 2}), compile="yes")
    whole = data.load("cifar10", options.data)
    part = ImageSet(whole.train.images[: options.pictures], whole.train.labels[: options.pictures])
    test = ImageSet(whole.train.images[:500], whole.train.labels[:500])
    dataset = dataclasses.replace(whole, train=part, evaluation={"test": test})
    settings = choose_settings(recipe, len(part))
    steps = len(part) // recipe.batch_size

    rounds = []
    for number in range(1, options.rounds + 1):
        bare = BareLoop(recipe, options.norm, settings).seconds(steps)
        trained = trained_epoch(recipe, options.norm, dataset)
        rounds.append({"bare_seconds": bare, "trained_seconds": trained, "ratio": trained / bare})
        speeds = " and ".join(f"{steps * recipe.batch_size / each:,.0f}" for each in (bare, trained))
        print(f"round {number}: {speeds} images/s bare and trained, ratio {trained / bare:.3f}", flush=True)
    ratios = sorted(each["ratio"] for each in rounds)
    spread = f"median {statistics.median(ratios):.3f}, {ratios[0]:.3f} to {ratios[-1]:.3f}"
    print(f"{options.norm}, {settings}: trained / bare {spread}")
    if options.out:
        facts = {
            "norm": options.norm,
            "steps": steps,
            "median_ratio": statistics.median(ratios),
            "rounds": rounds,
            "settings": dataclasses.asdict(settings),
            "machine": describe_machine(),
            "versions": describe_versions(),
        }
        options.out.write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
