"""Recipes: what an experiment trains, on what, and how. One YAML file each; every field can be overridden."""

import dataclasses
import inspect
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_type_hints

import yaml
from jsonargparse import ArgumentError, ArgumentParser

from binorm.experiments.common.errors import UserError, known

VALIDATION = "validation"  # the name of the evaluation set that the recipe's field of that name holds out
BASELINES = {"adaptation": "source-only", "generalization": "erm"}  # by task: the method that others stand beside
RECIPES_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Recipe:
    """One experiment. Times are in epochs, lengths in pixels.

    Args:
        name: the recipe's name, and that of its folder of runs.
        title: one line for people.
        dataset: a data set's name.
        model: a network.
        task: what a training step computes, and on which domains: classification, adaptation or generalization.
        method: of adaptation and generalization, such as dann or mixstyle.
        source: domains that are trained on with their labels, with commas; all but the target where it is empty.
        target: the domain to adapt to without its labels, or to leave out of training.
        shared_classes: use only the classes that all domains have.
        statistics: batch statistics of several domains: from one joint batch, from separate forward passes, or separate
            and with running statistics per-domain.
        weights: pretrained weights to start from: default (the collection's own), efficientnet-lite0, or a file.
        epochs: passes over the training pictures.
        full_epochs: epochs of the full recipe; reports label shorter runs with it. 0 stands for ``epochs``.
        batch_size: pictures a step, in adaptation and generalization of each domain.
        steps: training steps an epoch; 0 for one pass over the training pictures, without a last, smaller batch.
        lr: learning rate at the start.
        momentum: of SGD.
        weight_decay: of everything but the gates.
        gate_lr_scale: the gates' learning rate is this times lr.
        head_lr_scale: the classifier's learning rate is this times lr; for networks that start from weights.
        schedule: step multiplies lr by lr_decay at each milestone; cosine lowers it to 0 over all steps; annealing
            divides it by (1 + 10 p) ** 0.75 at the share p of all steps.
        milestones: epochs after which the step schedule lowers the learning rate.
        lr_decay: the factor at each milestone.
        crop_padding: training pictures are padded by so many black pixels, then cropped at random; 0 for no crop.
        flip: training pictures are mirrored half of the time.
        resized_crop: training pictures are random parts (8 % to 100 % of the area) brought to one size, as on ImageNet.
        image_size: height and width of the pictures that the network sees; 0 for the data set's own, or 224.
        normalization: means and deviations of pixels: the data set's, ImageNet's, or 0.5 (symmetric around 0).
        validation: share of the training pictures that is held out and evaluated as "validation", to choose by.
        adaptation_weight: of the loss that brings domains together, against the classification loss.
        dropout: of networks that have it, such as wide ResNets.
        precision: auto takes bfloat16 where the machine computes fast in it.
        compile: torch.compile the network; auto does where a compiler is at hand and the run is long enough to gain.
    """

    name: str
    title: str
    dataset: str
    model: str
    epochs: int
    task: str = "classification"
    method: str = ""
    source: str = ""
    target: str = ""
    shared_classes: bool = False
    statistics: Literal["joint", "separate", "per-domain"] = "joint"
    weights: str = ""
    full_epochs: int = 0
    batch_size: int = 128
    steps: int = 0
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    gate_lr_scale: float = 10.0
    head_lr_scale: float = 1.0
    schedule: Literal["step", "cosine", "annealing"] = "step"
    milestones: list[float] = field(default_factory=list)
    lr_decay: float = 0.1
    crop_padding: int = 0
    flip: bool = False
    resized_crop: bool = False
    image_size: int = 0
    normalization: Literal["data", "imagenet", "symmetric"] = "data"
    adaptation_weight: float = 1.0
    validation: float = 0.0
    dropout: float = 0.0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: Literal["auto", "yes", "no"] = "auto"

    def __post_init__(self) -> None:
        if self.full_epochs == 0:
            object.__setattr__(self, "full_epochs", self.epochs)
        at_least = {"epochs": 1, "batch_size": 2, "momentum": 0, "weight_decay": 0, "gate_lr_scale": 0}
        at_least |= {"lr": 0, "lr_decay": 0, "crop_padding": 0, "image_size": 0, "validation": 0, "dropout": 0}
        at_least |= {"steps": 0, "head_lr_scale": 0, "adaptation_weight": 0}
        for name, least in at_least.items():
            if not getattr(self, name) >= least:
                raise UserError(f"{name} should be at least {least} (got {getattr(self, name)})")
        if self.resized_crop and self.crop_padding:
            raise UserError(f"resized_crop replaces crop_padding (got {self.crop_padding}): set it to 0")
        for name in ("validation", "dropout"):
            if not getattr(self, name) < 1:
                raise UserError(f"{name} is a share and should be below 1 (got {getattr(self, name)})")

    def shortened(self, epochs: int) -> "Recipe":
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
        return self.lr_decay ** sum(epoch >= milestone for milestone in self.milestones)


FIELDS = {each.name: each for each in dataclasses.fields(Recipe)}


def field_types(kind: type) -> dict[str, Any]:
    """The type of every field of a kind of recipe."""
    return get_type_hints(kind)


def field_help(kind: type) -> dict[str, str]:
    """What every field of a kind of recipe means, from its docstring."""
    lines = inspect.cleandoc(kind.__doc__ or "").replace("\n        ", " ").splitlines()
    pairs = (line.strip().split(": ", 1) for line in lines if line.startswith("    "))
    names = {each.name for each in dataclasses.fields(kind)}
    return {name: text for name, text in pairs if name in names}


def recipe_names() -> list[str]:
    """The recipes that come with the package."""
    return sorted(path.stem for path in RECIPES_FOLDER.glob("*.yaml"))


def load_recipe(name: str, overrides: dict[str, Any] | None = None) -> Recipe:
    """Read a recipe by its name or from a YAML file, with some of its fields overridden.

    Overriding ``epochs`` stretches or shrinks the whole schedule: the milestones move with it, unless they are
    overridden as well, and ``full_epochs`` keeps the recipe's own length.

    Raises:
        UserError: for an unknown recipe, field or value; it names the nearest known one.
    """
    path, fields = read_fields(name)
    overrides = overrides or {}
    for key in (*fields, *overrides):
        known(f"field of recipe {name!r}:", str(key), FIELDS)
    epochs = overrides.get("epochs")
    if epochs is None or "epochs" not in fields:
        return parse_recipe({**fields, **overrides}, source=str(path))
    recipe = parse_recipe({**fields, **overrides, "epochs": fields["epochs"]}, source=str(path))
    return dataclasses.replace(recipe, epochs=epochs) if "milestones" in overrides else recipe.shortened(epochs)


def read_fields(name: str) -> tuple[Path, dict[str, Any]]:
    """The file of a recipe, by its name or a path, and the fields that it gives.

    Raises:
        UserError: for an unknown recipe and a file that is none.
    """
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
    else:
        path = known("recipe", name, {each: RECIPES_FOLDER / f"{each}.yaml" for each in recipe_names()})
    return path, {"name": path.stem, **_read_yaml(path)}


def parse_recipe(fields: dict[str, Any], source: str) -> Recipe:
    """Build a recipe from plain values, checking each against its field's type.

    Raises:
        UserError: for a missing field or a value of the wrong type; it names ``source``.
    """
    return Recipe(**parse_fields(Recipe, fields, source))


def parse_fields(kind: type, fields: dict[str, Any], source: str) -> dict[str, Any]:
    """The arguments of a dataclass ``kind`` from plain values; see `parse_recipe`."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(kind)
    try:
        parsed: dict[str, Any] = parser.parse_object(fields).as_dict()
    except ArgumentError as error:
        raise UserError(f"{source}: {explain(error)}") from error
    return parsed


def explain(error: ArgumentError) -> str:
    """What the parser found wrong, in one line: ``epochs should be a whole number (got 'many')``."""
    found = re.search(r'Parser key "(\w+)":\s*Expected a (.*)\. Got value: (.*)', str(error), re.DOTALL)
    if not found:
        return re.sub(r"required: \w+\.", "required: ", " ".join(str(error).split()))
    name, kind, value = found.groups()
    words = {"int": "a whole number", "float": "a number", "bool": "true or false", "list": "a list of numbers"}
    choices = re.findall(r"'([^']+)'", kind)
    expected = words.get(choices[0], choices[0]) if kind.startswith("<class") else f"one of {', '.join(choices)}"
    return f"{name} should be {expected} (got {value!r})"


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the recipe {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(fields, dict):
        raise UserError(f"{path} should hold the fields of a recipe, one 'name: value' a line")
    return fields
