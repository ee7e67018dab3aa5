"""Recipes of style transfer: the picture to learn from, the network, the losses and the schedule."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from binorm.experiments.common.errors import UserError, known
from binorm.experiments.recipes.base import parse_fields, read_fields

TASK = "stylization"  # the value of a recipe's field ``task`` that makes it one of these


@dataclass(frozen=True)
class StyleRecipe:
    """How a style is learned. Times are in steps, lengths in pixels.

    Args:
        name: the recipe's name, and that of its folder of runs.
        title: one line for people.
        task: stylization.
        style: the picture to learn from.
        style_size: its short side when it is looked at: smaller gives larger strokes.
        width: channels of the network at full size.
        blocks: residual blocks of the network.
        loss_network: vgg16 or vgg19 with ImageNet's weights (downloaded once), or a file of weights.
        content_layers: of the loss network, where the photograph's features should stay.
        style_layers: of the loss network, where the style picture's Gram matrices should come about.
        content_weight: of the content loss.
        style_weight: of the style loss.
        variation_weight: of the total variation, which smooths.
        steps: of training.
        full_steps: of the full recipe; reports label shorter runs with it. 0 stands for ``steps``.
        period: steps that one row of metrics sums up, and after which a checkpoint is written.
        batch_size: photographs a step.
        image_size: height and width of the parts of photographs that are trained on.
        flip: photographs are mirrored half of the time.
        lr: learning rate of Adam.
        gate_lr_scale: the gates' learning rate is this times lr.
        precision: auto takes bfloat16 where the machine computes fast in it.
        compile: torch.compile network and losses; auto does not: a compilation takes minutes on a CPU.
    """

    name: str
    title: str
    steps: int
    style: str = ""
    task: str = TASK
    style_size: int = 256
    width: int = 16
    blocks: int = 5
    loss_network: str = "vgg19"
    content_layers: list[str] = field(default_factory=lambda: ["relu2_2"])
    style_layers: list[str] = field(default_factory=lambda: ["relu1_2", "relu2_2", "relu3_3"])
    content_weight: float = 1.0
    style_weight: float = 1.0
    variation_weight: float = 1.0
    full_steps: int = 0
    period: int = 100
    batch_size: int = 4
    image_size: int = 256
    flip: bool = True
    lr: float = 1e-3
    gate_lr_scale: float = 10.0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: Literal["auto", "yes", "no"] = "auto"

    def __post_init__(self) -> None:
        if self.full_steps == 0:
            object.__setattr__(self, "full_steps", self.steps)
        at_least = {"steps": 1, "period": 1, "batch_size": 1, "width": 1, "blocks": 1, "style_size": 32}
        at_least |= {"image_size": 32, "lr": 0, "gate_lr_scale": 0}
        at_least |= {f"{name}_weight": 0 for name in ("content", "style", "variation")}
        for name, least in at_least.items():
            if not getattr(self, name) >= least:
                raise UserError(f"{name} should be at least {least} (got {getattr(self, name)})")
        if self.steps % self.period:
            raise UserError(
                f"steps should be a multiple of period, {self.period} (got {self.steps}): give --period as well"
            )
        for name in ("content_layers", "style_layers"):
            if not getattr(self, name):
                raise UserError(f"{name} should name at least one layer of the loss network (got none)")

    @property
    def epochs(self) -> int:
        """Periods of training, which the trainer counts as epochs."""
        return self.steps // self.period

    @property
    def style_name(self) -> str:
        """The style picture's name without its ending: that of its folder of runs."""
        return Path(self.style).stem


def is_style_recipe(name: str) -> bool:
    """Whether a recipe, by its name or file, is of style transfer."""
    return bool(read_fields(name)[1].get("task") == TASK)


def load_style_recipe(name: str, overrides: dict[str, Any] | None = None) -> StyleRecipe:
    """Read a recipe by its name or from a YAML file, with some of its fields overridden.

    Overriding ``steps`` leaves ``full_steps`` at the recipe's own length.

    Raises:
        UserError: for an unknown recipe, field or value, and where no style picture is named.
    """
    path, fields = read_fields(name)
    overrides = overrides or {}
    names = {each.name: each for each in dataclasses.fields(StyleRecipe)}
    for key in (*fields, *overrides):
        known(f"field of recipe {name!r}:", str(key), names)
    if "steps" in fields:
        fields.setdefault("full_steps", fields["steps"])
    recipe = StyleRecipe(**parse_fields(StyleRecipe, {**fields, **overrides}, str(path)))
    if recipe.task != TASK:
        raise UserError(f"{name} is a recipe of style transfer: its task is {TASK} (got {recipe.task})")
    if not recipe.style:
        raise UserError(f"{name} needs the picture whose style is to be learned: --style starry_night.jpg")
    return recipe
