"""What a report over several domains says before its table: what was compared, how, and its flaws."""

from collections import Counter
from collections.abc import Sequence
from functools import partial

from binorm.experiments.common.text import listed, seeds_text
from binorm.experiments.recipes.domains import BASELINES
from binorm.experiments.report.data import Overlap, overlap_notes, overlaps, step_text
from binorm.experiments.report.notes import (
    disagreements,
    losses_note,
    machines,
    no_baseline,
    single_note,
)
from binorm.experiments.report.scores import finished, norms_of
from binorm.experiments.runs.domains import (
    ADAPTATION,
    GENERALIZATION,
    MIXED,
    Task,
    kind_of,
    main_runs,
    methods_of,
)
from binorm.experiments.runs.reading import FinishedRun, Run, method_label

NOUNS = {ADAPTATION: "task", GENERALIZATION: "held-out domain", MIXED: "domain"}
_KINDS = {
    ADAPTATION: "Domain adaptation",
    GENERALIZATION: "Domain generalization",
    MIXED: "One network for all domains",
}
_STATISTICS = {
    (ADAPTATION, "joint"): "source and target in one batch",
    (ADAPTATION, "separate"): "separate forward passes of source and target",
    (ADAPTATION, "per-domain"): "separate running statistics per domain",
    (GENERALIZATION, "joint"): "all training domains in one batch",
    (GENERALIZATION, "separate"): "separate forward passes of the training domains",
    (GENERALIZATION, "per-domain"): "separate running statistics per domain",
    (MIXED, "joint"): "all domains in one batch",
    (MIXED, "separate"): "separate forward passes of the domains",
    (MIXED, "per-domain"): "separate running statistics per domain",
}
# What runs of a report differ in because they are different experiments.
_BY_DESIGN = (
    "configuration.method",
    "configuration.source",
    "configuration.target",
    "data.domains",
    "data.train",
    "data.evaluation",
    "data.classes",
    "data.skipped",
    "data.fingerprint",
)
_ALL_BUT_DATA = ("configuration", "settings", "versions", "machine", "data.domains", "data.name", "data.source")


def summary(runs: Sequence[Run], tasks: Sequence[Task]) -> str:
    """One sentence: methods, norms, network, weights, data, how many tasks, schedule, seeds and machine."""
    done = finished(runs)
    if not done:
        return f"None of {len(runs)} runs has finished yet."
    kind, main = kind_of(runs), main_runs(runs) or runs
    methods = [method for method in methods_of(main) if method]
    data = dict.fromkeys(run.data_label for run in done)
    parts = (
        f"{_KINDS[kind]}{f' by {listed(map(method_label, methods))}' if methods else ''} with {listed(norms_of(main))}",
        f"{_networks(done)} on {listed(data)}",
        f"{len(tasks)} {NOUNS[kind]}{'s' * (len(tasks) != 1)}",
        *(["networks of single domains beside it"] if len(main) < len(runs) else []),
        _length(done),
        seeds_text({run.seed for run in done}),
        machines(done),
    )
    return f"{', '.join(parts)}."


def batch_statistics(runs: Sequence[Run]) -> str:
    """How batch statistics were formed, in a sentence; nothing before a run has finished."""
    done = finished(runs)
    if not done:
        return ""
    kind = kind_of(runs)
    chosen = dict.fromkeys(str(run.config.get("statistics", "joint")) for run in done)
    texts = [_STATISTICS.get((kind, each), each) for each in chosen]
    text = f"Batch statistics: {'; in other runs '.join(texts)}."
    if kind == ADAPTATION and BASELINES[kind] in methods_of(runs):
        text += f" With {BASELINES[kind]}, source pictures alone."
    return text


def domain_notes(runs: Sequence[Run], tasks: Sequence[Task]) -> tuple[str, ...]:
    """What a reader must know before believing the table."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(", ".join(filter(None, (method_label(run.method), run.norm))), []).append(run)
    found = [note for name, group in groups.items() for note in losses_note(name, group)]
    found += no_baseline(main_runs(runs)) + _no_method(runs)
    counts = {name: Counter(run.task for run in finished(group)) for name, group in groups.items()}
    single = [name for name, count in counts.items() if max(count.values(), default=0) == 1]
    if single:
        found.append(single_note("each" if len(single) == len(groups) > 1 else "; ".join(single)))
    return (*overlap_notes(set_overlaps(runs, tasks)), *found, *_disagreements(finished(runs), tasks))


def set_overlaps(runs: Sequence[Run], tasks: Sequence[Task]) -> tuple[Overlap, ...]:
    """Of every evaluation set of every task; see `overlaps`."""
    return overlaps(runs, partial(_set_name, tasks))


def few_pictures(runs: Sequence[Run], tasks: Sequence[Task]) -> str:
    """What a picture is worth in the columns of the table that have few, in a sentence; nothing without any."""
    sizes = {
        run.record.evaluation[task.evaluation]: None
        for task in tasks
        for run in finished(runs)
        if task.evaluation and task.evaluation in run.record.evaluation and run.task in ("", task.folder)
    }
    few = {size: step_text(size) for size in sorted(sizes) if step_text(size)}
    if not few:
        return ""
    return f"Small evaluation sets: {'; '.join(f'of {size} pictures, {text}' for size, text in few.items())}."


def _set_name(tasks: Sequence[Task], run: FinishedRun, data: str) -> str:
    """An evaluation set of a run, with its task where its name alone does not tell it."""
    if not run.task:
        return ", ".join(filter(None, (data, method_label(run.method))))
    label = next(task.label for task in tasks if task.folder == run.task)
    return label if data == run.target else f"{data} of {label}"


def _no_method(runs: Sequence[Run]) -> list[str]:
    done, baseline = finished(main_runs(runs)), BASELINES.get(kind_of(runs))
    if not done or not baseline or baseline in methods_of(done):
        return []
    return [f"There is no finished run of {baseline}, so what a method adds cannot be told from what the norm does."]


def _disagreements(runs: Sequence[FinishedRun], tasks: Sequence[Task]) -> list[str]:
    """In what runs differ that should agree: settings and recipe in all runs, data in those of a task."""
    found = list(disagreements(runs, _BY_DESIGN))
    places: dict[str, list[FinishedRun]] = {}
    for run in runs:
        places.setdefault(run.task or run.method, []).append(run)
    labels = {task.folder: task.label for task in tasks}
    for place, group in places.items():
        label = f"{labels.get(place, method_label(place))}: " if place else ""
        found += [f"{label}{note}" for note in disagreements(group, _ALL_BUT_DATA)]
    return found


def _networks(runs: Sequence[FinishedRun]) -> str:
    weights = dict.fromkeys(str(run.config.get("weights") or "") for run in runs)
    started = f" from pretrained weights ({listed(weights)})" if any(weights) else " from random weights"
    return f"{listed(dict.fromkeys(run.config.get('model', 'unknown network') for run in runs))}{started}"


def _length(runs: Sequence[FinishedRun]) -> str:
    epochs = sorted({run.config["epochs"] for run in runs})
    steps = sorted({run.config.get("steps") or 0 for run in runs})
    text = f"{listed(epochs)} epoch{'s' * (epochs != [1])}"
    return f"{text} of {listed(steps)} steps" if any(steps) else text
