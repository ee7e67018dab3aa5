"""What each kind of training trains: a module of the kind's name, with its task as ``TASK``."""

from importlib import import_module
from typing import Any

from binorm.experiments.common.errors import lookup
from binorm.experiments.recipes import KINDS
from binorm.experiments.recipes.base import Recipe
from binorm.experiments.training.protocols import Loader
from binorm.experiments.training.task import Task


def task_for(recipe: Recipe, loader: Loader) -> Task[Any]:
    """The task of a recipe's kind."""
    kind = lookup("task", recipe.task, KINDS)
    task: Task[Any] = import_module(f"{__name__}.{kind}").TASK(loader)
    return task
