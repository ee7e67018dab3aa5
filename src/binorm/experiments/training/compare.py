"""Many runs side by side: every recipe and norm with every seed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from rich.console import Console

from binorm.experiments.common.errors import DivergenceError, UserError, known
from binorm.experiments.common.files import write_text_atomically
from binorm.experiments.common.run_files import SCHEDULE_FILE
from binorm.experiments.common.text import duration
from binorm.experiments.data.dataset import Dataset, ImageSet
from binorm.experiments.data.domain_batches import steps_an_epoch
from binorm.experiments.data.streaming import IMAGE_SIZE
from binorm.experiments.models import check_name
from binorm.experiments.models.norms import NORMS
from binorm.experiments.models.weights import check_weights
from binorm.experiments.recipes.base import Recipe
from binorm.experiments.runs.folder import run_status
from binorm.experiments.training.budget import Cost, measure, share_of_schedule
from binorm.experiments.training.progress import ProgressDisplay
from binorm.experiments.training.protocols import Loader, expand
from binorm.experiments.training.run import check_batch_size, epoch_pictures, run, run_folder
from binorm.experiments.training.settings import choose_settings


@dataclass(frozen=True)
class _Job:
    """One run that is still to be trained: its recipe, in which no domain is left open, and what an epoch of it takes.

    ``steps`` and ``pictures`` of training are those of an epoch, as are ``seconds``, estimated, with the evaluation.
    """

    recipe: Recipe
    norm: str
    seed: int
    steps: int
    pictures: int
    seconds: float


@dataclass(frozen=True)
class _Plan:
    """One recipe with the runs that it stands for and that are still to be trained."""

    recipe: Recipe
    jobs: tuple[_Job, ...]

    def seconds(self) -> float:
        """Of all open runs, estimated."""
        return self.recipe.epochs * sum(job.seconds for job in self.jobs)


def train_all(
    recipes: Sequence[Recipe],
    norms: list[str],
    seeds: list[int],
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
    _check(recipes, norms, seeds)
    begun: dict[str, int] = {}
    if budget is not None:
        begun = {recipe.name: epochs for recipe in recipes if (epochs := _epochs_begun(out / recipe.name))}
        recipes = [recipe.shortened(begun.get(recipe.name, recipe.epochs)) for recipe in recipes]
    loader = Loader(data_path)
    plans = _plans(recipes, norms, seeds, methods, loader, out, console)
    if budget is not None:
        plans = _shortened(plans, begun, budget, console)
        for plan in plans:
            _keep_schedule(plan.recipe, out)
    for plan in plans:
        _announce(plan, console)
    if len(plans) > 1:
        console.print(f"all together: about {duration(sum(plan.seconds() for plan in plans))}")
    return [error for plan in plans for error in _train(plan, loader, out, command, console)]


def _check(recipes: Sequence[Recipe], norms: list[str], seeds: list[int]) -> None:
    for recipe in recipes:
        check_name(recipe.model)
        check_weights(recipe.weights, recipe.model)
    for norm in norms:
        known("norm", norm, NORMS)
    if not seeds:
        raise UserError("seeds should be at least 1 (got none)")
    if min(seeds) < 0:
        raise UserError(f"a seed should be at least 0 (got {min(seeds)})")
    if not norms or len(set(norms)) < len(norms):
        raise UserError(f"norms should name each norm once (got {','.join(norms)!r})")


def _plans(
    recipes: Sequence[Recipe],
    norms: Sequence[str],
    seeds: Sequence[int],
    methods: Sequence[str] | None,
    loader: Loader,
    out: Path,
    console: Console,
) -> list[_Plan]:
    """A plan for each recipe with open runs."""
    costs: dict[tuple[object, ...], Cost] = {}
    plans = []
    for recipe in recipes:
        parts = expand(recipe, loader.path, methods)
        wanted = [(part, norm, seed) for seed in seeds for part in parts for norm in norms]
        opened = [each for each in wanted if _is_open(*each, out)]
        if done := len(wanted) - len(opened):
            console.print(f"{done} of {len(wanted)} runs are done already, in {out / recipe.name}")
        jobs = []
        for part in parts:
            runs = [(norm, seed) for each, norm, seed in opened if each == part]
            if runs:
                jobs += _jobs(part, runs, loader.dataset(part), costs, console)
        if jobs:
            # Seed by seed, so that an early look compares pairs.
            plans.append(_Plan(recipe, tuple(sorted(jobs, key=lambda job: seeds.index(job.seed)))))
    return plans


def _is_open(recipe: Recipe, norm: str, seed: int, out: Path) -> bool:
    return run_status(run_folder(out, recipe, norm, seed), recipe) not in ("finished", "diverged")


def _jobs(
    recipe: Recipe,
    runs: Sequence[tuple[str, int]],
    dataset: Dataset,
    costs: dict[tuple[object, ...], Cost],
    console: Console,
) -> list[_Job]:
    """The open runs of a recipe, with what they cost; networks that were measured before are not measured again."""
    if not any(recipe.name in key for key in costs):
        _warn_of_skipped(dataset, console)
    check_batch_size(recipe, dataset)
    steps, pictures = steps_an_epoch(recipe, dataset), epoch_pictures(recipe, dataset)
    settings, size = choose_settings(recipe, pictures), _size(dataset, recipe)
    jobs = []
    for norm, seed in runs:
        key = (recipe.name, norm, len(dataset.classes), size)
        if key not in costs:
            costs[key] = measure(recipe, [norm], dataset, settings, size)[norm]
        jobs.append(_Job(recipe, norm, seed, steps, pictures, costs[key].epoch(dataset, pictures)))
    return jobs


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
    for path in (folder / SCHEDULE_FILE, *sorted(folder.glob("**/seed*/config.yaml"))):
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
    recipe, jobs = plan.recipe, plan.jobs
    settings = choose_settings(recipe, max(job.pictures for job in jobs))
    by_norm: dict[str, list[float]] = {}
    for job in jobs:
        by_norm.setdefault(job.norm, []).append(recipe.epochs * job.seconds)
    each = ", ".join(f"{norm} {_range(seconds)}" for norm, seconds in by_norm.items())
    console.print(
        f"{recipe.title}: {_pictures(jobs)} training pictures an epoch, {_counted(recipe.epochs, 'epoch')}"
        f"{_short(recipe)}, {_counted(len(jobs), 'run')} on {settings}\n"
        f"  about {duration(plan.seconds())} in all by a short measurement (a run: {each})"
    )


def _pictures(jobs: Sequence[_Job]) -> str:
    low, high = min(job.pictures for job in jobs), max(job.pictures for job in jobs)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _range(seconds: Sequence[float]) -> str:
    low, high = duration(min(seconds)), duration(max(seconds))
    return low if low == high else f"{low} to {high}"


def _train(plan: _Plan, loader: Loader, out: Path, command: str, console: Console) -> list[DivergenceError]:
    diverged = []
    steps = sum(plan.recipe.epochs * job.steps for job in plan.jobs)
    with ProgressDisplay(console, len(plan.jobs), steps) as display:
        for job in plan.jobs:
            recipe = replace(job.recipe, epochs=plan.recipe.epochs, milestones=plan.recipe.milestones)  # by a budget
            try:
                run(recipe, job.norm, job.seed, loader.dataset(recipe), out, command, display)
            except DivergenceError as error:
                diverged.append(error)
    return diverged


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"


def _short(recipe: Recipe) -> str:
    return f" (short schedule: the full recipe has {recipe.full_epochs})" if recipe.epochs < recipe.full_epochs else ""
