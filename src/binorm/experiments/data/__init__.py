"""The data sets by name."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from binorm.experiments.data import characters, cifar, digits
from binorm.experiments.data.dataset import Dataset
from binorm.experiments.errors import known

DATASETS: dict[str, Callable[[Path | None], Dataset]] = {
    "digits": digits.load,
    "cifar10": cifar.load_cifar10,
    "icdar2003": characters.load_icdar2003,
    **{f"icdar2005{kind}": partial(characters.load_icdar2005, subset=kind) for kind in characters.SUBSETS},
    "chars74k": characters.load_chars74k,
}


def load(name: str, path: Path | None) -> Dataset:
    """Load a data set by name, from ``path`` where it is not embedded.

    Raises:
        UserError: for an unknown name, and for data that is absent, incomplete or something else.
    """
    return known("data set", name, DATASETS)(path)
