"""Top-1 of trained classifiers on their test pictures as these would look elsewhere, kept in the runs' folders."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from binorm.experiments.common.errors import UserError, lookup
from binorm.experiments.common.files import write_text_atomically
from binorm.experiments.common.images import BrokenImageError
from binorm.experiments.common.run_files import RUN_FILE, WEIGHTS_FILE
from binorm.experiments.common.text import counted, printable
from binorm.experiments.data.batches.augmentation import resized
from binorm.experiments.data.batches.batches import CPU_BATCH_PIXELS, LEAST_BATCH
from binorm.experiments.data.batches.preprocessing import Preprocessing
from binorm.experiments.data.dataset import EncodedImage, EncodedSet, ImageSet
from binorm.experiments.data.identity import data_facts
from binorm.experiments.recipes.base import VALIDATION
from binorm.experiments.recipes.classification import ClassifierRecipe
from binorm.experiments.runs.checkpoint import load_network, load_statistics
from binorm.experiments.runs.folder import other_data, sole_use
from binorm.experiments.runs.reading import SINGLE, find_all_runs
from binorm.experiments.runs.record import RunRecord, ShiftedScores, read_record
from binorm.experiments.shifts.catalog import GROUP_NAMES, SHIFTS, Group, find_shift
from binorm.experiments.shifts.shifting import Shifting, turn_severities
from binorm.experiments.training.protocols import Loader
from binorm.experiments.training.settings import Settings, choose_settings

MEASURED = {name: GROUP_NAMES[name] for name in ("corruptions", "style")}
PIXELS, LEAST = 2**22, 256  # of an evaluation set, and pictures at least; of a larger set evenly spaced ones are taken


@dataclass
class _Run:
    folder: Path
    network: nn.Module
    shifted: dict[str, ShiftedScores]  # by evaluation set, what its run.json says by now


def installed_groups() -> tuple[Group, ...]:
    """The groups of shifts that can be computed here: corruptions need a package."""
    return tuple(group for group in MEASURED.values() if _is_installed(group))


def named_groups(text: str) -> tuple[Group, ...]:
    """``corruptions,style``, one of them, or ``none``.

    Raises:
        UserError: for anything else, and for corruptions without their package.
    """
    if text == "none":
        return ()
    groups = tuple(lookup("group of shifts", name.strip(), MEASURED) for name in text.split(","))
    for group in groups:
        find_shift(_first(group))
    return groups


def _is_installed(group: Group) -> bool:
    try:
        find_shift(_first(group))
    except UserError:
        return False
    return True


def _first(group: Group) -> str:
    return next(name for name, shift in SHIFTS.items() if shift.group == group)


def add_shifted(
    folder: Path, loader: Loader, groups: Sequence[Group], processes: int, tell: Callable[[str], None]
) -> None:
    """Measure the finished runs in ``runs/<recipe>`` that have weights, and write it into each one's ``run.json``.

    There, ``shifted`` maps an evaluation set (not the one to choose by) to the number of its ``pictures``, their
    shorter ``side``, their top-1 as they are (``clean``), and by name of the shift that of the shifted ones
    (``shifts``), in percent; each picture has one severity of a shift, 1 to 5 in turn. What is there already is not
    measured again.

    Args:
        folder: of a recipe's runs.
        loader: of their data.
        groups: of shifts; each is left out where pictures are too small for it.
        processes: how many apply shifts.
        tell: is called with what is being done, in words.

    Raises:
        UserError: for unusable weights or data, and where another process has a run.
    """
    by_recipe: dict[str, list[Path]] = {}
    recipes: dict[str, ClassifierRecipe] = {}
    for run in find_all_runs(folder):
        if run.relative_to(folder).parts[0].startswith(SINGLE):
            continue  # of one domain alone: their table shows what they are trained on
        if (run / WEIGHTS_FILE).exists() and _lacks(run, groups):
            recipe = load_network(run)[1].recipe
            recipes[repr(recipe)] = recipe
            by_recipe.setdefault(repr(recipe), []).append(run)
    with Shifting(processes) as shifting:
        for key, runs in by_recipe.items():
            if loader.finds(recipes[key]):
                _measure(runs, recipes[key], loader, groups, shifting, tell)


def _record(run: Path) -> RunRecord | None:
    """None of a damaged one: the report says what is wrong with it."""
    try:
        return read_record(run / RUN_FILE, run.parent.name, int(run.name.removeprefix("seed")))
    except UserError:
        return None


def _lacks(run: Path, groups: Sequence[Group]) -> bool:
    """Whether it is finished, and anything of it is still to be measured, as can be told without its pictures."""
    record = _record(run)
    if record is None or record.status != "finished":
        return False
    sets = [name for name in record.evaluation if name != VALIDATION]
    return any(name not in record.shifted or _open(record.shifted[name], groups) for name in sets)


def _open(scores: ShiftedScores, groups: Sequence[Group]) -> list[str]:
    """The shifts that one evaluation set is still without."""
    asked = (name for name, shift in SHIFTS.items() if shift.group in groups and scores.side >= shift.smallest_side)
    return [name for name in asked if name not in scores.shifts]


def _measure(
    folders: Sequence[Path],
    recipe: ClassifierRecipe,
    loader: Loader,
    groups: Sequence[Group],
    shifting: Shifting,
    tell: Callable[[str], None],
) -> None:
    dataset = loader.dataset(recipe)
    facts = data_facts(dataset, loader.identity(recipe))
    runs = [
        _Run(folder, load_network(folder)[0], dict(record.shifted))
        for folder in folders
        if (record := _record(folder)) and not other_data(folder, facts)
    ]
    settings, preprocessing = choose_settings(recipe, 0), Preprocessing.of(dataset, recipe)
    for run in runs:
        run.network.to(settings.device).to(memory_format=torch.channels_last).eval()
    for name, images in dataset.evaluation.items():
        if name == VALIDATION or not runs:
            continue
        pictures, labels = _pictures(images, preprocessing)

        def top1(run: _Run, pictures: Tensor, labels: Tensor = labels) -> float:
            return _top1(run.network, pictures, labels, preprocessing, settings)

        for run in runs:
            load_statistics(run.network, run.folder, name)
            before = run.shifted[name].shifts if name in run.shifted else {}
            side = min(pictures.shape[2:])
            run.shifted[name] = ShiftedScores(len(labels), side, top1(run, pictures), before)
            _keep(run)
        for place, (shift_name, shift) in enumerate(SHIFTS.items()):
            asked = [run for run in runs if shift_name in _open(run.shifted[name], groups)]
            if not asked:
                continue
            tell(f"{printable(name)}, {shift_name.replace('_', ' ')}: {counted(len(asked), 'network')} on "
                 f"{counted(len(labels), 'picture')}")  # fmt: skip
            shifted = shifting(shift, pictures, turn_severities(len(labels), place))
            for run in asked:
                scores = run.shifted[name]
                run.shifted[name] = replace(scores, shifts={**scores.shifts, shift_name: top1(run, shifted)})
                _keep(run)


def _keep(run: _Run) -> None:
    """Write what is measured by now."""
    with sole_use(run.folder):
        facts = json.loads((run.folder / RUN_FILE).read_text(encoding="utf-8"))
        kept = facts.setdefault("shifted", {})
        for name, scores in run.shifted.items():
            shifts = {**kept.get(name, {}).get("shifts", {}), **scores.shifts}  # a later binorm may know others
            kept[name] = {**asdict(scores), "shifts": shifts}
        write_text_atomically(run.folder / RUN_FILE, json.dumps(facts, indent=2) + "\n")


def _pictures(images: ImageSet | EncodedSet, preprocessing: Preprocessing) -> tuple[Tensor, Tensor]:
    """Pictures as the network's pixels, uint8 (N, 3, H, W), and labels (N,)."""
    height, width = preprocessing.height, preprocessing.width
    count = min(len(images), max(PIXELS // (height * width), LEAST))
    places = torch.arange(count) * len(images) // count
    if isinstance(images, ImageSet):
        chosen = resized(images.images[places], (height, width))
        return chosen.permute(0, 3, 1, 2).contiguous(), images.labels[places]
    wanted = set(places.tolist())
    encoded = [each for place, each in enumerate(images.pictures(None)) if place in wanted]
    return torch.stack([_read(each, preprocessing) for each in encoded]), torch.tensor([each.label for each in encoded])


def _read(picture: EncodedImage, preprocessing: Preprocessing) -> Tensor:
    try:
        return preprocessing.read(picture.read())
    except BrokenImageError as error:
        raise UserError(f"{picture.name} is broken ({error}): evaluation needs every picture, so replace it") from error


@torch.inference_mode()
def _top1(
    network: nn.Module, pictures: Tensor, labels: Tensor, preprocessing: Preprocessing, settings: Settings
) -> float:
    """In percent, to three decimals."""
    size = max(CPU_BATCH_PIXELS // (preprocessing.height * preprocessing.width), LEAST_BATCH)
    right = 0
    with settings.autocast():
        for batch, known in zip(torch.split(pictures, size), torch.split(labels, size), strict=True):
            seen = preprocessing.normalize(batch.to(settings.device)).contiguous(memory_format=torch.channels_last)
            right += int((network(seen).argmax(1).cpu() == known).sum())
    return round(100 * right / len(labels), 3)
