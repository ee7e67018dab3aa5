"""``binorm compare``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jsonargparse import SUPPRESS, ArgumentParser, Namespace

from binorm.experiments.commands.command import Command, add_training, data_path, overrides
from binorm.experiments.commands.recipe_options import matching_recipes, natural_key
from binorm.experiments.common.console import CONSOLE, ERRORS, plain
from binorm.experiments.common.errors import UserError
from binorm.experiments.common.run_files import GATES_FILE
from binorm.experiments.recipes import load_recipe
from binorm.experiments.recipes.base import Recipe, recipe_names

if TYPE_CHECKING:
    from binorm.experiments.shifts.catalog import Group


def _run(options: Namespace, command: str) -> int:
    from binorm.experiments.training.budget import parse_budget
    from binorm.experiments.training.compare import train_all

    recipes = [load_recipe(name, overrides(options)) for name in matching_recipes(options.recipes)]
    if len({recipe.series for recipe in recipes}) < len(recipes):
        raise UserError(f"a recipe is named twice: {' '.join(options.recipes)}")
    budget = parse_budget(options.budget) if "budget" in options else None
    if budget is not None and "epochs" in options:
        raise UserError("--budget chooses the epochs: give it or --epochs, not both")
    classifier = _classifier(options)
    groups = _shift_groups(options.shifts if "shifts" in options else None)
    out = Path(options.out)
    norms, seeds = options.norms.split(","), list(range(options.seeds))
    methods = options.methods.split(",") if "methods" in options else None
    diverged = train_all(recipes, norms, seeds, data_path(options), out, command, CONSOLE, budget, methods)
    for error in diverged:
        ERRORS.print("[bold red]diverged:[/]", plain(str(error)))
    _measure_shifted(recipes, out, data_path(options), groups)
    _report(recipes, out, classifier, options)
    return 2 if diverged else 0


def _shift_groups(text: str | None) -> "Sequence[Group]":
    """Of ``--shifts``."""
    from binorm.experiments.analysis.shifted import installed_groups, named_groups

    return installed_groups() if text is None else named_groups(text)


def _measure_shifted(recipes: list[Recipe], out: Path, data: Path | None, groups: "Sequence[Group]") -> None:
    """What trained classifiers make of shifted test pictures; see `add_shifted`."""
    from binorm.experiments.analysis.shifted import add_shifted
    from binorm.experiments.data.processes import default_threads
    from binorm.experiments.recipes.classification import ClassifierRecipe
    from binorm.experiments.training.protocols import Loader

    loader = Loader(data)
    with CONSOLE.status("looking at shifted pictures") as status:
        for recipe in recipes:
            if not groups or not isinstance(recipe, ClassifierRecipe):
                continue
            folder = out.joinpath(*recipe.series)
            try:
                add_shifted(folder, loader, groups, default_threads(), lambda text: status.update(plain(text)))
            except UserError as error:  # what is trained has its report all the same
                ERRORS.print(
                    f"[yellow]warning:[/] {plain(recipe.name)} is not measured on shifted pictures:", plain(str(error))
                )


def _classifier(options: Namespace) -> Path | None:
    """The run that ``--classifier`` names."""
    if "classifier" not in options:
        return None
    run = Path(options.classifier)
    if not (run / GATES_FILE).exists():
        raise UserError(f"{run} has no {GATES_FILE}: --classifier takes a finished run of 'binorm train … --norm bin'")
    return run


def _report(recipes: list[Recipe], out: Path, classifier: Path | None, options: Namespace) -> None:
    """Write the report of each recipe, a table of several that stand beside each other, and figures for print."""
    from binorm.experiments.report import write_report
    from binorm.experiments.report.paper import write_table
    from binorm.experiments.report.publication import write_figures

    finished, failed = [], []
    for recipe in recipes:
        folder = out.joinpath(*recipe.series)
        try:
            report = write_report(folder, classifier)
        except UserError as error:
            failed.append(str(error))  # the others have their reports all the same
            continue
        CONSOLE.print(report.terminal, soft_wrap=False)
        CONSOLE.print(plain(f"report: {report.html}"))
        if report.finished:
            finished.append((recipe, folder))
    columns = [folder for recipe, folder in finished if recipe.task == "classification"]
    if len(columns) > 1:
        table = write_table(columns, out)
        CONSOLE.print(table.terminal, soft_wrap=False)
        CONSOLE.print(plain(f"table: {table.html}"))
    if "figures" in options:
        figures = Path(options.figures)
        for _, folder in finished:
            place = figures if len(finished) == 1 else figures / folder.name
            written = write_figures(folder, place, options.format)
            CONSOLE.print(plain(f"{len(written)} figures of {folder.name} for print: {place}"))
    if failed:
        raise UserError("; ".join(failed))


def _add_arguments(parser: ArgumentParser) -> None:
    names = ", ".join(sorted(recipe_names(), key=natural_key))
    parser.add_argument("recipes", nargs="+", type=str, help=f"names, patterns ('icdar2003-*') or YAML files: {names}")
    parser.add_argument(
        "--norms", type=str, default="bn,in,bn+in,bin", help="with commas; classifiers also gn, ibn-a, sn"
    )
    parser.add_argument("--methods", type=str, default=SUPPRESS, help="with commas, such as source-only,dann")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds, from 0 on")
    parser.add_argument(
        "--budget", type=str, default=SUPPRESS, metavar="TIME", help="shorten the schedules to fit: 30m, 4h, 2d"
    )
    parser.add_argument(
        "--classifier", type=str, default=SUPPRESS, metavar="RUN", help="show its gates beside the style's"
    )
    parser.add_argument("--figures", type=str, default=SUPPRESS, metavar="DIR", help="write figures for print there")
    parser.add_argument("--format", type=Literal["pdf", "svg", "png"], default="pdf", help="of --figures")
    parser.add_argument(
        "--shifts",
        type=str,
        default=SUPPRESS,
        help="of test pictures, to measure on as well: corruptions,style (default: what is installed), or none",
    )
    add_training(parser)


COMMAND = Command(
    "compare",
    "train every norm with every seed and write the report",
    "binorm compare cifar10-resnet20 --data cifar10.zip --budget 2h",
    _add_arguments,
    _run,
    takes_recipes=True,
)
