"""Which recipes a command line is about, found before its options are read: they depend on the recipes' kinds."""

import argparse
import dataclasses
import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from typing import Any

from jsonargparse import ArgumentParser

from binorm.experiments.commands.command import add_fields
from binorm.experiments.common.errors import UserError
from binorm.experiments.common.text import listed
from binorm.experiments.recipes import KINDS, recipe_class, task_of
from binorm.experiments.recipes.base import Recipe, field_names, read_fields, recipe_names

CLASSIFIERS = ("classification", "mixed", "adaptation", "generalization")
OPTIONS = {  # those of commands that are for some tasks only
    "--budget": CLASSIFIERS,
    "--figures": CLASSIFIERS,
    "--format": CLASSIFIERS,
    "--shifts": CLASSIFIERS,
    "--methods": ("adaptation", "generalization"),
    "--classifier": ("stylization",),
}


def add_recipe_options(parser: ArgumentParser, command: str, arguments: Sequence[str]) -> None:
    """Add the fields of the recipes that a command line names, and drop the command's options that are not for them.

    Where it names none, or none that can be read, the fields that all recipes have are added, and all for an error to
    be found by whoever reads them.

    Args:
        parser: of a command, with its own options.
        command: its name.
        arguments: all but the command.
    """
    found = _named_recipes(arguments, parser._option_string_actions)
    if found:
        tasks = {task_of(fields) for fields in found}
        for option in OPTIONS:
            if option in parser._option_string_actions and not tasks & set(OPTIONS[option]):
                _drop(parser, option)
        parser.description = f"{parser.description} Below are the options for {listed(sorted(tasks))}."
        parser._actions[1].help = "names, patterns ('icdar2003-*') or YAML files"
        kinds = list(dict.fromkeys(recipe_class(task) for task in tasks))
        add_fields(parser, kinds, _with_defaults(kinds[0], found[0]) if len(found) == 1 else None)
    elif any(not each.startswith("-") for each in arguments):
        add_fields(parser, [recipe_class(task) for task in KINDS])
    else:
        parser.description = f"{parser.description} 'binorm {command} RECIPE --help' lists the options of that recipe."
        add_fields(parser, [Recipe])


def _drop(parser: ArgumentParser, option: str) -> None:
    """Make a parser forget one of its options."""
    action = parser._option_string_actions[option]
    parser._remove_action(action)
    for group in parser._action_groups:
        if action in group._group_actions:
            group._group_actions.remove(action)
    for each in action.option_strings:
        parser._option_string_actions.pop(each, None)
    parser._defaults.pop(action.dest, None)


def _with_defaults(kind: type[Recipe], given: dict[str, Any]) -> dict[str, Any]:
    """The values of a recipe's fields, as far as they have any that could be shown."""
    defaults = {each.name: each.default for each in dataclasses.fields(kind)}
    values = {name: value for name, value in (defaults | given).items() if value is not dataclasses.MISSING}
    return {name: value for name, value in values.items() if value not in ("", None)}


def _named_recipes(arguments: Sequence[str], own_options: Iterable[str]) -> list[dict[str, Any]]:
    """The fields of each recipe that a command line names, with the task it gives; empty where one is no recipe."""
    finder = argparse.ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
    finder.add_argument("recipes", nargs="*")
    names = {f"--{name}" for task in KINDS for name in field_names(recipe_class(task))}
    for option in names | {each.replace("_", "-") for each in names} | set(own_options):
        if option.startswith("--") and option != "--help":
            finder.add_argument(option, nargs="?")
    try:
        found = finder.parse_known_intermixed_args(list(arguments))[0]
        task = {"task": found.task} if found.task else {}
        recipes = [read_fields(name)[1] | task for name in matching_recipes(found.recipes)]
        for fields in recipes:
            recipe_class(task_of(fields))
        return recipes
    except (UserError, argparse.ArgumentError):
        return []


def tasks_with(option: str) -> tuple[str, ...]:
    """The tasks whose recipes have an option; none for an option of no recipe."""
    name = option.removeprefix("--").replace("-", "_")
    return OPTIONS.get(option) or tuple(task for task in KINDS if name in field_names(recipe_class(task)))


def matching_recipes(patterns: Sequence[str]) -> list[str]:
    """Recipes by name, file or pattern such as ``icdar2003-*``, numbers within a pattern by their size.

    Raises:
        UserError: for a pattern that no recipe matches.
    """
    names = []
    for pattern in patterns:
        if any(character in pattern for character in "*?[") and not pattern.endswith((".yaml", ".yml")):
            matching = [name for name in recipe_names() if fnmatch(name, pattern)]
            if not matching:
                raise UserError(f"no recipe is called like {pattern!r}. Known: {', '.join(recipe_names())}")
            names += sorted(matching, key=natural_key)
        else:
            names.append(pattern)
    return names


def natural_key(name: str) -> list[tuple[int, str]]:
    """A sort key that puts resnet8 before resnet14."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
