"""Data sets of several domains: the same classes in pictures of different kinds, such as photographs and sketches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from binorm.experiments.common.errors import UserError, lookup
from binorm.experiments.data.dataset import TEST_SHARE, Dataset, ImageSet, hold_out
from binorm.experiments.recipes.base import VALIDATION

FEW = 12  # names that an error lists


@dataclass(frozen=True)
class Domain:
    """The pictures of one domain.

    Attributes:
        train: what may be learned from.
        test: what is evaluated; as published, or `TEST_SHARE` of each class, drawn from a fixed seed.
        remarks: on that draw.
    """

    train: ImageSet
    test: ImageSet
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class DomainSet:
    """Everything that a run needs to know about the domains of a data set.

    Attributes:
        name: as recipes say it.
        source: where it was read from, for people.
        classes: of every domain, in the order of the labels.
        domains: by name, in the published order.
        mean: per colour channel, of pixels in [0, 1]; subtracted before the network sees a picture.
        std: per colour channel, of pixels in [0, 1]; divided by.
        published_split: the split is the data set's own; otherwise it is ours, and whoever adapts to all pictures of a
            domain takes its train and test together.
        skipped: pictures that could not be decoded, by name.
        remarks: as those of a `Dataset`.
    """

    name: str
    source: str
    classes: tuple[str, ...]
    domains: Mapping[str, Domain]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    published_split: bool
    skipped: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def mix(domain_set: DomainSet, sources: Sequence[str] | None = None) -> Dataset:
    """One training set over several domains, evaluated on each domain by itself.

    Args:
        domain_set: the domains.
        sources: those to train on; None for all. All of the set's are evaluated.

    Raises:
        UserError: for an unknown domain, and for none.
    """
    names = choose(domain_set.name, tuple(domain_set.domains), sources)
    evaluation = {name: domain.test for name, domain in domain_set.domains.items()}
    return join(domain_set, {name: domain_set.domains[name].train for name in names}, evaluation)


def join(domain_set: DomainSet, train: Mapping[str, ImageSet], evaluation: Mapping[str, ImageSet]) -> Dataset:
    """A data set of ``domain_set`` with the training pictures of several domains, told apart, one domain after another.

    Args:
        domain_set: whose classes, mean and so on it has.
        train: by domain.
        evaluation: by name.
    """
    parts = list(train.values())
    counts = torch.tensor([len(each) for each in parts])
    return Dataset(
        name=domain_set.name,
        source=domain_set.source,
        classes=domain_set.classes,
        train=together(parts),
        evaluation=evaluation,
        mean=domain_set.mean,
        std=domain_set.std,
        skipped=domain_set.skipped,
        remarks=domain_set.remarks,
        domains=tuple(train),
        train_domains=torch.repeat_interleave(torch.arange(len(parts)), counts),
    )


def together(parts: Sequence[ImageSet]) -> ImageSet:
    """The pictures of several sets, one set after another; a single one is not copied."""
    if len(parts) == 1:
        return parts[0]
    return ImageSet(torch.cat([each.images for each in parts]), torch.cat([each.labels for each in parts]))


def choose(name: str, domains: Sequence[str], only: Sequence[str] | None) -> tuple[str, ...]:
    """The domains that are asked for, in the order of ``domains``; all of them for None.

    Raises:
        UserError: for a domain that the data set ``name`` does not have, and for none.
    """
    if only is None:
        return tuple(domains)
    if not only:
        raise UserError(f"no domain of {name} is named: choose from {', '.join(domains)}")
    for each in only:
        lookup(f"domain of {name}", each, dict.fromkeys(domains))
    return tuple(domain for domain in domains if domain in only)


def split_off_test(domain: str, pictures: ImageSet, classes: tuple[str, ...]) -> Domain:
    """A domain without a published split, with `TEST_SHARE` of each class as its test set.

    The same pictures for every norm, seed and machine, whichever other domains and classes are used.

    Raises:
        UserError: if no class has two pictures.
    """
    whole = Dataset(domain, "", classes, pictures, {}, (0, 0, 0), (1, 1, 1))
    parts = hold_out(whole, TEST_SHARE)
    train, test = parts.train, parts.evaluation[VALIDATION]
    if not isinstance(train, ImageSet) or not isinstance(test, ImageSet) or not len(test):
        raise UserError(f"no class of the domain {domain} has two pictures, so that one could be held out for a test")
    return Domain(train, test, tuple(f"{domain}: {remark}" for remark in parts.remarks))


def common_classes(name: str, classes: Mapping[str, Sequence[str]], shared: bool) -> tuple[str, ...]:
    """The classes of every domain, in alphabetical order.

    Args:
        name: of the data set.
        classes: by domain.
        shared: keep those that all domains have, instead of requiring that all have the same.

    Raises:
        UserError: if the domains' classes differ, or none is shared.
    """
    every = set().union(*classes.values())
    common = every.intersection(*classes.values())
    if not common:
        raise UserError(f"no class is in all of the domains {', '.join(classes)} of {name}: choose others")
    if every != common and not shared:
        lacking = {domain: sorted(every - set(own)) for domain, own in classes.items() if every - set(own)}
        named = "; ".join(f"{domain} lacks {few(names)}" for domain, names in lacking.items())
        raise UserError(
            f"the domains of {name} have different classes: {named}. "
            f"--shared-classes keeps the {len(common)} that all have"
        )
    return tuple(sorted(common))


def relabel(domain: Domain, own: Sequence[str], classes: Sequence[str]) -> Domain:
    """A domain with labels for ``classes`` instead of its ``own``, without the pictures of other classes."""
    if tuple(own) == tuple(classes):
        return domain
    places = torch.tensor([classes.index(each) if each in classes else -1 for each in own])

    def kept(pictures: ImageSet) -> ImageSet:
        labels = places[pictures.labels]
        return ImageSet(pictures.images[labels >= 0], labels[labels >= 0])

    return replace(domain, train=kept(domain.train), test=kept(domain.test))


def few(names: Sequence[str], count: int = FEW) -> str:
    """Names for an error: all of them, or the first and how many more."""
    return ", ".join(names) if len(names) <= count else f"{', '.join(names[:count])} and {len(names) - count} more"
