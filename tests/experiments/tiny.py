"""A data set and a recipe so small that a run takes a second."""

import io

import torch
from given_data import GivenData
from rich.console import Console

from binorm.experiments.data.dataset import Dataset, ImageSet
from binorm.experiments.recipes.classification import ClassificationRecipe
from binorm.experiments.training.progress import ProgressDisplay
from binorm.experiments.training.run import run
from binorm.experiments.training.tasks.classification import ClassificationTask

RECIPE = ClassificationRecipe(
    name="tiny",
    title="Tiny",
    dataset="none",
    model="resnet8",
    epochs=3,
    batch_size=8,
    lr=0.05,
    schedule="cosine",
    crop_padding=1,
    flip=True,
    precision="float32",
    compile="no",
)


def dataset():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (42, 16, 16, 3), dtype=torch.uint8, generator=generator)
    labels = torch.arange(42) % 3
    images[labels == 0, :8] //= 4  # something to learn
    pictures = ImageSet(images, labels)
    mean = std = (0.5, 0.5, 0.5)
    return Dataset("none", "nowhere", ("a", "b", "c"), pictures, {"test": pictures, "dark": pictures}, mean, std)


def train(out, norm="bin", seed=0, recipe=RECIPE, data=None):
    console = Console(file=io.StringIO())
    with ProgressDisplay(console, 1, recipe.epochs * 5) as display:
        task = ClassificationTask(GivenData(data or dataset()))
        return run(task, recipe, norm, seed, out, "binorm test", display)
