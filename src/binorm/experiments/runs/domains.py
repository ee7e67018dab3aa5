"""Which domains the runs of an experiment over several are about, and what they keep of each."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.run_files import CONFUSION_FILE, FEATURES_FILE
from binorm.experiments.common.text import printable
from binorm.experiments.recipes.base import VALIDATION
from binorm.experiments.recipes.domains import BASELINES
from binorm.experiments.runs.files import check, damaged, field, read_json
from binorm.experiments.runs.reading import SINGLE, FinishedRun, Run, norm_rank, read_runs

ADAPTATION, GENERALIZATION, MIXED = "adaptation", "generalization", "mixed"
_WITHOUT = "without-"
Counts = NDArray[numpy.int64]


@dataclass(frozen=True)
class Task:
    """A column of the table: what accuracies of one kind are about.

    Attributes:
        folder: that of its runs, below the method; ``""`` in mixed training.
        label: such as ``"photo→sketch"``, or the one domain that is left out of training or evaluated on.
        evaluation: the evaluation set; None before a run has finished.
        sources: the domains trained on.
        target: the domain to adapt to, to do without, or to evaluate on.
    """

    folder: str
    label: str
    evaluation: str | None
    sources: tuple[str, ...]
    target: str


@dataclass(frozen=True, eq=False)
class Features:
    """Features of some pictures of each domain of a run.

    Attributes:
        classes: their names.
        features: (n, D) for each domain.
        labels: (n,) for each domain, places in ``classes``.
    """

    classes: tuple[str, ...]
    features: Mapping[str, NDArray[numpy.float64]]
    labels: Mapping[str, Counts]


def read_domain_runs(folder: Path) -> list[Run]:
    """All runs of ``runs/<name>``: methods with the baseline first, then tasks by name, norms and seeds.

    Raises:
        UserError: there are none, a file is missing or damaged, or they are of several kinds.
    """
    runs = read_runs(
        folder,
        "<method>/<task>/<norm>/seed<k>/ there, or <norm>/seed<k>/ of mixed training, as `binorm compare` writes them",
    )
    kinds = sorted(set(map(_kind, runs)))
    if len(kinds) > 1:
        raise UserError(
            f"{folder} holds runs of {', '.join(kinds[:-1])} and {kinds[-1]}: expected one of them. Move the others to "
            "a folder of their own"
        )
    return sorted(runs, key=lambda run: (method_rank(run.method), run.task, norm_rank(run.norm), run.seed))


def kind_of(runs: Sequence[Run]) -> str:
    """What the runs do: ``"adaptation"``, ``"generalization"`` or ``"mixed"``."""
    return _kind(runs[0])


def tasks_of(runs: Sequence[Run]) -> tuple[Task, ...]:
    """The columns: in mixed training every domain that is evaluated on, else every task that was begun."""
    if kind_of(runs) == MIXED:
        return tuple(Task("", name, name, (), name) for name in _tested([*main_runs(runs), *runs]))
    folders = sorted({run.task for run in runs})
    return tuple(_task(folder, [run for run in runs if run.task == folder]) for folder in folders)


def main_runs(runs: Iterable[Run]) -> list[Run]:
    """Those that the tables compare: all, but for the networks of one domain beside mixed training."""
    return [run for run in runs if not run.method.startswith(SINGLE)]


def methods_of(runs: Iterable[Run]) -> list[str]:
    """The methods, baselines first."""
    return sorted({run.method for run in runs}, key=method_rank)


def method_rank(method: str) -> tuple[bool, bool, str]:
    """A sort key: mixed training and the baselines first, networks of one domain last, others by name."""
    return (method.startswith(SINGLE), method not in ("", *BASELINES.values()), method)


def read_confusions(folder: Path) -> tuple[tuple[str, ...], dict[str, Counts]] | None:
    """Classes, and counts by evaluation set: rows the true class, columns the predicted one. None where there are none.

    Raises:
        UserError: for a damaged file.
    """
    path = folder / CONFUSION_FILE
    if not path.exists():
        return None
    entries = read_json(path)
    classes = tuple(map(str, field(entries, "classes", list, path)))
    sets = {}
    for name, rows in field(entries, "sets", dict, path).items():
        fine = isinstance(rows, list) and len(rows) == len(classes) > 0
        fine = fine and all(isinstance(row, list) and len(row) == len(classes) for row in rows)
        fine = fine and all(type(count) is int and 0 <= count < 2**31 for row in rows for count in row)
        check(fine, path, f"the counts of {name!r} should be whole numbers, a row and a column for each class")
        sets[str(name)] = numpy.array(rows, dtype=numpy.int64)
    return classes, sets


def read_features(folder: Path) -> Features | None:
    """Read the features in a run's folder; None where there are none.

    Raises:
        UserError: for a damaged file.
    """
    path = folder / FEATURES_FILE
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            about = json.loads((file.metadata() or {})["binorm"])
            names, classes = map(str, about["domains"]), tuple(printable(str(each)) for each in about["classes"])
            features, labels = {}, {}
            for name in names:
                features[printable(name)] = file.get_tensor(f"{name}.features").astype(numpy.float64)
                labels[printable(name)] = file.get_tensor(f"{name}.labels").astype(numpy.int64)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise damaged(path, f"{type(error).__name__}: {error}") from error
    for name, rows in features.items():
        fine = rows.ndim == 2 and rows.shape[1] > 0 and labels[name].shape == rows.shape[:1]
        check(fine, path, f"{name!r} should have a row of features and a label for each picture")
        valid = ((labels[name] >= 0) & (labels[name] < len(classes))).all()
        check(bool(valid), path, f"a label of {name!r} is unknown")
    check(len({rows.shape[1] for rows in features.values()}) <= 1, path, "features of its domains differ in length")
    return Features(classes, features, labels)


def _kind(run: Run) -> str:
    if isinstance(run, FinishedRun) and run.config.get("task") in BASELINES:
        return str(run.config["task"])
    if not run.task:
        return MIXED
    return GENERALIZATION if run.task.startswith(_WITHOUT) else ADAPTATION


def _tested(runs: Iterable[Run]) -> list[str]:
    """The evaluation sets of finished runs in the order of their first mention, but for validation pictures."""
    names = (name for run in runs if isinstance(run, FinishedRun) for name in run.evaluation_sets)
    return [name for name in dict.fromkeys(names) if name != VALIDATION]


def _task(folder: str, runs: Sequence[Run]) -> Task:
    first = next((run for run in runs if run.target), None)
    sources, target = (first.sources, first.target) if first else ((), "")
    sets = _tested(runs)
    evaluation = target if target in sets else next(iter(sets), None)
    if first is None:
        return Task(folder, folder, evaluation, sources, target)
    label = target if kind_of(runs) == GENERALIZATION else f"{', '.join(sources)}→{target}"
    return Task(folder, label, evaluation, sources, target)
