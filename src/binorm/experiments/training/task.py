"""What a kind of training is to the runner: a `Task`, which makes a `Training` for each run, with its `Objective`."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from binorm.experiments.common.errors import DivergenceError, UserError
from binorm.experiments.recipes.base import Recipe
from binorm.experiments.training.protocols import Loader
from binorm.experiments.training.settings import Settings

R = TypeVar("R", bound=Recipe)
T = TypeVar("T")


class Objective(LightningModule, ABC):
    """What a run minimizes: besides the steps of training, what the recorder and the progress display ask for."""

    recipe: Recipe
    digits: ClassVar[int] = 6  # that a metric is rounded to

    def position(self, epochs: int) -> int:
        """How many of its unit are done after so many epochs of the trainer."""
        return epochs

    @abstractmethod
    def metrics(self) -> Mapping[str, float]:
        """Everything measured in the epoch that ends, by its column's name."""

    @abstractmethod
    def so_far(self) -> str:
        """How the epoch under way goes."""

    @abstractmethod
    def summary(self, row: Mapping[str, float]) -> str:
        """One row of metrics in words."""

    def confusions(self) -> list[list[list[int]]]:
        """The last epoch's confusion matrix of each evaluation set, rows true, columns predicted; none by default."""
        return []

    def check_finite(self, loss: Tensor, step: int, place: str) -> None:
        """Stop at the first loss that is no number. On a GPU every look waits for it, so look rarely.

        Raises:
            DivergenceError: naming ``place``, the step in words, and what to try.
        """
        if (self.device.type == "cpu" or step % 50 == 0) and not torch.isfinite(loss):
            rate = self.recipe.lr
            raise DivergenceError(f"the loss became {loss.item()} in {place}, with lr {rate}: try a lower --lr")


class Batches(Protocol):
    """What an epoch trains on; its length in steps."""

    def __len__(self) -> int:
        """Steps an epoch."""


class Training(ABC):
    """One run about to be trained.

    Attributes:
        network: what is trained.
        objective: by what.
        batches: of training.
        evaluation: the batches of each evaluation set.
        evaluation_names: of these sets.
        classes: that the network tells apart, if any.
        images: training images an epoch.
    """

    network: nn.Module
    objective: Objective
    batches: Batches
    evaluation: Sequence[object] = ()
    evaluation_names: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    images: int

    def compile(self) -> None:
        """Compile what is computed at every step."""
        self.network.compile(dynamic=False)

    def begin(self, folder: Path) -> None:  # noqa: B027 - most kinds have nothing to show
        """Write into the run's folder what can be shown before training; nothing by default."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What ``run.json`` says of the run's data."""

    @abstractmethod
    def save(self, folder: Path, command: str) -> None:
        """Write the trained network, and what it makes of samples; ``command`` is the command line, for the record."""


class Task(ABC, Generic[R]):
    """A kind of training: which runs a recipe stands for, and how each is built.

    Args:
        loader: of data; says where they are.
    """

    norms: ClassVar[Mapping[str, object]]  # those that its networks can have
    norm_kind: ClassVar[str] = "norm"  # what an error about any other calls it

    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    @abstractmethod
    def check(self, recipe: R) -> None:
        """Raise a `UserError` for names in the recipe that nothing is called by."""

    def expand(self, recipe: R, methods: Sequence[str] | None = None) -> list[R]:
        """The recipes that a recipe stands for, each of them of single runs; most stand for themselves.

        Args:
            recipe: any.
            methods: the methods to compare; None for the recipe's own.

        Raises:
            UserError: for names that nothing is called by, and for methods where there are none.
        """
        self.check(recipe)
        if methods:
            raise UserError(
                f"methods apply to recipes of adaptation and generalization only, and {recipe.name} is one of "
                f"{recipe.task}: leave --methods out"
            )
        return [recipe]

    def only_one(self, recipe: R) -> R:
        """The one recipe that a recipe stands for, by its own method.

        Raises:
            UserError: if it stands for several; it says how to name one.
        """
        return self.expand(recipe)[0]

    @abstractmethod
    def size(self, recipe: R) -> tuple[int, int]:
        """Steps and training images of an epoch.

        Raises:
            UserError: for unusable data, and where an epoch would have no batch.
        """

    def data(self, recipe: R) -> Mapping[str, Any] | None:
        """What ``run.json`` says of a run's data, to tell them from others; None where none are named or found.

        Raises:
            UserError: for unusable data.
        """
        return None

    def warnings(self, recipe: R) -> Sequence[str]:
        """What a user should know of the data before they are trained on, a sentence each."""
        return ()

    def seconds(self, recipe: R, norm: str) -> float | None:
        """What an epoch is going to take, evaluation included; None where that is not measured beforehand."""
        return None

    @abstractmethod
    def settings(self, recipe: R, images: int) -> Settings:
        """How a run of so many training images an epoch computes on this machine."""

    @abstractmethod
    def training(self, recipe: R, norm: str, seed: int, settings: Settings) -> Training:
        """Build one run. Every norm starts from the same weights with one seed."""
