"""Classifiers with random weights, and pictures for them, as small as shifts take them."""

import numpy
import torch
from PIL import Image

from binorm.experiments.classifiers.classifier import Card, Classifier
from binorm.experiments.classifiers.photographs import Photographs
from binorm.experiments.data.batches.preprocessing import Preprocessing
from binorm.experiments.models import create

CLASSES = ("cat", "dog", "emu")


def classifier(norm="bn", seed=0, side=32, classes=CLASSES, std=0.25):
    """A resnet8 for pictures of ``side`` pixels, whose batch norms know statistics."""
    torch.manual_seed(seed)
    network = create("resnet8", len(classes), norm)
    pixels = Preprocessing(side, side, 0, (0.5, 0.5, 0.5), (std, std, std))
    network.train()
    with torch.no_grad():
        network(pixels.normalize(pictures(16, side)))
    return Classifier(network, Card("resnet8", norm, classes, pixels, origin="random"))


def pictures(count, side=32, seed=0):
    """Smooth ones, uint8 (count, 3, side, side)."""
    random = numpy.random.default_rng(seed)
    made = []
    for _ in range(count):
        colours = Image.fromarray(random.integers(0, 256, (4, 4, 3), dtype=numpy.uint8))
        made.append(numpy.asarray(colours.resize((side, side), Image.Resampling.BICUBIC)))
    return torch.from_numpy(numpy.stack(made)).permute(0, 3, 1, 2).contiguous()


def photographs(count, side=32, seed=0, source="here"):
    """Labelled ones."""
    names = tuple(f"{CLASSES[place % 3]}/{place:03}.png" for place in range(count))
    return Photographs(pictures(count, side, seed), torch.arange(count) % 3, names, source)


def write_tree(folder, per_class=4, side=32, classes=CLASSES, seed=0):
    """``<class>/<k>.png``."""
    made = iter(pictures(per_class * len(classes), side, seed).permute(0, 2, 3, 1).numpy())
    for name in classes:
        (folder / name).mkdir(parents=True)
        for place in range(per_class):
            Image.fromarray(next(made)).save(folder / name / f"{place}.png")
    return folder
