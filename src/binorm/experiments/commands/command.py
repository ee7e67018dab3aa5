"""The shape of a command, and the options that several commands share.

Heavy libraries are imported where a command runs, so that ``--help`` does not wait for them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonargparse import SUPPRESS, ArgumentParser, Namespace

from binorm.experiments.recipes.base import Recipe, field_help, field_types
from binorm.experiments.recipes.stylization import StyleRecipe

NOT_OVERRIDABLE = {"name", "title", "full_epochs", "full_steps"}


@dataclass(frozen=True)
class Command:
    """One command of ``binorm``.

    Attributes:
        name: as it is typed.
        summary: what it does, as the end of a sentence.
        example: a whole command line.
        add_arguments: adds its options to a parser.
        run: does it, given the parsed options and the command line as typed; returns the exit code.
    """

    name: str
    summary: str
    example: str
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace, str], int]


def add_data(parser: ArgumentParser) -> None:
    """``--data``."""
    parser.add_argument(
        "--data", type=str, default=SUPPRESS, metavar="PATH", help="a folder, zip or tar file; see 'binorm data'"
    )


def data_path(options: Namespace) -> Path | None:
    """What ``--data`` says."""
    return Path(options.data) if "data" in options else None


def add_training(parser: ArgumentParser) -> None:
    """``--data``, ``--out`` and every field of a recipe, of several networks or of a style."""
    add_data(parser)
    parser.add_argument("--out", type=str, default="runs", metavar="DIR", help="folder of all runs")
    for kind in (Recipe, StyleRecipe):
        types = field_types(kind)
        for name, text in field_help(kind).items():
            options = dict.fromkeys((f"--{name}", f"--{name.replace('_', '-')}"))
            if name in NOT_OVERRIDABLE or f"--{name}" in parser._option_string_actions:
                continue
            flag: dict[str, Any] = {"nargs": "?", "const": True} if types[name] is bool else {}
            parser.add_argument(*options, type=types[name], default=SUPPRESS, help=text, **flag)


def overrides(options: Namespace) -> dict[str, Any]:
    """The fields of a recipe that were given as options."""
    return {name: options[name] for kind in (Recipe, StyleRecipe) for name in field_types(kind) if name in options}
