"""Many runs side by side: every norm with every seed, then the report."""

from pathlib import Path

from rich.console import Console

from binorm.experiments import data
from binorm.experiments.errors import UserError, known
from binorm.experiments.machine import choose_settings
from binorm.experiments.models import MODELS
from binorm.experiments.models.norms import NORMS
from binorm.experiments.progress import ProgressDisplay
from binorm.experiments.recipe import Recipe
from binorm.experiments.run import run, run_folder, run_status
from binorm.experiments.tasks import TASKS
from binorm.experiments.tasks.classification import DivergenceError


def train_all(
    recipe: Recipe,
    norms: list[str],
    seeds: list[int],
    data_path: Path | None,
    out: Path,
    command: str,
    console: Console,
) -> list[DivergenceError]:
    """Train what is not finished yet, seed by seed, so that an early look already compares pairs.

    A diverged run does not stop the others; its error is returned.

    Raises:
        UserError: for unknown names, unusable data or an ``out`` that holds something else.
    """
    known("task", recipe.task, TASKS)
    known("network", recipe.model, MODELS)
    known("data set", recipe.dataset, data.DATASETS)
    for norm in norms:
        known("norm", norm, NORMS)
    if not seeds:
        raise UserError("seeds should be at least 1 (got 0)")
    if not norms or len(set(norms)) < len(norms):
        raise UserError(f"norms should name each norm once (got {','.join(norms)!r})")
    runs = [(norm, seed) for seed in seeds for norm in norms]
    open_runs = [
        (norm, seed)
        for norm, seed in runs
        if run_status(run_folder(out, recipe, norm, seed), recipe) not in ("finished", "diverged")
    ]
    if done := len(runs) - len(open_runs):
        console.print(f"{done} of {len(runs)} runs are done already, in {out / recipe.name}")
    if not open_runs:
        return []
    dataset = data.load(recipe.dataset, data_path)
    if dataset.skipped:
        console.print(
            f"[yellow]warning:[/] {len(dataset.skipped)} broken training pictures are left out: "
            f"{', '.join(dataset.skipped[:5])}{', …' if len(dataset.skipped) > 5 else ''}"
        )
    settings = choose_settings(recipe, len(dataset.train))
    console.print(
        f"{recipe.title}: {len(dataset.train):,} training pictures, {_counted(recipe.epochs, 'epoch')}"
        f"{_short(recipe)}, {_counted(len(open_runs), 'run')} on {settings}"
    )
    diverged = []
    steps = recipe.epochs * (len(dataset.train) // recipe.batch_size)
    with ProgressDisplay(console, len(open_runs), steps) as display:
        for norm, seed in open_runs:
            try:
                run(recipe, norm, seed, dataset, out, command, display)
            except DivergenceError as error:
                diverged.append(error)
    return diverged


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"


def _short(recipe: Recipe) -> str:
    return f" (short schedule: the full recipe has {recipe.full_epochs})" if recipe.epochs < recipe.full_epochs else ""
