"""A set of three domains so small that a run takes a second."""

import dataclasses
import io

import torch
from given_data import GivenData
from rich.console import Console

from binorm.experiments.data.dataset import ImageSet
from binorm.experiments.data.domains import Domain, DomainSet
from binorm.experiments.recipes.domains import DomainRecipe
from binorm.experiments.training.progress import ProgressDisplay
from binorm.experiments.training.protocols import PROTOCOLS
from binorm.experiments.training.run import run
from binorm.experiments.training.tasks.domains import DomainTask

RECIPE = DomainRecipe(
    name="tiny",
    title="Tiny",
    dataset="none",
    model="resnet8",
    task="adaptation",
    method="dann",
    source="day",
    target="night",
    epochs=2,
    steps=3,
    batch_size=4,
    lr=0.05,
    schedule="annealing",
    crop_padding=1,
    flip=True,
    precision="float32",
    compile="no",
)


def domain(seed, count=14, brightness=1.0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 16, 16, 3), dtype=torch.uint8, generator=generator)
    labels = torch.arange(count) % 2
    images[labels == 0, :8] //= 4  # something to learn
    images = (images * brightness).byte()
    return Domain(ImageSet(images[4:], labels[4:]), ImageSet(images[:4], labels[:4]))


def domain_set(published_split=False):
    domains = {"day": domain(0), "night": domain(1, 12, 0.2), "dusk": domain(2, 10, 0.6)}
    return DomainSet("none", "nowhere", ("a", "b"), domains, (0.5,) * 3, (0.5,) * 3, published_split)


def recipe(**fields):
    return dataclasses.replace(RECIPE, **fields)


def dataset(recipe, domains=None):
    return PROTOCOLS[recipe.task](domains or domain_set(), recipe)


def train(out, recipe=RECIPE, norm="bin", seed=0, data=None):
    with ProgressDisplay(Console(file=io.StringIO()), 1, recipe.epochs * 3) as display:
        task = DomainTask(GivenData(data or dataset(recipe)))
        return run(task, recipe, norm, seed, out, "binorm test", display)
