"""Finds the runs of experiments over several domains, and reads off which domains each is about."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from binorm.experiments.common.errors import UserError
from binorm.experiments.recipes.base import VALIDATION
from binorm.experiments.recipes.domains import BASELINES
from binorm.experiments.report import tables
from binorm.experiments.report.rendering import listed
from binorm.experiments.report.tables import Run
from binorm.experiments.runs.files import check
from binorm.experiments.runs.reading import RunResult, find_runs, norm_rank, read_run

ADAPTATION, GENERALIZATION, MIXED = "adaptation", "generalization", "mixed"
SINGLE = "only-"  # what the folders of networks begin with that are trained on one domain, beside mixed training
_WITHOUT = "without-"


@dataclass(frozen=True)
class DomainRun:
    """A run and its place among others.

    Attributes:
        method: such as ``"dann"``; in mixed training ``""``, and ``"only-photo"`` beside it.
        task: such as ``"photo-to-sketch"``; ``""`` in mixed training.
        sources: the domains that were trained on with their labels; none where nothing says so yet.
        target: the domain to adapt to or to do without; ``""`` in mixed training.
        run: the run itself.
    """

    method: str
    task: str
    sources: tuple[str, ...]
    target: str
    run: Run

    @property
    def label(self) -> str:
        """``"dann, photo-to-sketch, bn"``, without what there is not."""
        return ", ".join(filter(None, (method_label(self.method), self.task, self.run.norm)))


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


def is_domain_folder(folder: Path) -> bool:
    """Whether the runs in ``runs/<name>`` are about several domains, so that a domain report is to be written."""
    return any(find_runs(each) for each in _inner_folders(folder)) or any(map(_names_domains, find_runs(folder)))


def read_domain_runs(folder: Path) -> list[DomainRun]:
    """All runs of ``runs/<name>``: methods with the baseline first, then tasks by name, norms and seeds.

    They lie in ``<method>/<task>/<norm>/seed<k>/``, and those of mixed training in ``<norm>/seed<k>/``, with
    ``only-<domain>/<norm>/seed<k>/`` beside them.

    Raises:
        UserError: there are none, a file is missing or damaged, or they are of several kinds.
    """
    found = [_read(folder, path) for place in (folder, *_inner_folders(folder)) for path in find_runs(place)]
    if not found:
        raise UserError(
            f"there are no runs in {folder}: expected <method>/<task>/<norm>/seed<k>/ there, or <norm>/seed<k>/ of "
            "mixed training, as `binorm compare` writes them"
        )
    kind_of(found, folder)
    return sorted(
        found, key=lambda each: (method_rank(each.method), each.task, norm_rank(each.run.norm), each.run.seed)
    )


def kind_of(runs: Sequence[DomainRun], folder: Path | None = None) -> str:
    """What the runs do: ``"adaptation"``, ``"generalization"`` or ``"mixed"``.

    Raises:
        UserError: they do different things; the message names ``folder``.
    """
    kinds = sorted({_kind(each) for each in runs})
    if len(kinds) > 1:
        raise UserError(
            f"{folder or 'the folder'} holds runs of {listed(kinds)}: expected one of them. Move the others to a "
            "folder of their own"
        )
    return kinds[0]


def tasks_of(runs: Sequence[DomainRun]) -> tuple[Task, ...]:
    """The columns: in mixed training every domain that is evaluated on, else every task that was begun."""
    if kind_of(runs) == MIXED:
        names = tables.evaluation_sets([each.run for each in main_runs(runs)] + [each.run for each in runs])
        return tuple(Task("", name, name, (), name) for name in names if name != VALIDATION)
    folders = sorted({each.task for each in runs})
    return tuple(_task(folder, [each for each in runs if each.task == folder]) for folder in folders)


def main_runs(runs: Iterable[DomainRun]) -> list[DomainRun]:
    """Those that the tables compare: all, but for the networks of one domain beside mixed training."""
    return [each for each in runs if not each.method.startswith(SINGLE)]


def single_runs(runs: Iterable[DomainRun]) -> list[DomainRun]:
    """The networks of one domain beside mixed training."""
    return [each for each in runs if each.method.startswith(SINGLE)]


def methods_of(runs: Iterable[DomainRun]) -> list[str]:
    """The methods, baselines first."""
    return sorted({each.method for each in runs}, key=method_rank)


def method_rank(method: str) -> tuple[bool, bool, str]:
    """A sort key: mixed training and the baselines first, networks of one domain last, others by name."""
    return (method.startswith(SINGLE), method not in ("", *BASELINES.values()), method)


def method_label(method: str) -> str:
    """``"only photo"`` for ``"only-photo"``; a method's own name."""
    return f"only {method.removeprefix(SINGLE)}" if method.startswith(SINGLE) else method


def of(runs: Iterable[DomainRun], method: str, norm: str | None = None, task: str | None = None) -> list[Run]:
    """The plain runs of a method, and of a norm and a task where they are given."""
    return [
        each.run
        for each in runs
        if each.method == method and norm in (None, each.run.norm) and task in (None, each.task)
    ]


def _inner_folders(folder: Path) -> Iterator[Path]:
    """Where runs lie deeper than those of one network a norm and seed."""
    yield from sorted(folder.glob(f"{SINGLE}*"))
    yield from sorted(folder.glob("*/*"))


def _names_domains(path: Path) -> bool:
    try:
        entries = json.loads((path / "run.json").read_text(encoding="utf-8"))
        return "domains" in entries["data"]
    except (OSError, ValueError, KeyError, TypeError):
        return False  # whoever reads the run says what is wrong with it


def _read(folder: Path, path: Path) -> DomainRun:
    run = read_run(path)
    above = path.relative_to(folder).parts[:-2]
    method, task = (*above, "", "")[:2]
    domains = _domains(path, run.record.data) if run.record else {}
    return DomainRun(method, task, tuple(domains.get("train", ())), domains.get("target") or "", run)


def _domains(path: Path, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The entry ``data.domains`` of ``run.json``; empty in a run from before it was written."""
    domains = data.get("domains", {})
    fine = isinstance(domains, dict) and isinstance(domains.get("train", []), list)
    check(fine and isinstance(domains.get("target"), str | None), path / "run.json", "data.domains is of another make")
    return {**domains, "train": [str(name) for name in domains.get("train", [])]}


def _kind(each: DomainRun) -> str:
    if isinstance(each.run, RunResult) and each.run.config.get("task") in BASELINES:
        return str(each.run.config["task"])
    if not each.task:
        return MIXED
    return GENERALIZATION if each.task.startswith(_WITHOUT) else ADAPTATION


def _task(folder: str, runs: Sequence[DomainRun]) -> Task:
    known = next((each for each in runs if each.target), None)
    sources, target = (known.sources, known.target) if known else ((), "")
    sets = [name for name in tables.evaluation_sets(each.run for each in runs) if name != VALIDATION]
    evaluation = target if target in sets else next(iter(sets), None)
    if known is None:
        label = folder
    elif kind_of(runs) == GENERALIZATION:
        label = target
    else:
        label = f"{', '.join(sources)}→{target}"
    return Task(folder, label, evaluation, sources, target)
