"""Many runs side by side: every recipe and norm with every seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from rich.console import Console

from binorm.experiments import data
from binorm.experiments.budget import Cost, measure, share_of_schedule
from binorm.experiments.data.dataset import Dataset, ImageSet
from binorm.experiments.data.validation import hold_out
from binorm.experiments.errors import UserError, known
from binorm.experiments.machine import choose_settings
from binorm.experiments.models import check_name
from binorm.experiments.models.norms import NORMS
from binorm.experiments.progress import ProgressDisplay, duration
from binorm.experiments.recipe import Recipe
from binorm.experiments.run import run, run_folder, run_status
from binorm.experiments.tasks import TASKS
from binorm.experiments.tasks.classification import DivergenceError

STREAMED_SIZE = 224  # of pictures that are decoded as they are needed, where the recipe names no size


@dataclass(frozen=True, eq=False)
class _Plan:
    """One recipe with its data, the runs that are still to be trained, and what each norm costs."""

    recipe: Recipe
    dataset: Dataset
    runs: list[tuple[str, int]]
    costs: dict[str, Cost]

    def seconds_an_epoch(self) -> float:
        """Of all open runs together."""
        return sum(self.costs[norm].epoch(self.dataset) for norm, _ in self.runs)

    def seconds(self) -> float:
        """Of all open runs, estimated."""
        return self.recipe.epochs * self.seconds_an_epoch()


def train_all(
    recipes: Sequence[Recipe],
    norms: list[str],
    seeds: list[int],
    data_path: Path | None,
    out: Path,
    command: str,
    console: Console,
    budget: float | None = None,
) -> list[DivergenceError]:
    """Train what is not finished yet, seed by seed, so that an early look already compares pairs.

    With a ``budget`` in seconds every recipe's schedule is shortened by the same share, so that all open runs fit into
    it as far as a short measurement tells; recipes with runs in ``out`` keep the length that those have.
    A diverged run does not stop the others; its error is returned.

    Raises:
        UserError: for unknown names, unusable data or an ``out`` that holds something else.
    """
    _check(recipes, norms, seeds)
    wanted = [(norm, seed) for seed in seeds for norm in norms]
    if budget is not None:
        recipes = [_as_begun(recipe, out) for recipe in recipes]
    plans = _plans(recipes, wanted, data_path, out, console)
    if budget is not None:
        plans = _shortened(plans, budget, out, console)
    for plan in plans:
        _announce(plan, console)
    if len(plans) > 1:
        console.print(f"all together: about {duration(sum(plan.seconds() for plan in plans))}")
    return [error for plan in plans for error in _train(plan, out, command, console)]


def _check(recipes: Sequence[Recipe], norms: list[str], seeds: list[int]) -> None:
    for recipe in recipes:
        known("task", recipe.task, TASKS)
        check_name(recipe.model)
        known("data set", recipe.dataset, data.DATASETS)
    for norm in norms:
        known("norm", norm, NORMS)
    if not seeds:
        raise UserError("seeds should be at least 1 (got 0)")
    if not norms or len(set(norms)) < len(norms):
        raise UserError(f"norms should name each norm once (got {','.join(norms)!r})")


def _plans(
    recipes: Sequence[Recipe], wanted: list[tuple[str, int]], data_path: Path | None, out: Path, console: Console
) -> list[_Plan]:
    """A plan for each recipe with open runs; data that several recipes share is loaded once."""
    loaded: dict[tuple[str, int, float], Dataset] = {}
    plans = []
    for recipe in recipes:
        statuses = {each: run_status(run_folder(out, recipe, *each), recipe) for each in wanted}
        open_runs = [each for each, status in statuses.items() if status not in ("finished", "diverged")]
        if done := len(wanted) - len(open_runs):
            console.print(f"{done} of {len(wanted)} runs are done already, in {out / recipe.name}")
        if not open_runs:
            continue
        key = recipe.dataset, recipe.image_size, recipe.validation
        if key not in loaded:
            loaded[key] = hold_out(data.load(recipe.dataset, data_path, recipe.image_size), recipe.validation)
            _warn_of_skipped(loaded[key], console)
        dataset = loaded[key]
        settings = choose_settings(recipe, len(dataset.train))
        costs = measure(recipe, [norm for norm, _ in open_runs], dataset, settings, _size(dataset, recipe))
        plans.append(_Plan(recipe, dataset, open_runs, costs))
    return plans


def _size(dataset: Dataset, recipe: Recipe) -> int:
    own = int(dataset.train.images.shape[1]) if isinstance(dataset.train, ImageSet) else STREAMED_SIZE
    return recipe.image_size or own


def _warn_of_skipped(dataset: Dataset, console: Console) -> None:
    if dataset.skipped:
        console.print(
            f"[yellow]warning:[/] {len(dataset.skipped)} broken training pictures are left out: "
            f"{', '.join(dataset.skipped[:5])}{', …' if len(dataset.skipped) > 5 else ''}"
        )


def _as_begun(recipe: Recipe, out: Path) -> Recipe:
    """The recipe at the length of the runs that an earlier budget began, so that they are gone on with."""
    for path in sorted((out / recipe.name).glob("*/seed*/config.yaml")):
        try:
            return recipe.shortened(int(yaml.safe_load(path.read_text())["epochs"]))
        except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError):
            continue  # `run_status` says what is wrong with it
    return recipe


def _shortened(plans: list[_Plan], budget: float, out: Path, console: Console) -> list[_Plan]:
    free = [plan for plan in plans if not (out / plan.recipe.name).exists()]
    rest = budget - sum(plan.seconds() for plan in plans if plan not in free)
    if not free:
        return plans
    full = sum(plan.seconds() for plan in free)
    epochs = share_of_schedule(full, max(rest, 0.0), {plan.recipe.name: plan.recipe.epochs for plan in free})
    shortened = [
        _Plan(plan.recipe.shortened(epochs[plan.recipe.name]), plan.dataset, plan.runs, plan.costs)
        if plan in free
        else plan
        for plan in plans
    ]
    needed = sum(plan.seconds() for plan in shortened)
    if needed > 1.1 * budget:
        raise UserError(
            f"one epoch of every run takes about {duration(needed)} on this machine, more than the --budget of "
            f"{duration(budget)}: give more, or fewer --norms or --seeds"
        )
    lengths = ", ".join(f"{plan.recipe.name} {plan.recipe.epochs} of {plan.recipe.full_epochs}" for plan in shortened)
    console.print(f"a budget of {duration(budget)} allows these epochs: {lengths}")
    return shortened


def _announce(plan: _Plan, console: Console) -> None:
    recipe, settings = plan.recipe, choose_settings(plan.recipe, len(plan.dataset.train))
    each = ", ".join(
        f"{norm} {duration(recipe.epochs * cost.epoch(plan.dataset))}" for norm, cost in plan.costs.items()
    )
    console.print(
        f"{recipe.title}: {len(plan.dataset.train):,} training pictures, {_counted(recipe.epochs, 'epoch')}"
        f"{_short(recipe)}, {_counted(len(plan.runs), 'run')} on {settings}\n"
        f"  about {duration(plan.seconds())} in all by a short measurement (a run: {each})"
    )


def _train(plan: _Plan, out: Path, command: str, console: Console) -> list[DivergenceError]:
    diverged = []
    steps = plan.recipe.epochs * (len(plan.dataset.train) // plan.recipe.batch_size)
    with ProgressDisplay(console, len(plan.runs), steps) as display:
        for norm, seed in plan.runs:
            try:
                run(plan.recipe, norm, seed, plan.dataset, out, command, display)
            except DivergenceError as error:
                diverged.append(error)
    return diverged


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"


def _short(recipe: Recipe) -> str:
    return f" (short schedule: the full recipe has {recipe.full_epochs})" if recipe.epochs < recipe.full_epochs else ""
