"""What a report says around its tables: what has to be known before, what was left out, and where figures come from."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from binorm.experiments.common.text import duration, listed
from binorm.experiments.recipes.titles import title_of
from binorm.experiments.report.data import overlap_notes, overlaps
from binorm.experiments.report.page import Block, Command, Details, Facts, Listing, Section, Text
from binorm.experiments.report.scores import BASELINE, finished, norms_of
from binorm.experiments.runs.reading import FinishedRun, Run

MOST_NAMED = 20  # files that could not be read


@dataclass(frozen=True)
class Failure:
    """A run that is not in the table, and why."""

    norm: str
    seed: int
    status: str
    reason: str


def failures(runs: Iterable[Run]) -> tuple[Failure, ...]:
    """The runs that diverged or did not get to their end, named in full."""
    lost = [run for run in runs if not isinstance(run, FinishedRun)]
    return tuple(Failure(run.label, run.seed, run.status, run.reason) for run in lost)


def schedule_label(runs: Iterable[Run], unit: str = "epochs") -> str | None:
    """``"short schedule: 5 of 164 epochs"`` where runs stopped before their recipe's length, else None.

    Of several domains an epoch may have fewer steps than the recipe's: ``"1 of 40 epochs, 20 of 50 steps each"``.
    """
    lengths = {(run.config[unit], run.config[f"full_{unit}"], *_steps(run, unit)) for run in finished(runs)}
    short = [text for each in sorted(lengths) if (text := _shortened(unit, *each))]
    return f"short schedule: {'; '.join(short)}" if short else None


def _steps(run: FinishedRun, unit: str) -> tuple[int, int]:
    """Steps an epoch, and those of the full recipe; both 0 where an epoch is a pass over the pictures."""
    steps, full = run.config.get("steps", 0), run.config.get("full_steps", -1)
    if unit != "epochs" or full == -1 or steps == full:
        return 0, 0
    a_pass = run.record.data["train"] // (run.config["batch_size"] * max(len(run.sources), 1))
    return steps or a_pass, full or a_pass


def _shortened(unit: str, length: int, full: int, steps: int, full_steps: int) -> str:
    """What is short of the recipe, in words."""
    cut = f"{steps:,} of {full_steps:,} steps" if steps < full_steps else ""
    if length < full:
        return f"{length:,} of {full:,} {unit}" + (f", {cut} each" if cut else "")
    return f"epochs of {cut}" if cut else ""


def run_title(run: FinishedRun, fallback: str) -> str:
    """What was trained, in a line: see `title_of`."""
    return title_of(run.config, run.record.data.get("source", ""), fallback)


def machines(runs: Sequence[FinishedRun]) -> str:
    """``"on Example CPU"``."""
    return f"on {listed(sorted({str(run.record.machine.get('gpu') or run.record.machine.get('cpu')) for run in runs}))}"


def losses_note(name: str, group: Sequence[Run]) -> list[str]:
    """How many runs of a group did not finish, if any."""
    lost = Counter(run.status for run in group if not isinstance(run, FinishedRun))
    if not lost:
        return []
    states = ", ".join(f"{count} {status}" for status, count in lost.items())
    return [f"{name}: {len(group) - lost.total()} of {len(group)} runs finished ({states}); the table shows these."]


def no_baseline(runs: Iterable[Run]) -> list[str]:
    """A note where batch norm is missing among finished runs."""
    norms = {run.norm for run in finished(runs)}
    missing = norms and BASELINE not in norms
    return [f"There is no finished run of {BASELINE}, so there are no differences to it."] if missing else []


def single_note(names: str) -> str:
    """That one run tells nothing of chance."""
    return f"One run only of {names}: no spread, and nothing to tell a difference from chance."


def notes(runs: Sequence[Run]) -> tuple[str, ...]:
    """What a reader must know before believing the table of one recipe."""
    norms = norms_of(runs)
    found = [note for norm in norms for note in losses_note(norm, [run for run in runs if run.norm == norm])]
    single = [norm for norm in norms if len(finished(runs, norm)) == 1]
    found += no_baseline(runs) + ([single_note(", ".join(single))] if single else [])
    return (*overlap_notes(overlaps(runs)), *found, *disagreements(finished(runs)))


def disagreements(runs: Sequence[FinishedRun], by_design: Collection[str] = ()) -> tuple[str, ...]:
    """In what the runs differ besides norm and seed: configuration, data, settings, versions or machine.

    Args:
        runs: those to compare.
        by_design: what else they may differ in, such as ``"configuration.method"``; ``"data"`` stands for all of it.
    """
    aspects = [
        {
            "configuration": {key: value for key, value in run.config.items() if key not in ("norm", "seed")},
            "data": _compared(run.record.data),
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
            holders.setdefault(entry.get(key, "absent"), []).append(f"{run.label} seed {run.seed}")
        if len(holders) > 1:
            values = [f"{_clip(value)} ({_few(names)})" for value, names in holders.items()]
            found.append(f"Runs differ in {key}: {'; '.join(values)}.")
    return tuple(found)


def origins(runs: Sequence[Run]) -> list[Section]:
    """The end of every report: the runs and files left out, commands, time, machine, versions and the full recipe."""
    records = [run.record for run in runs if run.record is not None]
    started = min((record.started for record in records), default="")
    first = f", the first started {started}" if started else ""
    time = duration(sum(record.seconds for record in records))
    blocks: list[Block] = [Text(f"{len(runs)} runs, {time} in all{first}.")]
    blocks += map(Command, dict.fromkeys(record.command for record in records))
    blocks += [Facts(heading, entries) for heading, entries in provenance(runs).items() if entries]
    recipe = merge(run.config for run in finished(runs))
    if recipe:
        blocks.append(Details("The full recipe", [Facts("", recipe)]))
    left_out = list(_left_out(runs))
    return [Section("Left out", [Listing(left_out)] if left_out else []), Section("How this was made", blocks)]


def _left_out(runs: Sequence[Run]) -> Iterator[str]:
    for failure in failures(runs):
        yield f"{failure.norm}, seed {failure.seed}, {failure.status}: {failure.reason}"
    names = [name for run in runs if run.record is not None for name in run.record.data.get("skipped") or ()]
    skipped = sorted(map(str, dict.fromkeys(names)))
    if skipped:
        more = f" and {len(skipped) - MOST_NAMED} more" if len(skipped) > MOST_NAMED else ""
        yield f"{len(skipped)} files that could not be read: {', '.join(skipped[:MOST_NAMED])}{more}"


def provenance(runs: Sequence[Run]) -> dict[str, dict[str, str]]:
    """Settings, machine, versions and data by heading; where runs differ, all values."""
    records = [run.record for run in runs if run.record is not None]
    return {
        "Settings": merge(record.settings for record in records),
        "Machine": merge(record.machine for record in records),
        "Versions": merge(record.versions for record in records),
        "Data": merge(_compared(record.data, "skipped") for record in records),
    }


def _compared(data: Mapping[str, Any], *left_out: str) -> dict[str, Any]:
    """The data's facts without what has a place of its own in a report."""
    return {key: each for key, each in data.items() if key not in ("remarks", "duplicates", *left_out)}


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


def _clip(value: str) -> str:
    return value if len(value) <= 60 else f"{value[:57]}…"


def _few(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{len(names)} runs"
