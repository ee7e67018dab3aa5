"""``binorm compare``."""

import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

from jsonargparse import SUPPRESS, ArgumentParser, Namespace

from binorm.experiments.commands.command import Command, add_training, data_path, overrides
from binorm.experiments.common.console import CONSOLE, ERRORS, plain
from binorm.experiments.common.errors import UserError
from binorm.experiments.recipes import KINDS
from binorm.experiments.recipes.base import load_recipe, recipe_names
from binorm.experiments.recipes.stylization import is_style_recipe, load_style_recipe


def _run(options: Namespace, command: str) -> int:
    from binorm.experiments.training.budget import parse_budget
    from binorm.experiments.training.compare import train_all

    names = _expand(options.recipes)
    if any(is_style_recipe(name) for name in names):
        return _compare_styles(names, options, command)
    if "classifier" in options:
        raise UserError("--classifier is of style recipes: leave it out")
    recipes = [load_recipe(name, overrides(options)) for name in names]
    if len({recipe.name for recipe in recipes}) < len(recipes):
        raise UserError(f"a recipe is named twice: {' '.join(options.recipes)}")
    budget = parse_budget(options.budget) if "budget" in options else None
    if budget is not None and "epochs" in options:
        raise UserError("--budget chooses the epochs: give it or --epochs, not both")
    out = Path(options.out)
    norms, seeds = options.norms.split(","), list(range(options.seeds))
    methods = options.methods.split(",") if "methods" in options else None
    diverged = train_all(recipes, norms, seeds, data_path(options), out, command, CONSOLE, budget, methods)
    for error in diverged:
        ERRORS.print("[bold red]diverged:[/]", plain(str(error)))
    folders = _report([out / recipe.name for recipe in recipes])
    kinds = {out / recipe.name: KINDS[recipe.task] for recipe in recipes}
    columns = [folder for folder in folders if kinds[folder] == "classification"]
    if len(columns) > 1:
        _write_table(columns, out)
    if "figures" in options:
        _write_figures(folders, Path(options.figures), options.format)
    return 2 if diverged else 0


def _compare_styles(names: list[str], options: Namespace, command: str) -> int:
    from binorm.experiments.report import write_report
    from binorm.experiments.training.style_run import train_styles

    if len(names) > 1:
        raise UserError(f"styles are compared one recipe at a time (got {' '.join(names)})")
    for name in ("budget", "methods", "figures"):
        if name in options:
            raise UserError(f"--{name} is not of style recipes: leave it out (--steps sets the length)")
    recipe = load_style_recipe(names[0], overrides(options))
    classifier = Path(options.classifier) if "classifier" in options else None
    if classifier and not (classifier / "gates.json").exists():
        raise UserError(
            f"{classifier} has no gates.json: --classifier takes a finished run of 'binorm train … --norm bin'"
        )
    out = Path(options.out)
    norms, seeds = options.norms.split(","), list(range(options.seeds))
    diverged = train_styles(recipe, norms, seeds, data_path(options), out, command, CONSOLE)
    for error in diverged:
        ERRORS.print("[bold red]diverged:[/]", plain(str(error)))
    report = write_report(out / recipe.name / recipe.style_name, classifier)
    CONSOLE.print(report.terminal, soft_wrap=False)
    CONSOLE.print(plain(f"report: {report.html}"))
    return 2 if diverged else 0


def _expand(patterns: list[str]) -> list[str]:
    """Recipes by name, file or pattern such as ``icdar2003-*``, numbers within a pattern by their size."""
    names = []
    for pattern in patterns:
        if any(character in pattern for character in "*?[") and not pattern.endswith((".yaml", ".yml")):
            matching = [name for name in recipe_names() if fnmatch(name, pattern)]
            if not matching:
                raise UserError(f"no recipe is called like {pattern!r}. Known: {', '.join(recipe_names())}")
            names += sorted(matching, key=_natural)
        else:
            names.append(pattern)
    return names


def _natural(name: str) -> list[tuple[int, str]]:
    """A sort key that puts resnet8 before resnet14."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _report(folders: list[Path]) -> list[Path]:
    """Write each recipe's report; return the folders with a finished run, which there is more to say of."""
    from binorm.experiments.report import write_report

    finished = []
    for folder in folders:
        report = write_report(folder)
        CONSOLE.print(report.terminal, soft_wrap=False)
        CONSOLE.print(plain(f"report: {report.html}"))
        if report.finished:
            finished.append(folder)
    return finished


def _write_table(folders: list[Path], out: Path) -> None:
    from binorm.experiments.report.paper import write_table

    table = write_table(folders, out)
    CONSOLE.print(table.terminal, soft_wrap=False)
    CONSOLE.print(plain(f"table: {table.html}"))


def _write_figures(folders: list[Path], out: Path, file_format: str) -> None:
    from binorm.experiments.report.publication import write_figures

    for folder in folders:
        written = write_figures(folder, out if len(folders) == 1 else out / folder.name, file_format)
        CONSOLE.print(plain(f"{len(written)} figures of {folder.name} for print: {written[0].parent}"))


def _add_arguments(parser: ArgumentParser) -> None:
    names = ", ".join(sorted(recipe_names(), key=_natural))
    parser.add_argument("recipes", nargs="+", type=str, help=f"names, patterns ('icdar2003-*') or YAML files: {names}")
    parser.add_argument("--norms", type=str, default="bn,in,bn+in,bin", help="with commas; also gn, ibn-a, sn")
    parser.add_argument(
        "--methods", type=str, default=SUPPRESS, help="of recipes over several domains, with commas: source-only,dann"
    )
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds, from 0 on")
    parser.add_argument(
        "--budget", type=str, default=SUPPRESS, metavar="TIME", help="shorten the schedules to fit: 30m, 4h, 2d"
    )
    parser.add_argument(
        "--classifier", type=str, default=SUPPRESS, metavar="RUN", help="of styles: show its gates beside the style's"
    )
    parser.add_argument("--figures", type=str, default=SUPPRESS, metavar="DIR", help="write figures for print there")
    parser.add_argument("--format", type=Literal["pdf", "svg", "png"], default="pdf", help="of --figures")
    add_training(parser)


COMMAND = Command(
    "compare",
    "train every norm with every seed and write the report",
    "binorm compare cifar10-resnet20 --data cifar10.zip --budget 2h",
    _add_arguments,
    _run,
)
