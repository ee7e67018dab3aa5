"""The tables of a report: accuracies and differences, costs, failures, and what has to be said about them."""

import statistics
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from binorm.experiments.recipes.base import VALIDATION
from binorm.experiments.report.statistics import PairedDifference, Spread, paired_difference, spread
from binorm.experiments.runs.reading import RunRecord, RunResult, UnfinishedRun, norm_rank

BASELINE = "bn"
LAST_EPOCH = "last epoch"
BEST_ON_TEST = "best epoch (chosen on the test set)"
BEST_ON_VALIDATION = "best epoch (chosen on validation pictures)"
BEST_ON_EITHER = "best epoch (chosen on validation pictures where there are any, else on the test set)"
Run = RunResult | UnfinishedRun


@dataclass(frozen=True)
class Row:
    """One norm on one evaluation set: top-1 in percent over ``runs`` finished runs out of ``started``.

    ``difference`` is that of the last epoch to the baseline; None for the baseline itself and below two pairs of seeds.
    """

    evaluation: str
    norm: str
    runs: int
    started: int
    last: Spread
    best: Spread
    difference: PairedDifference | None

    @property
    def runs_text(self) -> str:
        """``"5"``, or ``"4 of 5"`` where one did not finish."""
        return str(self.runs) if self.runs == self.started else f"{self.runs} of {self.started}"


@dataclass(frozen=True)
class Cost:
    """What one norm takes: training pictures a second in the median epoch, and seconds of a whole run."""

    norm: str
    parameters: int
    gates: int
    images_per_second: Spread
    seconds: Spread


@dataclass(frozen=True)
class Failure:
    """A run that is not in the table, and why."""

    norm: str
    seed: int
    status: str
    reason: str


def norms_of(runs: Iterable[Run]) -> list[str]:
    """The norms that were started, in the order of display."""
    return sorted({run.norm for run in runs}, key=norm_rank)


def finished(runs: Iterable[Run], norm: str | None = None) -> list[RunResult]:
    """The finished runs, of one norm or of all."""
    return [run for run in runs if isinstance(run, RunResult) and norm in (None, run.norm)]


def evaluation_sets(runs: Iterable[Run]) -> list[str]:
    """The evaluation sets of all finished runs, in the order of their first mention."""
    return list(dict.fromkeys(name for run in finished(runs) for name in run.evaluation_sets))


def accuracy_rows(runs: Sequence[Run]) -> tuple[Row, ...]:
    """One row for each evaluation set and norm; a norm none of whose runs finished has its row as well."""
    return tuple(_row(runs, evaluation, norm) for evaluation in evaluation_sets(runs) for norm in norms_of(runs))


def _row(runs: Sequence[Run], evaluation: str, norm: str) -> Row:
    last, baseline = last_epochs(runs, evaluation, norm), last_epochs(runs, evaluation, BASELINE)
    best = [best_accuracy(run, evaluation) for run in finished(runs, norm) if evaluation in run.evaluation_sets]
    return Row(
        evaluation=evaluation,
        norm=norm,
        runs=len(last),
        started=sum(run.norm == norm for run in runs),
        last=spread(list(last.values())),
        best=spread(best),
        difference=None if norm == BASELINE else paired_difference(last, baseline),
    )


def last_epochs(runs: Iterable[Run], evaluation: str, norm: str) -> dict[int, float]:
    """Top-1 in percent after the last epoch on one evaluation set, for each seed of one norm that finished."""
    evaluated = [run for run in finished(runs, norm) if evaluation in run.evaluation_sets]
    return {run.seed: run.accuracies(evaluation)[-1] for run in evaluated}


def best_accuracy(run: RunResult, evaluation: str) -> float:
    """Top-1 at the best epoch: the one that the validation pictures choose, or without any the test set itself."""
    accuracies = run.accuracies(evaluation)
    if VALIDATION not in run.evaluation_sets:
        return max(accuracies)
    chosen = run.accuracies(VALIDATION)
    return accuracies[chosen.index(max(chosen))]


def best_label(runs: Sequence[Run]) -> str:
    """What to call the best epoch, by what chose it."""
    done = finished(runs)
    validated = [VALIDATION in run.evaluation_sets for run in done]
    if not any(validated):
        return BEST_ON_TEST
    return BEST_ON_VALIDATION if all(validated) else BEST_ON_EITHER


def costs(runs: Sequence[Run]) -> tuple[Cost, ...]:
    """One row for each norm with a finished run."""
    groups = [(norm, finished(runs, norm)) for norm in norms_of(runs)]
    return tuple(
        Cost(
            norm=norm,
            parameters=group[0].record.parameters,
            gates=group[0].record.gates,
            # The median leaves out the first epoch's warm-up and a neighbour's burst of work.
            images_per_second=spread([statistics.median(run.metrics["images_per_second"]) for run in group]),
            seconds=spread([run.record.seconds for run in group]),
        )
        for norm, group in groups
        if group
    )


def failures(runs: Iterable[Run]) -> tuple[Failure, ...]:
    """The runs that diverged or did not get to their end."""
    lost = [run for run in runs if isinstance(run, UnfinishedRun)]
    return tuple(Failure(run.norm, run.seed, run.status, run.reason) for run in lost)


def schedule_label(runs: Iterable[Run]) -> str | None:
    """``"short schedule: 5 of 164 epochs"`` where runs stopped before their recipe's length, else None."""
    lengths = {(run.config["epochs"], run.config["full_epochs"]) for run in finished(runs)}
    short = [f"{epochs} of {full} epochs" for epochs, full in sorted(lengths) if epochs < full]
    return f"short schedule: {', '.join(short)}" if short else None


def notes(runs: Sequence[Run]) -> tuple[str, ...]:
    """What a reader must know before believing the table."""
    found = []
    for norm in norms_of(runs):
        started = sum(run.norm == norm for run in runs)
        lost = Counter(failure.status for failure in failures(runs) if failure.norm == norm)
        if lost:
            states = ", ".join(f"{count} {status}" for status, count in lost.items())
            found.append(
                f"{norm}: {started - lost.total()} of {started} runs finished ({states}); the table shows these."
            )
    done = finished(runs)
    if done and not finished(runs, BASELINE):
        found.append(f"There is no finished run of {BASELINE}, so there are no differences to it.")
    single = [norm for norm in norms_of(runs) if len(finished(runs, norm)) == 1]
    if single:
        found.append(f"One run only of {', '.join(single)}: no spread, and nothing to tell a difference from chance.")
    return (*found, *disagreements(done))


def run_name(run: RunResult) -> str:
    """``"bn seed 0"``."""
    return f"{run.norm} seed {run.seed}"


def disagreements(
    runs: Sequence[RunResult], by_design: Collection[str] = (), name: Callable[[RunResult], str] = run_name
) -> tuple[str, ...]:
    """In what the runs differ besides norm and seed: configuration, data, settings, versions or machine.

    Args:
        runs: those to compare.
        by_design: what else they may differ in, such as ``"configuration.method"``; ``"data"`` stands for all of it.
        name: what to call a run.
    """
    aspects = [
        {
            "configuration": {key: value for key, value in run.config.items() if key not in ("norm", "seed")},
            "data": run.record.data,
            "settings": run.record.settings,
            "versions": run.record.versions,
            "machine": run.record.machine,
        }
        for run in runs
    ]
    entries = [flatten(aspect) for aspect in aspects]
    found = []
    for key in dict.fromkeys(key for entry in entries for key in entry):
        if any(f"{key}.".startswith(f"{each}.") for each in by_design):
            continue
        holders: dict[str, list[str]] = {}
        for run, entry in zip(runs, entries, strict=True):
            holders.setdefault(entry.get(key, "absent"), []).append(name(run))
        if len(holders) > 1:
            values = [f"{_clip(value)} ({_few(names)})" for value, names in holders.items()]
            found.append(f"Runs differ in {key}: {'; '.join(values)}.")
    return tuple(found)


def provenance(runs: Sequence[Run]) -> dict[str, dict[str, str]]:
    """Settings, machine, versions and data by heading; where runs differ, all values."""
    records = [run.record for run in runs if run.record is not None]
    return {
        "Settings": merge(record.settings for record in records),
        "Machine": merge(record.machine for record in records),
        "Versions": merge(record.versions for record in records),
        "Data": merge(_without_skipped(record) for record in records),
    }


def merge(mappings: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The entries of all mappings, nested ones by dotted keys; different values stand side by side."""
    values: dict[str, dict[str, None]] = {}
    for mapping in mappings:
        for key, value in flatten(mapping).items():
            values.setdefault(key, {})[value] = None
    return {key: " | ".join(seen) for key, seen in values.items()}


def flatten(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """``{"data": {"name": "digits"}}`` -> ``{"data.name": "digits"}``, values as people read them."""
    flat = {}
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = _readable(value)
    return flat


def _readable(value: Any) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _without_skipped(record: RunRecord) -> dict[str, Any]:
    return {key: value for key, value in record.data.items() if key != "skipped"}


def _clip(value: str) -> str:
    return value if len(value) <= 60 else f"{value[:57]}…"


def _few(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{len(names)} runs"
