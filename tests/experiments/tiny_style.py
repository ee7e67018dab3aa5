"""Photographs, a style picture, a loss network and a recipe so small that a training takes a second."""

import io

import numpy
from PIL import Image
from rich.console import Console

from binorm.experiments.recipes.stylization import StylizationRecipe
from binorm.experiments.runs.folder import run_folder
from binorm.experiments.training.compare import train_all


def write_photographs(folder, count=6, size=(50, 40)):
    folder.mkdir(parents=True, exist_ok=True)
    random = numpy.random.default_rng(0)
    for index in range(count):
        coarse = random.integers(0, 256, (5, 6, 3), dtype=numpy.uint8)
        Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(folder / f"photo{index}.jpg", quality=90)
    return folder


def write_loss_network(path):
    """The first three convolutions of a VGG, narrow and random."""
    random = numpy.random.default_rng(1)
    arrays = {}
    for name, (outputs, inputs) in {"conv1_1": (6, 3), "conv1_2": (6, 6), "conv2_1": (8, 6)}.items():
        scale = (2 / (9 * inputs)) ** 0.5 / (60 if name == "conv1_1" else 1)
        arrays[f"{name}.weight"] = (scale * random.standard_normal((outputs, inputs, 3, 3))).astype(numpy.float32)
        arrays[f"{name}.bias"] = (0.1 * random.standard_normal(outputs)).astype(numpy.float32)
    numpy.savez(path, **arrays)
    return path


def write_style_picture(path):
    pixels = numpy.indices((48, 64)).sum(0)[:, :, None] * numpy.array([9, 5, 3]) % 256
    Image.fromarray(pixels.astype(numpy.uint8)).save(path)
    return path


def recipe(folder, **changes):
    """A recipe over files that it writes into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    fields = {
        "name": "style",
        "title": "Tiny",
        "steps": 6,
        "period": 2,
        "style": str(write_style_picture(folder / "stripes.png")),
        "style_size": 32,
        "width": 4,
        "blocks": 1,
        "loss_network": str(write_loss_network(folder / "vgg.npz")),
        "content_layers": ["relu1_2"],
        "style_layers": ["relu1_1", "relu2_1"],
        "batch_size": 2,
        "image_size": 32,
        "precision": "float32",
    }
    return StylizationRecipe(**{**fields, **changes})


def train(out, chosen, photographs, norm="bin", seed=0):
    console = Console(file=io.StringIO())
    for error in train_all([chosen], [norm], [seed], photographs, out, "binorm test", console):
        raise error
    return run_folder(out, chosen, norm, seed)
