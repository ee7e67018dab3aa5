"""``binorm gates``."""

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from binorm.experiments.commands.command import Command
from binorm.experiments.console import CONSOLE


def _run(options: Namespace, command: str) -> int:
    from binorm.experiments.gate_table import gate_table

    CONSOLE.print(gate_table(Path(options.checkpoint)), soft_wrap=False)
    return 0


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=str, help="a run's folder, a .safetensors, or a saved state_dict()")


COMMAND = Command(
    "gates", "where the gates of a network stand", "binorm gates runs/digits/bin/seed0", _add_arguments, _run
)
