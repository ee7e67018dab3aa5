"""From a recipe and where its data are to what one run trains on and is tested on."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from binorm.experiments import data
from binorm.experiments.common.errors import UserError
from binorm.experiments.common.images import IMAGENET_MEAN, IMAGENET_STD
from binorm.experiments.data.catalog import is_found
from binorm.experiments.data.dataset import Dataset, ImageSet, UnlabelledSet, hold_out
from binorm.experiments.data.domains import Domain, DomainSet, join, mix, together
from binorm.experiments.data.identity import Identity, identity
from binorm.experiments.recipes.base import VALIDATION, Recipe
from binorm.experiments.recipes.classification import ClassificationRecipe, ClassifierRecipe
from binorm.experiments.recipes.domains import DomainRecipe
from binorm.experiments.training.methods import METHODS

NORMALIZATIONS = {
    "imagenet": (IMAGENET_MEAN, IMAGENET_STD),
    "symmetric": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}


class Loader:
    """Loads what recipes need and keeps the last, so that recipes over one data set read it once.

    Args:
        path: ``--data``.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._whole: tuple[object, Dataset] | None = None
        self._domains: tuple[object, DomainSet] | None = None
        self._last: tuple[Recipe, Dataset] | None = None
        self._identities: dict[str, Identity] = {}  # by everything that a recipe says

    def dataset(self, recipe: ClassifierRecipe) -> Dataset:
        """What a run of ``recipe``, in which no domain is left open, trains on and is evaluated on.

        Raises:
            UserError: for data that is absent or something else, and for domains that it has not.
        """
        if self._last is None or self._last[0] != recipe:
            self._last = None  # frees it before the next is made
            if isinstance(recipe, DomainRecipe):
                dataset = PROTOCOLS[recipe.task](self._domain_set(recipe), recipe)
            else:
                dataset = self._whole_set(recipe)
            self._last = recipe, _normalized(dataset, recipe)
        return self._last[1]

    def identity(self, recipe: ClassifierRecipe) -> Identity:
        """Of `dataset`; found once."""
        key = repr(recipe)
        if key not in self._identities:
            self._identities[key] = identity(self.dataset(recipe))
        return self._identities[key]

    def finds(self, recipe: ClassifierRecipe) -> bool:
        """Whether its data are named or found, so that `dataset` may be asked for."""
        return self.path is not None or is_found(recipe.dataset)

    def _whole_set(self, recipe: ClassifierRecipe) -> Dataset:
        share = recipe.validation if isinstance(recipe, ClassificationRecipe) else 0.0
        key = (recipe.dataset, recipe.image_size, share)
        if self._whole is None or self._whole[0] != key:
            self._whole = None
            self._whole = key, hold_out(data.load(recipe.dataset, self.path, recipe.image_size), share)
        return self._whole[1]

    def _domain_set(self, recipe: DomainRecipe) -> DomainSet:
        only = None if recipe.task == "mixed" else [*recipe.sources, recipe.target]
        key = (recipe.dataset, recipe.image_size, recipe.shared_classes, tuple(only or ()))
        if self._domains is None or self._domains[0] != key:
            self._domains = None
            loaded = data.load_domains(recipe.dataset, self.path, recipe.image_size, recipe.shared_classes, only)
            self._domains = key, loaded
        return self._domains[1]


def mixed(domains: DomainSet, recipe: DomainRecipe) -> Dataset:
    """Training on the training parts of the source domains, or all; evaluation on the test part of every domain."""
    return mix(domains, recipe.sources or None)


def adaptation(domains: DomainSet, recipe: DomainRecipe) -> Dataset:
    """Training on labelled source images and, where the method uses them, on unlabelled ones of the target.

    With a published split both are training parts, and the target's test part is evaluated. Without one all images of
    a domain are taken, and those of the target both adapted to and evaluated, as is usual for such data.
    """
    whole = not domains.published_split
    sources = {name: _part(domains.domains[name], whole) for name in recipe.sources}
    target = domains.domains[recipe.target]
    adapted_to = _part(target, whole)
    dataset = join(domains, sources, {recipe.target: adapted_to if whole else target.test})
    if METHODS[recipe.method].uses_target:
        dataset = dataclasses.replace(dataset, target=UnlabelledSet(recipe.target, adapted_to.images))
    return dataset


def generalization(domains: DomainSet, recipe: DomainRecipe) -> Dataset:
    """Training on the source domains; evaluation on all images of the one left out.

    The test parts of the training domains together are ``validation``, which chooses the best epoch.

    Source: Gulrajani & Lopez-Paz, *In Search of Lost Domain Generalization*, ICLR 2021, section 3 (training-domain
    validation).
    """
    if recipe.target == VALIDATION:
        raise UserError(
            f"{domains.name} has a domain that is called {VALIDATION!r}, as the pictures are that choose the best "
            "epoch: rename it in the data, or leave another one out with --target"
        )
    held_out = [domains.domains[name].test for name in recipe.sources]
    evaluation = {recipe.target: _part(domains.domains[recipe.target], whole=True), VALIDATION: together(held_out)}
    return join(domains, {name: domains.domains[name].train for name in recipe.sources}, evaluation)


PROTOCOLS: dict[str, Callable[[DomainSet, DomainRecipe], Dataset]] = {
    "mixed": mixed,
    "adaptation": adaptation,
    "generalization": generalization,
}


def _part(domain: Domain, whole: bool) -> ImageSet:
    return together([domain.train, domain.test]) if whole else domain.train


def _normalized(dataset: Dataset, recipe: ClassifierRecipe) -> Dataset:
    if recipe.normalization == "data":
        return dataset
    mean, std = NORMALIZATIONS[recipe.normalization]
    return dataclasses.replace(dataset, mean=mean, std=std)
