"""The data sets by name."""

from collections.abc import Callable
from pathlib import Path

from binorm.experiments.data import cifar, digits
from binorm.experiments.data.dataset import Dataset
from binorm.experiments.errors import known

DATASETS: dict[str, Callable[[Path | None], Dataset]] = {
    "digits": digits.load,
    "cifar10": cifar.load_cifar10,
}


def load(name: str, path: Path | None) -> Dataset:
    """Load a data set by name, from ``path`` where it is not embedded.

    Raises:
        UserError: for an unknown name, and for data that is absent, incomplete or something else.
    """
    return known("data set", name, DATASETS)(path)
