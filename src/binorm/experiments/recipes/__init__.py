"""Recipes: what an experiment trains, on what, and how. One YAML file each; every field can be overridden.

A kind of training is a line in `KINDS` and three modules of one name: here its recipe class (``RECIPE``), in
``training/tasks`` what it trains (``TASK``), and in ``report`` its part of the report.
"""

from importlib import import_module
from typing import Any

from binorm.experiments.common.errors import UserError, lookup
from binorm.experiments.recipes.base import Recipe, field_names, read_fields

KINDS = {  # a recipe's field ``task`` -> the kind of training
    "classification": "classification",
    "mixed": "domains",
    "adaptation": "domains",
    "generalization": "domains",
    "stylization": "stylization",
}


def recipe_class(task: str) -> type[Recipe]:
    """The class of the recipes that have this task.

    Raises:
        UserError: for an unknown task; it names the nearest one.
    """
    kind: type[Recipe] = import_module(f"{__name__}.{lookup('task', task, KINDS)}").RECIPE
    return kind


def task_of(fields: dict[str, Any]) -> str:
    """The task that a recipe's plain values name."""
    return str(fields.get("task", "classification"))


def load_recipe(name: str, overrides: dict[str, Any] | None = None) -> Recipe:
    """Read a recipe by its name or from a YAML file, with some of its fields overridden; see `from_overrides`.

    Raises:
        UserError: for an unknown recipe, field or value; it names the nearest known one.
    """
    path, fields = read_fields(name)
    overrides = overrides or {}
    kind = recipe_class(task_of(fields | overrides))
    for key in map(str, (*fields, *overrides)):
        check_field(name, key, [kind])
    return kind.from_overrides(fields, overrides, str(path))


def check_field(recipe: str, name: str, kinds: list[type[Recipe]]) -> None:
    """Raise a `UserError` where none of a recipe's kinds has such a field; it says which has, or the nearest name."""
    choices = dict.fromkeys(field for kind in kinds for field in field_names(kind))
    having = [task for task in KINDS if name in field_names(recipe_class(task))]
    if name not in choices and having:
        raise UserError(f"{name} applies to recipes of {', '.join(having)} only (got it for {recipe}): leave it out")
    lookup(f"field of recipe {recipe!r}:", name, choices)


def stored_recipe(fields: dict[str, Any], source: str) -> Recipe:
    """A recipe as a run keeps it. Fields that its kind had at some time and has no more are left out.

    Raises:
        UserError: for values that make no recipe; it names ``source``.
    """
    if not isinstance(fields, dict):
        raise UserError(f"{source} should be the fields of a recipe (got {type(fields).__name__})")
    kind = recipe_class(task_of(fields))
    return kind.from_fields({name: fields[name] for name in field_names(kind) if name in fields}, source)
