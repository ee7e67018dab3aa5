"""From a recipe and data to what one run trains on and is tested on; and from a recipe to those that it stands for.

A recipe over a data set with domains may leave open which domains it means: then it stands for every choice of them.
"""

import dataclasses
from collections.abc import Callable, Sequence
from itertools import permutations
from pathlib import Path

from binorm.experiments import data
from binorm.experiments.common.errors import UserError, known
from binorm.experiments.common.images import IMAGENET_MEAN, IMAGENET_STD
from binorm.experiments.data.dataset import Dataset, ImageSet, UnlabelledSet, hold_out
from binorm.experiments.data.domains import Domain, DomainSet, join, mix, together
from binorm.experiments.recipes.base import BASELINES, FIELDS, VALIDATION, Recipe
from binorm.experiments.training.methods import METHODS
from binorm.experiments.training.tasks import TASKS

DOMAIN_FIELDS = ("method", "source", "target", "steps", "statistics", "shared_classes")
EACH = "each"  # as --source of mixed training: one network for each single domain
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
        self._key: tuple[object, ...] | None = None
        self._choose: Callable[[Recipe], Dataset] | None = None
        self._last: tuple[Recipe, Dataset] | None = None

    def dataset(self, recipe: Recipe) -> Dataset:
        """What a run of ``recipe``, in which no domain is left open, trains on and is evaluated on.

        Raises:
            UserError: for data that is absent or something else, and for domains that it has not.
        """
        if self._last is None or self._last[0] != recipe:
            self._last = None  # frees it before the next is made
            self._last = recipe, _normalized(self._dataset(recipe), recipe)
        return self._last[1]

    def _dataset(self, recipe: Recipe) -> Dataset:
        only = () if recipe.task in ("classification", "mixed") else (*_listed(recipe.source), recipe.target)
        whole = recipe.task == "classification"
        key = (recipe.dataset, recipe.image_size, recipe.validation, recipe.shared_classes, only, whole)
        if self._choose is None or self._key != key:
            self._choose = None  # frees the last before the next is read
            self._key, self._choose = key, self._read(recipe, only)
        return self._choose(recipe)

    def _read(self, recipe: Recipe, only: Sequence[str]) -> Callable[[Recipe], Dataset]:
        """Read what a recipe needs; the function says which part of it a recipe trains on and is evaluated on."""
        if recipe.task == "classification":
            whole = hold_out(data.load(recipe.dataset, self.path, recipe.image_size), recipe.validation)
            return lambda _: whole
        domains = data.load_domains(
            recipe.dataset, self.path, recipe.image_size, recipe.shared_classes, list(only) or None
        )
        return lambda chosen: PROTOCOLS[chosen.task](domains, chosen)


def expand(recipe: Recipe, path: Path | None, methods: Sequence[str] | None = None) -> list[Recipe]:
    """The recipes that a recipe stands for: with every domain named, and each method.

    Adaptation without a source and a target stands for every ordered pair of domains, generalization without a target
    for leaving out each domain in turn; with a method that is not the baseline, the baseline stands beside it. Any
    other recipe stands for itself.

    Args:
        recipe: any.
        path: ``--data``, where the domains' names come from.
        methods: the methods; None for the recipe's and its baseline.

    Raises:
        UserError: for unknown methods and domains.
    """
    _check(recipe, methods)
    if recipe.task == "classification":
        return [recipe]
    names = data.domain_names(recipe.dataset, path)
    if recipe.task == "mixed" and recipe.source == EACH:
        return [dataclasses.replace(recipe, source=name) for name in names]
    for name in (*_listed(recipe.source), *_listed(recipe.target)):
        known(f"domain of {recipe.dataset}:", name, dict.fromkeys(names))
    if recipe.task == "mixed":
        return [recipe]
    pairs = _pairs(recipe, names)
    if not pairs:
        raise UserError(f"the sources {recipe.source} are all domains of {recipe.dataset}: leave one out as the target")
    chosen = methods or list(dict.fromkeys((BASELINES[recipe.task], recipe.method or BASELINES[recipe.task])))
    return [
        dataclasses.replace(recipe, source=source, target=target, method=method)
        for source, target in pairs
        for method in chosen
    ]


def only_one(recipe: Recipe, path: Path | None) -> Recipe:
    """The one recipe that a recipe stands for, by its own method.

    Raises:
        UserError: if it stands for several; it says how to name one.
    """
    _check(recipe, None)
    if recipe.task in BASELINES:
        recipe = dataclasses.replace(recipe, method=recipe.method or BASELINES[recipe.task])
    parts = expand(recipe, path, [recipe.method] if recipe.method else None)
    if len(parts) > 1:
        missing = {"adaptation": "--source and --target", "generalization": "--target", "mixed": "one --source"}
        some = ", ".join(task_label(part) for part in parts[:3])
        raise UserError(
            f"{recipe.name} stands for {len(parts)} tasks ({some}, …): name one with {missing[recipe.task]}, or train "
            f"all of them with 'binorm compare {recipe.name}'"
        )
    return parts[0]


def _pairs(recipe: Recipe, names: Sequence[str]) -> list[tuple[str, str]]:
    """Source and target of every task that a recipe stands for."""
    if recipe.source:
        rest = [name for name in names if name not in _listed(recipe.source)]
        return [(recipe.source, target) for target in ([recipe.target] if recipe.target else rest)]
    targets = [recipe.target] if recipe.target else names
    others = {target: [name for name in names if name != target] for target in targets}
    if recipe.task == "generalization":
        return [(",".join(sources), target) for target, sources in others.items()]
    return [(source, target) for source, target in permutations(names, 2) if target in targets]


def task_label(recipe: Recipe) -> str:
    """The domains of a run as its folder is called: ``photo-to-sketch``, ``without-sketch``, ``only-photo``."""
    source = "+".join(_listed(recipe.source))
    if recipe.task == "adaptation":
        return f"{source}-to-{recipe.target}"
    if recipe.task == "generalization":
        return f"without-{recipe.target}"
    return f"only-{source}" if recipe.task == "mixed" and source else ""


def mixed(domains: DomainSet, recipe: Recipe) -> Dataset:
    """Training on the training parts of the source domains, or all; evaluation on the test part of every domain."""
    return mix(domains, _listed(recipe.source) or None)


def adaptation(domains: DomainSet, recipe: Recipe) -> Dataset:
    """Training on labelled source pictures and, where the method uses them, on unlabelled ones of the target.

    With a published split both are training parts, and the target's test part is evaluated. Without one all pictures of
    a domain are taken, and those of the target both adapted to and evaluated, as is usual for such data.
    """
    whole = not domains.published_split
    sources = {name: _part(domains.domains[name], whole) for name in _listed(recipe.source)}
    target = domains.domains[recipe.target]
    adapted_to = _part(target, whole)
    dataset = join(domains, sources, {recipe.target: adapted_to if whole else target.test})
    if METHODS[recipe.method].uses_target:
        dataset = dataclasses.replace(dataset, target=UnlabelledSet(recipe.target, adapted_to.images))
    return dataset


def generalization(domains: DomainSet, recipe: Recipe) -> Dataset:
    """Training on the source domains; evaluation on all pictures of the one left out.

    The test parts of the training domains together are ``validation``, which chooses the best epoch.

    Source: Gulrajani & Lopez-Paz, *In Search of Lost Domain Generalization*, ICLR 2021, section 3 (training-domain
    validation).
    """
    names = _listed(recipe.source)
    held_out = [domains.domains[name].test for name in names]
    evaluation = {recipe.target: _part(domains.domains[recipe.target], whole=True), VALIDATION: together(held_out)}
    return join(domains, {name: domains.domains[name].train for name in names}, evaluation)


PROTOCOLS: dict[str, Callable[[DomainSet, Recipe], Dataset]] = {
    "mixed": mixed,
    "adaptation": adaptation,
    "generalization": generalization,
}


def _part(domain: Domain, whole: bool) -> ImageSet:
    return together([domain.train, domain.test]) if whole else domain.train


def _normalized(dataset: Dataset, recipe: Recipe) -> Dataset:
    if recipe.normalization == "data":
        return dataset
    mean, std = NORMALIZATIONS[recipe.normalization]
    return dataclasses.replace(dataset, mean=mean, std=std)


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _check(recipe: Recipe, methods: Sequence[str] | None) -> None:
    """Refuse what no run could make sense of."""
    known("task", recipe.task, TASKS)
    known("data set", recipe.dataset, data.DATASETS)
    if recipe.task == "classification":
        given = [name for name in DOMAIN_FIELDS if getattr(recipe, name) != FIELDS[name].default]
        if given or methods:
            raise UserError(
                f"{(*given, 'methods')[0]} is of mixed, adaptation and generalization tasks, and {recipe.name} has the "
                "task classification: give --task as well, or leave it out"
            )
        return
    for method in (*(methods or ()), *([recipe.method] if recipe.method else [])):
        known("method", method, METHODS)
    if not data.DATASETS[recipe.dataset].has_domains:
        names = ", ".join(name for name, entry in data.DATASETS.items() if entry.has_domains)
        raise UserError(f"{recipe.dataset} has no domains, which the task {recipe.task} needs. With domains: {names}")
    if recipe.validation:
        raise UserError(f"validation is of the task classification (got {recipe.validation} with {recipe.task})")
    if recipe.task == "mixed" and (recipe.target or recipe.method or methods):
        raise UserError("mixed training has neither target nor method: leave them out, or give another --task")
    if recipe.target and recipe.target in _listed(recipe.source):
        raise UserError(f"the target {recipe.target} is among the sources {recipe.source}: name another domain")
    if recipe.task == "generalization" and recipe.statistics == "per-domain":
        raise UserError(
            "per-domain statistics know nothing of a domain that training never saw: give --statistics joint "
            "or separate"
        )
