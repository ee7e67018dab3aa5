"""Many runs side by side: every recipe and norm with every seed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from rich.console import Console

from binorm.experiments import data
from binorm.experiments.atomic import write_text_atomically
from binorm.experiments.budget import Cost, measure, share_of_schedule
from binorm.experiments.data.dataset import Dataset, ImageSet
from binorm.experiments.data.streaming import IMAGE_SIZE
from binorm.experiments.data.validation import hold_out
from binorm.experiments.errors import UserError, known
from binorm.experiments.machine import choose_settings
from binorm.experiments.models import check_name
from binorm.experiments.models.norms import NORMS
from binorm.experiments.progress import ProgressDisplay, duration
from binorm.experiments.recipe import Recipe
from binorm.experiments.run import check_batch_size, run, run_folder, run_status
from binorm.experiments.tasks import TASKS
from binorm.experiments.tasks.classification import DivergenceError

SCHEDULE_FILE = "schedule.json"  # beside a recipe's runs: the length that a budget chose for them


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
    it as far as a short measurement tells. Recipes that were begun in ``out`` keep their length, whatever is left.
    A diverged run does not stop the others; its error is returned.

    Raises:
        UserError: for unknown names, unusable data or an ``out`` that holds something else.
    """
    _check(recipes, norms, seeds)
    wanted = [(norm, seed) for seed in seeds for norm in norms]
    begun: dict[str, int] = {}
    if budget is not None:
        begun = {recipe.name: epochs for recipe in recipes if (epochs := _epochs_begun(out / recipe.name))}
        recipes = [recipe.shortened(begun.get(recipe.name, recipe.epochs)) for recipe in recipes]
    plans = _plans(recipes, wanted, data_path, out, console)
    if budget is not None:
        plans = _shortened(plans, begun, budget, console)
        for plan in plans:
            _keep_schedule(plan.recipe, out)
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
        raise UserError("seeds should be at least 1 (got none)")
    if min(seeds) < 0:
        raise UserError(f"a seed should be at least 0 (got {min(seeds)})")
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
        check_batch_size(recipe, dataset)
        settings = choose_settings(recipe, len(dataset.train))
        costs = measure(recipe, [norm for norm, _ in open_runs], dataset, settings, _size(dataset, recipe))
        plans.append(_Plan(recipe, dataset, open_runs, costs))
    return plans


def _size(dataset: Dataset, recipe: Recipe) -> int:
    own = int(dataset.train.images.shape[1]) if isinstance(dataset.train, ImageSet) else IMAGE_SIZE
    return recipe.image_size or own


def _warn_of_skipped(dataset: Dataset, console: Console) -> None:
    if dataset.skipped:
        console.print(
            f"[yellow]warning:[/] {len(dataset.skipped)} broken training pictures are left out: "
            f"{', '.join(dataset.skipped[:5])}{', …' if len(dataset.skipped) > 5 else ''}"
        )


def _epochs_begun(folder: Path) -> int | None:
    """The length that an earlier budget chose for a recipe, or that the runs in its folder have."""
    for path in (folder / SCHEDULE_FILE, *sorted(folder.glob("*/seed*/config.yaml"))):
        try:
            return int(yaml.safe_load(path.read_text())["epochs"])  # JSON is YAML
        except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError):
            continue  # not there; of a damaged run, `run_status` says what is wrong with it
    return None


def _keep_schedule(recipe: Recipe, out: Path) -> None:
    """Write the length down for all recipes before the first is trained, so that the same command finds it again."""
    try:
        (out / recipe.name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to {out} ({error.strerror}): choose another --out") from error
    write_text_atomically(out / recipe.name / SCHEDULE_FILE, json.dumps({"epochs": recipe.epochs}) + "\n")


def _shortened(plans: list[_Plan], begun: Mapping[str, int], budget: float, console: Console) -> list[_Plan]:
    """The plans with the schedules of those that were not begun shortened to what the others leave of the budget."""
    free = [plan for plan in plans if plan.recipe.name not in begun]
    if not free:
        return plans
    taken = sum(plan.seconds() for plan in plans if plan not in free)
    epochs = share_of_schedule(
        sum(plan.seconds() for plan in free),
        max(budget - taken, 0.0),
        {plan.recipe.name: plan.recipe.epochs for plan in free},
    )
    shortened = [
        replace(plan, recipe=plan.recipe.shortened(epochs.get(plan.recipe.name, plan.recipe.epochs))) for plan in plans
    ]
    needed = sum(plan.seconds() for plan in shortened)
    if needed > 1.1 * budget:
        rest = f", besides the {duration(taken)} that is left of what was begun" if taken else ""
        raise UserError(
            f"one epoch of every run takes about {duration(needed - taken)} on this machine{rest}, more than the "
            f"--budget of {duration(budget)}: give more, or fewer --norms or --seeds"
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
