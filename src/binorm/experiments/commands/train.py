"""``binorm train``."""

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from binorm.experiments.commands.command import Command, add_training, data_path, overrides
from binorm.experiments.common.console import CONSOLE
from binorm.experiments.recipes.base import load_recipe
from binorm.experiments.recipes.stylization import is_style_recipe, load_style_recipe


def _run(options: Namespace, command: str) -> int:
    from binorm.experiments.training.compare import train_all
    from binorm.experiments.training.protocols import only_one
    from binorm.experiments.training.run import run_folder

    if is_style_recipe(options.recipe):
        return _train_style(options, command)
    recipe = load_recipe(options.recipe, overrides(options))
    out, data = Path(options.out), data_path(options)
    recipe = only_one(recipe, data)
    methods = [recipe.method] if recipe.method else None
    diverged = train_all([recipe], [options.norm], [options.seed], data, out, command, CONSOLE, methods=methods)
    for error in diverged:
        raise error
    CONSOLE.print(f"run: {run_folder(out, recipe, options.norm, options.seed)}")
    return 0


def _train_style(options: Namespace, command: str) -> int:
    from binorm.experiments.training.style_run import style_run_folder, train_styles

    recipe = load_style_recipe(options.recipe, overrides(options))
    out = Path(options.out)
    for error in train_styles(recipe, [options.norm], [options.seed], data_path(options), out, command, CONSOLE):
        raise error
    CONSOLE.print(f"run: {style_run_folder(out, recipe, options.norm, options.seed)}")
    return 0


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("recipe", type=str, help="a recipe's name or YAML file")
    parser.add_argument("--norm", type=str, default="bin", help="bn, in, bn+in, bin, gn, ibn-a or sn")
    parser.add_argument("--seed", type=int, default=0, help="of the weights and the order of the pictures")
    add_training(parser)


COMMAND = Command("train", "train one network", "binorm train digits --norm bin --seed 0", _add_arguments, _run)
