"""What a domain report says in words before its table: what was compared, how statistics were formed, and its flaws."""

from collections import Counter
from collections.abc import Sequence

from binorm.experiments.recipes.domains import BASELINES
from binorm.experiments.report import tables
from binorm.experiments.report.rendering import listed, seeds_text
from binorm.experiments.report.tables import BASELINE, Failure
from binorm.experiments.runs.domains import (
    ADAPTATION,
    GENERALIZATION,
    MIXED,
    DomainRun,
    Task,
    kind_of,
    main_runs,
    method_label,
    methods_of,
    single_runs,
)
from binorm.experiments.runs.reading import RunResult, UnfinishedRun

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
)
_ALL_BUT_DATA = ("configuration", "settings", "versions", "machine", "data.domains", "data.name", "data.source")


def summary(runs: Sequence[DomainRun], tasks: Sequence[Task]) -> str:
    """One sentence: methods, norms, network, weights, data, how many tasks, schedule, seeds and machine."""
    done = tables.finished(each.run for each in runs)
    if not done:
        return f"None of {len(runs)} runs has finished yet."
    kind, main = kind_of(runs), main_runs(runs) or runs
    methods = [method for method in methods_of(main) if method]
    singles = single_runs(runs) if main_runs(runs) else []
    machines = {str(run.record.machine.get("gpu") or run.record.machine.get("cpu")) for run in done}
    data = dict.fromkeys(run.record.data.get("name", "unknown data") for run in done)
    parts = (
        f"{_KINDS[kind]}{f' by {listed(map(method_label, methods))}' if methods else ''} with "
        f"{listed(tables.norms_of(each.run for each in main))}",
        f"{_networks(done)} on {listed(data)}",
        f"{len(tasks)} {NOUNS[kind]}{'s' * (len(tasks) != 1)}",
        *(["networks of single domains beside it"] if singles else []),
        _length(done),
        seeds_text({run.seed for run in done}),
        f"on {listed(sorted(machines))}",
    )
    return f"{', '.join(parts)}."


def statistics_sentence(runs: Sequence[DomainRun]) -> str:
    """How batch statistics were formed; nothing before a run has finished."""
    done = tables.finished(each.run for each in runs)
    if not done:
        return ""
    kind = kind_of(runs)
    chosen = dict.fromkeys(str(run.config.get("statistics", "joint")) for run in done)
    texts = [_STATISTICS.get((kind, each), each) for each in chosen]
    text = f"Batch statistics: {'; in other runs '.join(texts)}."
    if kind == ADAPTATION and BASELINES[kind] in methods_of(runs):
        text += f" With {BASELINES[kind]}, source pictures alone."
    return text


def notes(runs: Sequence[DomainRun], tasks: Sequence[Task]) -> tuple[str, ...]:
    """What a reader must know before believing the table."""
    found = []
    groups: dict[str, list[DomainRun]] = {}
    for each in runs:
        groups.setdefault(_group(each), []).append(each)
    single = []
    for name, group in groups.items():
        lost = Counter(each.run.status for each in group if isinstance(each.run, UnfinishedRun))
        done = tables.finished(each.run for each in group)
        if lost:
            states = ", ".join(f"{count} {status}" for status, count in lost.items())
            found.append(f"{name}: {len(done)} of {len(group)} runs finished ({states}); the table shows these.")
        if done and max(Counter(each.task for each in group if isinstance(each.run, RunResult)).values()) == 1:
            single.append(name)
    found += _missing_baselines(runs)
    if single:
        names = "each" if len(single) == len(groups) > 1 else "; ".join(single)
        found.append(f"One run only of {names}: no spread, and nothing to tell a difference from chance.")
    return (*found, *_disagreements(runs, tasks))


def failures(runs: Sequence[DomainRun]) -> tuple[Failure, ...]:
    """The runs that diverged or did not get to their end, named in full."""
    lost = [(each.label, each.run) for each in runs if isinstance(each.run, UnfinishedRun)]
    return tuple(Failure(label, run.seed, run.status, run.reason) for label, run in lost)


def _group(each: DomainRun) -> str:
    return ", ".join(filter(None, (method_label(each.method), each.run.norm)))


def _missing_baselines(runs: Sequence[DomainRun]) -> list[str]:
    done = [each for each in main_runs(runs) if isinstance(each.run, RunResult)]
    found = []
    if done and BASELINE not in {each.run.norm for each in done}:
        found.append(f"There is no finished run of {BASELINE}, so there are no differences to it.")
    baseline = BASELINES.get(kind_of(runs))
    if done and baseline and baseline not in methods_of(done):
        found.append(
            f"There is no finished run of {baseline}, so what a method adds cannot be told from what the norm does."
        )
    return found


def _disagreements(runs: Sequence[DomainRun], tasks: Sequence[Task]) -> list[str]:
    """In what runs differ that should agree: settings and recipe in all runs, data in those of a task."""
    done = [(each, each.run) for each in runs if isinstance(each.run, RunResult)]
    labels = {id(run): f"{each.label} seed {run.seed}" for each, run in done}

    def name(run: RunResult) -> str:
        return labels[id(run)]

    found = list(tables.disagreements([run for _, run in done], _BY_DESIGN, name))
    places: dict[str, list[RunResult]] = {}
    for each, run in done:
        places.setdefault(each.task or each.method, []).append(run)
    task_labels = {task.folder: task.label for task in tasks}
    for place, group in places.items():
        label = task_labels.get(place, method_label(place))
        found += [f"{label}: {note}" if place else note for note in tables.disagreements(group, _ALL_BUT_DATA, name)]
    return found


def _networks(runs: Sequence[RunResult]) -> str:
    weights = dict.fromkeys(str(run.config.get("weights") or "") for run in runs)
    started = f" from pretrained weights ({listed(weights)})" if any(weights) else " from random weights"
    return f"{listed(dict.fromkeys(run.config.get('model', 'unknown network') for run in runs))}{started}"


def _length(runs: Sequence[RunResult]) -> str:
    epochs = sorted({run.config["epochs"] for run in runs})
    steps = sorted({run.config.get("steps") or 0 for run in runs})
    text = f"{listed(epochs)} epoch{'s' * (epochs != [1])}"
    return f"{text} of {listed(steps)} steps" if any(steps) else text
