"""Loading a data set by name, from a place that is named or found."""

import os
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from binorm.experiments.common.errors import UserError, lookup
from binorm.experiments.data.dataset import Dataset, ImageSet
from binorm.experiments.data.domains import DomainSet, few
from binorm.experiments.data.entries import DATASETS
from binorm.experiments.data.readers.entry import DomainEntry, Entry

DATA_VARIABLE = "BINORM_DATA"


def load(name: str, path: Path | None, image_size: int = 0) -> Dataset:
    """Load a data set by name.

    Args:
        name: one of `DATASETS`.
        path: where it is; None for what is embedded, or to look for its usual names in the folder ``$BINORM_DATA``.
        image_size: height and width of the pictures in pixels; 0 for the data set's own.

    Raises:
        UserError: for an unknown name, for data that is absent, incomplete or something else, and for a size that the
            data set cannot be had at.
    """
    entry = lookup("data set", name, DATASETS)
    _check_size(entry, image_size)
    loaded = entry.load(path if path is not None or not entry.needs else locate(name), image_size)
    sets = [loaded.train, *loaded.evaluation.values()]
    check_classes(entry, loaded.classes, [each.labels for each in sets if isinstance(each, ImageSet)], loaded.source)
    return loaded


def load_domains(
    name: str,
    path: Path | None,
    image_size: int = 0,
    shared_classes: bool = False,
    only: Sequence[str] | None = None,
) -> DomainSet:
    """Load the domains of a data set by name.

    Args:
        name: one of `DATASETS` that has domains.
        path: where it is; None to look for its usual names in the folder ``$BINORM_DATA``.
        image_size: height and width of the pictures in pixels; 0 for the data set's own.
        shared_classes: use only the classes that all the domains have, instead of requiring that all have the same.
        only: names of the domains that are needed; others are neither decoded nor need be there. None for all.

    Raises:
        UserError: for an unknown name or domain, for a data set without domains, and for data that is absent,
            incomplete or something else.
    """
    entry = _with_domains(lookup("data set", name, DATASETS))
    _check_size(entry, image_size)
    loaded = entry.load_domains(path or locate(name), image_size, shared_classes, only)
    parts = [part for domain in loaded.domains.values() for part in (domain.train, domain.test)]
    if not shared_classes:  # which keeps as many as there are
        check_classes(entry, loaded.classes, [part.labels for part in parts], loaded.source)
    return loaded


def check_classes(entry: Entry, classes: Sequence[str], labels: Sequence[Tensor], source: str) -> None:
    """Raise a `UserError` for a published set without some of its classes, and for any set of a single class.

    Args:
        entry: which set.
        classes: that the data name.
        labels: of its pictures in memory, each (N,).
        source: where it was read from, for people.
    """
    present = {classes[label] for each in labels for label in set(each.tolist())} if labels else set(classes)
    own = "for a part of a set, or pictures of your own, give --dataset folder (or domains)"
    if entry.classes and entry.streamed is False and len(present) != entry.classes:
        absent = [name for name in classes if name not in present]
        raise UserError(
            f"{source} has pictures of {len(present)} classes ({few(sorted(present), 6)}), but {entry.name} has "
            f"{entry.classes}{f': without {few(absent, 6)}' if absent else ''}. Is it whole? Else {own}"
        )
    if len(present) < 2:
        raise UserError(
            f"{source} has pictures of one class alone ({few(sorted(present), 6)}): there is nothing to tell apart"
        )


def domain_names(name: str, path: Path | None) -> tuple[str, ...]:
    """The domains of a data set, without decoding anything; ``path`` matters only where the data say them.

    Raises:
        UserError: for an unknown name and a data set without domains.
    """
    entry = _with_domains(lookup("data set", name, DATASETS))
    return entry.domains or entry.names_at(path or locate(name))


def _with_domains(entry: Entry) -> DomainEntry:
    if not isinstance(entry, DomainEntry):
        others = ", ".join(name for name, each in DATASETS.items() if each.has_domains)
        raise UserError(f"{entry.name} has no domains: choose one of {others}")
    return entry


def _check_size(entry: Entry, image_size: int) -> None:
    if image_size < 0:
        raise UserError(f"image_size should be a number of pixels, or 0 for the data set's own (got {image_size})")
    if image_size not in (0, entry.size) and not entry.resizes:
        raise UserError(
            f"the pictures of {entry.name} are {entry.size}x{entry.size} pixels and are not resized "
            f"(--image_size {image_size} was asked for): leave --image_size out"
        )


def is_found(name: str) -> bool:
    """Whether a data set is embedded, or lies below ``$BINORM_DATA``."""
    entry, root = lookup("data set", name, DATASETS), data_root()
    return not entry.needs or (root is not None and entry.find(root) is not None)


def locate(name: str) -> Path:
    """Where a data set is below ``$BINORM_DATA``.

    Raises:
        UserError: if it is not there, or the variable is not set.
    """
    entry = lookup("data set", name, DATASETS)
    root = data_root()
    place = None if root is None else entry.find(root)
    if place is None:
        published = f" (published at {entry.url})" if entry.url else ""
        searched = f"{root} (${DATA_VARIABLE})" if root else f"a folder that ${DATA_VARIABLE} names"
        raise UserError(
            f"{name} needs --data: {entry.needs}{published}. Without --data it is looked for in "
            f"{searched} as {', '.join(entry.usual_names)}. 'binorm data {name}' says more"
        )
    return place


def data_root() -> Path | None:
    """The folder of all data sets that the environment names, if it does."""
    folder = os.environ.get(DATA_VARIABLE)
    return Path(folder).expanduser() if folder else None
