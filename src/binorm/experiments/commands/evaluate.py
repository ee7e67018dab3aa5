"""``binorm evaluate``."""

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from binorm.experiments.commands.command import Command, add_data, data_path
from binorm.experiments.common.console import CONSOLE


def _run(options: Namespace, command: str) -> int:
    from binorm.experiments.analysis.evaluate import evaluate

    CONSOLE.print(evaluate(Path(options.checkpoint), data_path(options)), soft_wrap=False)
    return 0


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=str, help="a run's folder or its model.safetensors")
    add_data(parser)


COMMAND = Command(
    "evaluate",
    "accuracy of a trained network on its evaluation sets",
    "binorm evaluate runs/digits/bin/seed0",
    _add_arguments,
    _run,
)
