"""Recipes of classifiers on several domains: mixed training, adaptation to a target, generalization to one left out."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.text import printable
from binorm.experiments.recipes.classification import ClassifierRecipe

BASELINES = {"adaptation": "source-only", "generalization": "erm"}  # by task: the method that others stand beside
OWN_DOMAINS = "domains"  # the data set that is whatever domains lie at ``--data``
OWN_RECIPES = {"mixed": "mixed", "adaptation": "adaptation", "generalization": "leave-one-out"}  # for it, by task
EACH = "each"  # as ``source`` of mixed training: one network for each single domain


@dataclass(frozen=True, kw_only=True)
class DomainRecipe(ClassifierRecipe):
    """Training on images that are told apart by their domain.

    Args:
        method: of adaptation and generalization, such as dann or mixstyle.
        source: domains that are trained on with their labels, with commas; all but the target where it is empty.
        target: the domain to adapt to without its labels, or to leave out of training.
        shared_classes: use only the classes that all domains have.
        statistics: batch statistics of several domains: from one joint batch, from separate forward passes, or separate
            and with running statistics per-domain.
        steps: training steps an epoch; 0 for one pass over the training images, without a last, smaller batch.
        full_steps: steps an epoch of the full recipe, 0 for one such pass; reports label shorter runs by it. -1: steps.
        adaptation_weight: of the loss that brings domains together, against the classification loss.
    """

    LEAST: ClassVar[dict[str, float]] = ClassifierRecipe.LEAST | {"steps": 0, "full_steps": 0, "adaptation_weight": 0}
    NOT_OPTIONS: ClassVar[frozenset[str]] = ClassifierRecipe.NOT_OPTIONS | {"full_steps"}

    method: str = ""
    source: str = ""
    target: str = ""
    shared_classes: bool = False
    statistics: Literal["joint", "separate", "per-domain"] = "joint"
    steps: int = 0
    full_steps: int = -1
    adaptation_weight: float = 1.0

    def __post_init__(self) -> None:
        if self.full_steps == -1:
            object.__setattr__(self, "full_steps", self.steps)
        super().__post_init__()
        if self.task == "mixed" and (self.target or self.method):
            raise UserError("mixed training has neither target nor method: leave them out, or give another --task")
        if self.target and self.target in self.sources:
            raise UserError(f"the target {self.target} is among the sources {self.source}: name another domain")
        if self.task == "generalization" and self.statistics == "per-domain":
            raise UserError(
                "per-domain statistics know nothing of a domain that training never saw: give --statistics joint "
                "or separate"
            )

    @classmethod
    def from_overrides(cls, fields: dict[str, Any], overrides: dict[str, Any], source: str) -> Self:
        """As `ClassifierRecipe.from_overrides`; ``full_steps`` keeps the recipe's own steps where others are given."""
        if "steps" in overrides:
            fields = {"full_steps": fields.get("steps", 0), **fields}
        return super().from_overrides(fields, overrides, source)

    @property
    def sources(self) -> list[str]:
        """The domains that ``source`` names."""
        return [name.strip() for name in self.source.split(",") if name.strip()]

    @property
    def domain_pair(self) -> str:
        """The domains of a run as its folder is called: ``photo-to-sketch``, ``without-sketch``, ``only-photo``."""
        source, target = printable("+".join(self.sources)), printable(self.target)
        if self.task == "adaptation":
            return f"{source}-to-{target}"
        if self.task == "generalization":
            return f"without-{target}"
        return f"only-{source}" if source else ""

    @property
    def place(self) -> tuple[str, ...]:
        """See `Recipe.place`: the method, then the domains."""
        return tuple(part for part in (self.method, self.domain_pair) if part)


RECIPE = DomainRecipe
