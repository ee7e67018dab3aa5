"""The shape of a command, and the options that several commands share.

Heavy libraries are imported where a command runs, so that ``--help`` does not wait for them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import SUPPRESS, ArgumentParser, Namespace

from binorm.experiments.recipes import KINDS, recipe_class
from binorm.experiments.recipes.base import Recipe, field_help, field_types

if TYPE_CHECKING:
    from binorm.experiments.classifiers.classifier import Classifier


@dataclass(frozen=True)
class Command:
    """One command of ``binorm``.

    Attributes:
        name: as it is typed.
        summary: what it does, as the end of a sentence.
        example: a whole command line.
        add_arguments: adds its options to a parser.
        run: does it, given the parsed options and the command line as typed; returns the exit code.
        takes_recipes: whether it trains recipes: then their fields are options as well, those of the recipes named.
    """

    name: str
    summary: str
    example: str
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace, str], int]
    takes_recipes: bool = False


def add_data(parser: ArgumentParser) -> None:
    """``--data``."""
    parser.add_argument(
        "--data", type=str, default=SUPPRESS, metavar="PATH", help="a folder, zip or tar file; see 'binorm data'"
    )


def data_path(options: Namespace) -> Path | None:
    """What ``--data`` says."""
    return Path(options.data) if "data" in options else None


def add_model(parser: ArgumentParser, more: str = "") -> None:
    """The trained classifier that a command is about, with ``--model`` and ``--classes``; see `chosen_classifier`.

    ``more`` ends the sentence that says what it may be.
    """
    parser.add_argument(
        "classifier",
        metavar="MODEL",
        type=str,
        help="a run's folder, a file of weights, efficientnet-lite0, timm:NAME, torchvision:NAME or hf-hub:USER/NAME"
        + more,
    )
    parser.add_argument(
        "--model", type=str, default="", metavar="NAME", help="the network whose state dict MODEL is, such as timm:NAME"
    )
    parser.add_argument("--classes", type=str, default=SUPPRESS, metavar="FILE", help="the classes' names, one a line")


def chosen_classifier(options: Namespace) -> "Classifier":
    """What the options of `add_model` mean."""
    from binorm.experiments.classifiers.find import find_classifier

    return find_classifier(options.classifier, options.model, Path(options.classes) if "classes" in options else None)


def add_training(parser: ArgumentParser) -> None:
    """``--data`` and ``--out``."""
    add_data(parser)
    parser.add_argument("--out", type=str, default="runs", metavar="DIR", help="folder of all runs")


def add_fields(parser: ArgumentParser, kinds: Sequence[type[Recipe]], values: Mapping[str, Any] | None = None) -> None:
    """Every field of these kinds of recipe that a command line may set, with hyphens as well.

    Args:
        parser: gets the options.
        kinds: of recipe.
        values: of one recipe's fields, for the help.
    """
    for kind in kinds:
        types = field_types(kind)
        for name, text in field_help(kind).items():
            if name in kind.NOT_OPTIONS or f"--{name}" in parser._option_string_actions:
                continue
            if values and name in values:
                text = f"{text.rstrip('.')} ({values['name']}: {values[name]})"
            options = dict.fromkeys((f"--{name}", f"--{name.replace('_', '-')}"))
            flag: dict[str, Any] = {"nargs": "?", "const": True} if types[name] is bool else {}
            parser.add_argument(*options, type=types[name], default=SUPPRESS, help=text, **flag)


def overrides(options: Namespace) -> dict[str, Any]:
    """The fields of a recipe that were given as options."""
    names = {name for task in KINDS for name in field_types(recipe_class(task))}
    return {name: options[name] for name in names if name in options}
