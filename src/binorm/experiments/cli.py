"""The command ``binorm``: finds the command asked for, and turns what goes wrong into messages and exit codes."""

import logging
import shlex
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser

from binorm.experiments.commands import COMMANDS
from binorm.experiments.commands.command import Command
from binorm.experiments.commands.recipe_options import add_recipe_options, tasks_with
from binorm.experiments.common.console import ERRORS, plain, show_any_character
from binorm.experiments.common.errors import Interrupted, UserError, nearest
from binorm.experiments.common.text import listed
from binorm.experiments.recipes.base import explain


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code: 0, 2 for the user's mistake, 128 + n when stopped by signal n."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    show_any_character()
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning  # type: ignore[assignment]
            return _run(arguments)
    except (UserError, ArgumentError) as error:
        message = explain(error) if isinstance(error, ArgumentError) else str(error)
        ERRORS.print("[bold red]error:[/]", plain(message))
        return 2
    except Interrupted as stop:
        ERRORS.print(f"stopped; every finished epoch is kept. Go on with:\n  binorm {plain(shlex.join(arguments))}")
        return 128 + stop.signal_number
    except KeyboardInterrupt:
        ERRORS.print("stopped")
        return 130


def _run(arguments: list[str]) -> int:
    # On a CPU it misses a GPU at each compilation.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    parsers = {name: _parser(command, arguments[1:]) for name, command in COMMANDS.items()}
    parser = _main_parser(parsers)
    if not arguments:
        parser.print_help()
        return 2
    command = arguments[0]
    if not command.startswith("-") and command not in COMMANDS:
        raise UserError(f"unknown command {command!r}{nearest(command, COMMANDS)} Known: {', '.join(COMMANDS)}")
    if command in COMMANDS:
        _check_options(COMMANDS[command], arguments[1:], parsers[command])
    parsed = parser.parse_args(arguments)
    return COMMANDS[parsed.command].run(parsed[parsed.command], "binorm " + shlex.join(arguments))


def _parser(command: Command, arguments: Sequence[str]) -> ArgumentParser:
    """A command's options: its own, and the fields of the recipes that ``arguments`` name."""
    parser = ArgumentParser(
        exit_on_error=False, description=f"{command.summary}.", epilog=f"example: {command.example}"
    )
    command.add_arguments(parser)
    if command.takes_recipes:
        add_recipe_options(parser, command.name, arguments)
    return parser


def _main_parser(parsers: dict[str, ArgumentParser]) -> ArgumentParser:
    from binorm import __version__

    parser = ArgumentParser(
        prog="binorm",
        description="Batch-Instance Normalization: train, compare and explain.",
        version=__version__,
        exit_on_error=False,
    )
    commands = parser.add_subcommands(dest="command")
    for name, each in parsers.items():
        commands.add_subcommand(name, each, help=COMMANDS[name].summary)
    return parser


def _check_options(command: Command, arguments: Sequence[str], parser: ArgumentParser) -> None:
    """Name the nearest option for an unknown one, or the recipes that it applies to."""
    options = dict.fromkeys(option for action in parser._actions for option in action.option_strings)
    for argument in arguments:
        option = argument.split("=")[0]
        if not option.startswith("--") or option in options:
            continue
        if command.takes_recipes and (tasks := tasks_with(option)):
            raise UserError(f"{option} applies to recipes of {listed(tasks)} only: leave it out")
        raise UserError(
            f"unknown option {option} of binorm {command.name}{nearest(option, options)} "
            f"'binorm {command.name} --help' lists them"
        )


def _show_warning(message: Warning | str, *_: Any) -> None:
    ERRORS.print("[yellow]warning:[/]", plain(str(message)))


if __name__ == "__main__":
    sys.exit(main())
