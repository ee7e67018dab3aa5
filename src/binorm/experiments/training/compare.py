"""Many runs side by side: every recipe and norm with every seed."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from binorm.experiments.common.console import plain
from binorm.experiments.common.errors import DivergenceError, UserError, lookup
from binorm.experiments.common.files import write_text_atomically
from binorm.experiments.common.run_files import CONFIG_FILE, SCHEDULE_FILE
from binorm.experiments.common.text import counted, duration, printable
from binorm.experiments.recipes.base import Recipe
from binorm.experiments.recipes.classification import ClassifierRecipe
from binorm.experiments.recipes.titles import title_of
from binorm.experiments.runs.folder import check_same_data, is_open, run_folder
from binorm.experiments.training.budget import share_of_schedule
from binorm.experiments.training.progress import ProgressDisplay
from binorm.experiments.training.protocols import Loader
from binorm.experiments.training.run import run
from binorm.experiments.training.task import Task
from binorm.experiments.training.tasks import task_for


@dataclass(frozen=True)
class Job:
    """One run that is still to be trained.

    Attributes:
        recipe: of this run alone.
        norm: its norm.
        seed: its seed.
        steps: of training in an epoch.
        images: of training in an epoch.
        seconds: that an epoch takes with its evaluation, estimated; None where that is not measured beforehand.
    """

    recipe: Recipe
    norm: str
    seed: int
    steps: int
    images: int
    seconds: float | None


@dataclass(frozen=True)
class Plan:
    """One recipe with the runs that it stands for and that are still to be trained."""

    recipe: Recipe
    task: Task[Any]
    jobs: tuple[Job, ...]

    def seconds(self) -> float:
        """Of all open runs, as far as they are estimated."""
        return self.recipe.num_epochs * sum(job.seconds or 0.0 for job in self.jobs)

    def shortened(self, epochs: int) -> "Plan":
        """The same over another number of epochs."""
        jobs = tuple(replace(job, recipe=_shortened(job.recipe, epochs)) for job in self.jobs)
        return replace(self, recipe=_shortened(self.recipe, epochs), jobs=jobs)


def train_all(
    recipes: Sequence[Recipe],
    norms: Sequence[str],
    seeds: Sequence[int],
    data_path: Path | None,
    out: Path,
    command: str,
    console: Console,
    budget: float | None = None,
    methods: Sequence[str] | None = None,
) -> list[DivergenceError]:
    """Train what is not finished yet, seed by seed, so that an early look already compares pairs.

    With a ``budget`` in seconds every recipe's schedule is shortened by the same share, so that all open runs fit into
    it as far as a short measurement tells. Recipes that were begun in ``out`` keep their length, whatever is left.
    A diverged run does not stop the others; its error is returned. ``methods`` are those of recipes over several
    domains; None for the recipe's own and its baseline.

    Raises:
        UserError: for unknown names, unusable data or an ``out`` that holds something else.
    """
    loader = Loader(data_path)
    tasks = {recipe.name: task_for(recipe, loader) for recipe in recipes}
    _check(recipes, tasks, norms, seeds, budget)
    begun: dict[str, int] = {}
    if budget is not None:
        begun = {recipe.name: epochs for recipe in recipes if (epochs := _epochs_begun(out / recipe.name))}
        recipes = [_shortened(recipe, begun.get(recipe.name, recipe.num_epochs)) for recipe in recipes]
    found = [_plan(recipe, tasks[recipe.name], norms, seeds, methods, out, console) for recipe in recipes]
    plans = [plan for plan in found if plan.jobs]
    if budget is not None:
        plans = _fitted(plans, begun, budget, console)
        for plan in plans:
            _keep_schedule(plan.recipe, out)
    for plan in plans:
        _announce(plan, console)
    if len(plans) > 1:
        console.print(f"all together: about {duration(sum(plan.seconds() for plan in plans))}")
    return [error for plan in plans for error in _train(plan, out, command, console)]


def _check(
    recipes: Sequence[Recipe],
    tasks: Mapping[str, Task[Any]],
    norms: Sequence[str],
    seeds: Sequence[int],
    budget: float | None,
) -> None:
    for recipe in recipes:
        tasks[recipe.name].check(recipe)
        for norm in norms:
            lookup(tasks[recipe.name].norm_kind, norm, tasks[recipe.name].norms)
        if budget is not None and not isinstance(recipe, ClassifierRecipe):
            raise UserError(
                f"--budget applies to recipes of classifiers only, and {recipe.name} is one of {recipe.task}"
            )
    if not seeds:
        raise UserError("seeds should be at least 1 (got none)")
    if min(seeds) < 0:
        raise UserError(f"a seed should be at least 0 (got {min(seeds)})")
    if not norms or len(set(norms)) < len(norms):
        raise UserError(f"norms should name each norm once (got {','.join(norms)!r})")


def _plan(
    recipe: Recipe,
    task: Task[Any],
    norms: Sequence[str],
    seeds: Sequence[int],
    methods: Sequence[str] | None,
    out: Path,
    console: Console,
) -> Plan:
    """The open runs of a recipe, part by part, so that each part's data are loaded once."""
    parts = task.expand(recipe, methods)
    runs = [(part, norm, seed) for part in parts for seed in seeds for norm in norms]
    opened = [each for each in runs if is_open(run_folder(out, *each), each[0])]  # other settings are named first
    for part in parts:
        check_same_data(run_folder(out, part, norms[0], seeds[0]), partial(task.data, part))
    if done := len(runs) - len(opened):
        console.print(f"{done} of {len(runs)} runs are done already, in {out.joinpath(*recipe.series)}")
    jobs: list[Job] = []
    warned: set[str] = set()
    for part, norm, seed in opened:
        for warning in task.warnings(part):
            if warning not in warned:
                console.print(f"[yellow]warning:[/] {plain(printable(warning))}")
            warned.add(warning)
        steps, images = task.size(part)
        jobs.append(Job(part, norm, seed, steps, images, task.seconds(part, norm)))
    # Seed by seed, so that an early look compares pairs.
    return Plan(recipe, task, tuple(sorted(jobs, key=lambda job: seeds.index(job.seed))))


def _shortened(recipe: Recipe, epochs: int) -> Recipe:
    return recipe.shortened(epochs) if isinstance(recipe, ClassifierRecipe) else recipe


def _epochs_begun(folder: Path) -> int | None:
    """The length that an earlier budget chose for a recipe, or that the runs in its folder have."""
    for path in (folder / SCHEDULE_FILE, *sorted(folder.glob(f"**/seed*/{CONFIG_FILE}"))):
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
    write_text_atomically(out / recipe.name / SCHEDULE_FILE, json.dumps({"epochs": recipe.num_epochs}) + "\n")


def _fitted(plans: list[Plan], begun: Mapping[str, int], budget: float, console: Console) -> list[Plan]:
    """The plans with the schedules of those that were not begun shortened to what the others leave of the budget."""
    free = [plan for plan in plans if plan.recipe.name not in begun]
    if not free:
        return plans
    taken = sum(plan.seconds() for plan in plans if plan not in free)
    epochs = share_of_schedule(
        sum(plan.seconds() for plan in free),
        max(budget - taken, 0.0),
        {plan.recipe.name: plan.recipe.num_epochs for plan in free},
    )
    fitted = [plan.shortened(epochs.get(plan.recipe.name, plan.recipe.num_epochs)) for plan in plans]
    needed = sum(plan.seconds() for plan in fitted)
    if needed > 1.1 * budget:
        rest = f", besides the {duration(taken)} that is left of what was begun" if taken else ""
        raise UserError(
            f"one epoch of every run takes about {duration(needed - taken)} on this machine{rest}, more than the "
            f"--budget of {duration(budget)}: give more, or fewer --norms or --seeds"
        )
    lengths = ", ".join(f"{plan.recipe.name} {plan.recipe.length[0]} of {plan.recipe.length[1]}" for plan in fitted)
    console.print(f"a budget of {duration(budget)} allows these epochs: {lengths}")
    return fitted


def _announce(plan: Plan, console: Console) -> None:
    recipe, jobs = plan.recipe, plan.jobs
    length, full, unit = recipe.length
    short = f" (short schedule: the full recipe has {full})" if length < full else ""
    settings = plan.task.settings(recipe, max(job.images for job in jobs))
    title = title_of(dataclasses.asdict(recipe), _place(plan.task.loader))
    title += "" if title == recipe.title else f" ({recipe.name})"
    console.print(
        f"{plain(title)}: {_range([job.images for job in jobs], '{:,}'.format)} training pictures an epoch, "
        f"{counted(length, unit)}{short}, {counted(len(jobs), 'run')} on {settings}"
    )
    by_norm: dict[str, list[float]] = {}
    for job in jobs:
        if job.seconds is not None:
            by_norm.setdefault(job.norm, []).append(recipe.num_epochs * job.seconds)
    if by_norm:
        each = ", ".join(f"{norm} {_range(seconds, duration)}" for norm, seconds in by_norm.items())
        console.print(f"  about {duration(plan.seconds())} in all by a short measurement (a run: {each})")


def _place(loader: Loader) -> str:
    """What the folder or file of ``--data`` is called."""
    return printable(loader.path.resolve().name) if loader.path else ""


def _range(values: Sequence[Any], text: Any) -> str:
    low, high = text(min(values)), text(max(values))
    return str(low) if low == high else f"{low} to {high}"


def _train(plan: Plan, out: Path, command: str, console: Console) -> list[DivergenceError]:
    diverged = []
    steps = sum(plan.recipe.num_epochs * job.steps for job in plan.jobs)
    with ProgressDisplay(console, len(plan.jobs), steps) as display:
        for job in plan.jobs:
            try:
                run(plan.task, job.recipe, job.norm, job.seed, out, command, display)
            except DivergenceError as error:
                diverged.append(error)
    return diverged
