"""Recipes of style transfer: the image to learn from, the network, the losses and the schedule."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.text import printable
from binorm.experiments.recipes.base import Recipe


@dataclass(frozen=True, kw_only=True)
class StylizationRecipe(Recipe):
    """How a style is learned. Times are in steps, lengths in pixels.

    Args:
        style: the image to learn from.
        style_size: its short side when it is looked at: smaller gives larger strokes.
        width: channels of the network at full size.
        blocks: residual blocks of the network.
        loss_network: vgg16 or vgg19 with ImageNet's weights (downloaded once), or a file of weights.
        content_layers: of the loss network, where the photograph's features should stay.
        style_layers: of the loss network, where the style image's Gram matrices should come about.
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
        compile: torch.compile network and losses; auto does not: a compilation takes minutes on a CPU.
    """

    LEAST: ClassVar[dict[str, float]] = (
        Recipe.LEAST
        | {"steps": 1, "period": 1, "width": 1, "blocks": 1, "style_size": 32, "image_size": 32}
        | {f"{name}_weight": 0 for name in ("content", "style", "variation")}
    )
    NOT_OPTIONS: ClassVar[frozenset[str]] = Recipe.NOT_OPTIONS | {"full_steps"}
    PATHS: ClassVar[tuple[str, ...]] = ("style", "loss_network")
    UNIT: ClassVar[str] = "step"
    METRICS: ClassVar[tuple[str, ...]] = ("content", "style", "variation", "total")

    steps: int
    task: str = "stylization"
    style: str = ""
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

    def __post_init__(self) -> None:
        if self.full_steps == 0:
            object.__setattr__(self, "full_steps", self.steps)
        super().__post_init__()
        if self.steps % self.period:
            raise UserError(
                f"steps should be a multiple of period, {self.period} (got {self.steps}): give --period as well"
            )
        for name in ("content_layers", "style_layers"):
            if not getattr(self, name):
                raise UserError(f"{name} should name at least one layer of the loss network (got none)")
        if not self.style:
            raise UserError(f"{self.name} needs the picture whose style is to be learned: --style starry_night.jpg")

    @property
    def num_epochs(self) -> int:
        """See `Recipe.num_epochs`: periods of training."""
        return self.steps // self.period

    @property
    def length(self) -> tuple[int, int, str]:
        """See `Recipe.length`."""
        return self.steps, self.full_steps, self.UNIT

    @property
    def style_name(self) -> str:
        """The style image's name without its ending."""
        return printable(Path(self.style).stem)

    @property
    def series(self) -> tuple[str, ...]:
        """See `Recipe.series`: a report for each style."""
        return self.name, self.style_name

    @classmethod
    def from_overrides(cls, fields: dict[str, Any], overrides: dict[str, Any], source: str) -> Self:
        """As `Recipe.from_overrides`; a given ``steps`` leaves ``full_steps`` at the recipe's own length."""
        full = {"full_steps": fields["steps"]} if "steps" in fields else {}
        return super().from_overrides(full | fields, overrides, source)


RECIPE = StylizationRecipe
