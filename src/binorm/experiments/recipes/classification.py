"""Recipes of networks that classify images."""

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

from binorm.experiments.common.errors import UserError
from binorm.experiments.recipes.base import Recipe

TRIANGLE_START = 0.2  # of lr, with which the triangular schedule begins


@dataclass(frozen=True, kw_only=True)
class ClassifierRecipe(Recipe):
    """What all trainings of a classifier have in common. Times are in epochs, lengths in pixels.

    Args:
        dataset: a data set's name.
        model: a network.
        weights: pretrained weights to start from: default (the collection's own), efficientnet-lite0, or a file.
        epochs: passes over the training images.
        full_epochs: epochs of the full recipe; reports label shorter runs with it. 0 stands for ``epochs``.
        momentum: of SGD.
        nesterov: SGD looks ahead by Nesterov's rule.
        weight_decay: of everything but the gates.
        head_lr_scale: the classifier's learning rate is this times lr; for networks that start from weights.
        schedule: step multiplies lr by lr_decay at each milestone; cosine lowers it to 0 over all steps; annealing
            divides it by (1 + 10 p) ** 0.75 at the share p of all steps; triangular raises it from a fifth of lr to lr
            over the share ``peak`` of all steps, and lowers it to 0 over the others.
        peak: the share of all steps at which the triangular schedule stands at lr.
        label_smoothing: share of the target that is spread over all classes while training.
        milestones: epochs after which the step schedule lowers the learning rate.
        lr_decay: the factor at each milestone.
        crop_padding: training images are padded by so many pixels, then cropped at random; 0 for no crop.
        padding: black, or the image mirrored at its edges.
        resized_crop: training images are random parts (8 % to 100 % of the area) brought to one size, as on ImageNet.
        image_size: height and width of the images that the network sees; 0 for the data set's own, or 224.
        normalization: means and deviations of pixels: the data set's, ImageNet's, or 0.5 (symmetric around 0).
        dropout: of networks that have it, such as wide ResNets.
    """

    LEAST: ClassVar[dict[str, float]] = (
        Recipe.LEAST
        | {"epochs": 1, "batch_size": 2, "momentum": 0, "weight_decay": 0, "head_lr_scale": 0}
        | {"lr_decay": 0, "crop_padding": 0, "dropout": 0, "label_smoothing": 0, "peak": 0}
    )
    METRICS: ClassVar[tuple[str, ...]] = ("learning_rate", "train_loss", "train_accuracy")
    SHARES: ClassVar[tuple[str, ...]] = ("dropout", "label_smoothing", "peak")  # fields that should be below 1
    NOT_OPTIONS: ClassVar[frozenset[str]] = Recipe.NOT_OPTIONS | {"full_epochs"}

    dataset: str
    model: str
    epochs: int
    task: str = "classification"
    batch_size: int = 128
    lr: float = 0.1
    weights: str = ""
    full_epochs: int = 0
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-4
    head_lr_scale: float = 1.0
    label_smoothing: float = 0.0
    schedule: Literal["step", "cosine", "annealing", "triangular"] = "step"
    peak: float = 0.25
    milestones: list[float] = field(default_factory=list)
    lr_decay: float = 0.1
    crop_padding: int = 0
    padding: Literal["black", "mirrored"] = "black"
    resized_crop: bool = False
    normalization: Literal["data", "imagenet", "symmetric"] = "data"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.full_epochs == 0:
            object.__setattr__(self, "full_epochs", self.epochs)
        super().__post_init__()
        if self.resized_crop and self.crop_padding:
            raise UserError(f"resized_crop replaces crop_padding (got {self.crop_padding}): set it to 0")
        if self.nesterov and not self.momentum:
            raise UserError("nesterov needs a momentum above 0 (got 0): set one, or nesterov to false")
        for name in self.SHARES:
            if not getattr(self, name) < 1:
                raise UserError(f"{name} is a share and should be below 1 (got {getattr(self, name)})")

    @property
    def num_epochs(self) -> int:
        """See `Recipe.num_epochs`."""
        return self.epochs

    @property
    def length(self) -> tuple[int, int, str]:
        """See `Recipe.length`."""
        return self.epochs, self.full_epochs, self.UNIT

    def shortened(self, epochs: int) -> Self:
        """The same recipe over another number of epochs: milestones move with it, ``full_epochs`` stays."""
        ratio = epochs / self.epochs
        return dataclasses.replace(self, epochs=epochs, milestones=[each * ratio for each in self.milestones])

    def lr_factor(self, epoch: float) -> float:
        """The learning rate over its start, ``epoch`` epochs (with a fraction) into the training."""
        progress = min(epoch / self.epochs, 1.0)
        if self.schedule == "cosine":
            return 0.5 * (1 + math.cos(math.pi * progress))
        if self.schedule == "annealing":
            return float((1 + 10 * progress) ** -0.75)
        if self.schedule == "triangular":
            if progress < self.peak:
                return TRIANGLE_START + (1 - TRIANGLE_START) * progress / self.peak
            return (1 - progress) / (1 - self.peak)
        return self.lr_decay ** sum(epoch >= milestone for milestone in self.milestones)

    @classmethod
    def from_overrides(cls, fields: dict[str, Any], overrides: dict[str, Any], source: str) -> Self:
        """As `Recipe.from_overrides`; a given ``epochs`` stretches or shrinks the whole schedule.

        The milestones move with it, unless they are given as well, and ``full_epochs`` keeps the recipe's own length.
        """
        epochs = overrides.get("epochs")
        if epochs is None or "epochs" not in fields:
            return super().from_overrides(fields, overrides, source)
        recipe = cls.from_fields({**fields, **overrides, "epochs": fields["epochs"]}, source)
        return dataclasses.replace(recipe, epochs=epochs) if "milestones" in overrides else recipe.shortened(epochs)


@dataclass(frozen=True, kw_only=True)
class ClassificationRecipe(ClassifierRecipe):
    """One data set, trained on and tested on.

    Args:
        validation: share of the training images that is held out and evaluated as "validation", to choose by.
    """

    LEAST: ClassVar[dict[str, float]] = ClassifierRecipe.LEAST | {"validation": 0}
    SHARES: ClassVar[tuple[str, ...]] = ("validation", *ClassifierRecipe.SHARES)

    validation: float = 0.0


RECIPE = ClassificationRecipe
