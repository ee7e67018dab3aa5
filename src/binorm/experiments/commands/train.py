"""``binorm train``."""

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from binorm.experiments.commands.command import Command, add_training, data_path, overrides
from binorm.experiments.common.console import CONSOLE
from binorm.experiments.recipes import load_recipe


def _run(options: Namespace, command: str) -> int:
    from binorm.experiments.runs.folder import run_folder
    from binorm.experiments.training.compare import train_all
    from binorm.experiments.training.protocols import Loader
    from binorm.experiments.training.tasks import task_for

    out, data = Path(options.out), data_path(options)
    recipe = load_recipe(options.recipe, overrides(options))
    recipe = task_for(recipe, Loader(data)).only_one(recipe)
    methods = [method] if (method := getattr(recipe, "method", "")) else None
    for error in train_all([recipe], [options.norm], [options.seed], data, out, command, CONSOLE, methods=methods):
        raise error
    CONSOLE.print(f"run: {run_folder(out, recipe, options.norm, options.seed)}")
    return 0


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("recipe", type=str, help="a recipe's name or YAML file")
    parser.add_argument("--norm", type=str, default="bin", help="bn, in, bn+in, bin, gn, ibn-a or sn")
    parser.add_argument("--seed", type=int, default=0, help="of the weights and the order of the images")
    add_training(parser)


COMMAND = Command(
    "train",
    "train one network",
    "binorm train digits --norm bin --seed 0",
    _add_arguments,
    _run,
    takes_recipes=True,
)
