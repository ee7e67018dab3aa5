"""Loading a data set by name, from a place that is named or found."""

import os
from collections.abc import Sequence
from pathlib import Path

from binorm.experiments.common.errors import UserError, lookup
from binorm.experiments.data.dataset import Dataset
from binorm.experiments.data.domains import DomainSet
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
    return entry.load(path if path is not None or not entry.needs else locate(name), image_size)


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
    return entry.load_domains(path or locate(name), image_size, shared_classes, only)


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
