"""``run.json``: who ran what, where, on what data and with what outcome."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from binorm.experiments.common.errors import UserError
from binorm.experiments.recipes.base import TRAIN
from binorm.experiments.runs.files import check, damaged, field, read_json
from binorm.experiments.shifts.catalog import SHIFTS

STATUSES = ("running", "finished", "diverged")


@dataclass(frozen=True)
class RunRecord:
    """``run.json``.

    ``seconds`` is wall-clock time; ``operations`` are those of a forward pass of one picture, 0 in an older run;
    ``data`` is all that is said of the data; ``shifted`` holds what was measured on shifted pictures, by evaluation
    set, and is empty where nothing was.
    """

    status: str
    reason: str | None
    command: str
    started: str
    seconds: float
    parameters: int
    gates: int
    operations: int
    settings: Mapping[str, Any]
    versions: Mapping[str, Any]
    machine: Mapping[str, Any]
    data: Mapping[str, Any]
    shifted: Mapping[str, "ShiftedScores"]

    @property
    def evaluation(self) -> Mapping[str, int]:
        """How many pictures each evaluation set has."""
        sets: Mapping[str, int] = self.data.get("evaluation", {})
        return sets

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was left out of the data or is peculiar about them, in sentences; none in an older run."""
        return tuple(self.data.get("remarks", ()))

    @property
    def duplicates(self) -> Mapping[str, int | None]:
        """How many pictures of each evaluation set are, pixel for pixel, among the training pictures.

        None where nobody looked; an older run names no set.
        """
        counts: Mapping[str, int | None] = self.data.get("duplicates", {})
        return counts

    @property
    def fingerprint(self) -> str:
        """What tells these data from all others; ``""`` in an older run."""
        return self.data.get("fingerprint") or ""


@dataclass(frozen=True)
class ShiftedScores:
    """Top-1 in percent on pictures of one evaluation set.

    Attributes:
        pictures: how many.
        side: the shorter one, in pixels.
        clean: on these as they are.
        shifts: on these shifted, by the shift's name.
    """

    pictures: int
    side: int
    clean: float
    shifts: Mapping[str, float]


def read_record(path: Path, norm: str, seed: int) -> RunRecord:
    """Read the record of a run in the folder of this norm and seed.

    Raises:
        UserError: it is missing, damaged, or of another norm or seed; the message names it and the way out.
    """
    entries = read_json(path)
    if (entries.get("norm"), entries.get("seed")) != (norm, seed):
        raise UserError(
            f"{path} belongs to norm {entries.get('norm')!r}, seed {entries.get('seed')!r}, but its folder says "
            f"{norm!r}, seed {seed}. Move the run to <norm>/seed<k>/ of its own norm and seed."
        )
    status = field(entries, "status", str, path)
    if status not in STATUSES:
        raise damaged(path, f"status is {status!r}, expected one of {', '.join(STATUSES)}")
    data = field(entries, "data", dict, path)
    _check_data(data, path)
    return RunRecord(
        status=status,
        reason=None if entries.get("reason") is None else str(entries["reason"]),
        command=field(entries, "command", str, path),
        started=field(entries, "started", str, path),
        seconds=float(field(entries, "seconds", (int, float), path)),
        parameters=field(entries, "parameters", int, path),
        gates=field(entries, "gates", int, path),
        operations=field({"operations": 0, **entries}, "operations", int, path),
        settings=field(entries, "settings", dict, path),
        versions=field(entries, "versions", dict, path),
        machine=field(entries, "machine", dict, path),
        data=data,
        shifted=_read_shifted(entries.get("shifted", {}), path),
    )


def _read_shifted(sets: Any, path: Path) -> dict[str, ShiftedScores]:
    """``shifted``; shifts that are not known here, as a later binorm may have, are left out."""
    try:
        return {
            name: ShiftedScores(
                int(found["pictures"]),
                int(found["side"]),
                float(found["clean"]),
                {shift: float(found["shifts"][shift]) for shift in SHIFTS if shift in found["shifts"]},
            )
            for name, found in dict(sets).items()
        }
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(path, f"shifted is of another make ({type(error).__name__}: {error})") from error


def _check_data(data: Mapping[str, Any], path: Path) -> None:
    """Entries that came after the first runs may be absent."""
    field(data, "train", int, path)
    _check_domains(data.get("domains", {}), path)
    sets = data.get("evaluation", {})
    fine = isinstance(sets, dict) and all(isinstance(count, int) for count in sets.values())
    check(fine, path, "data.evaluation should map names to counts")
    if TRAIN in sets:
        raise UserError(
            f"{path} has an evaluation set that is called {TRAIN!r} as the training pictures are, so that their "
            f"accuracies cannot be told apart. Rename it in the data, delete {path.parent} and train again"
        )
    remarks = data.get("remarks", [])
    fine = isinstance(remarks, list) and all(isinstance(each, str) for each in remarks)
    check(fine, path, "data.remarks should be a list of sentences")
    found = data.get("duplicates", {})
    fine = isinstance(found, dict) and all(count is None or type(count) is int for count in found.values())
    check(fine, path, "data.duplicates should map evaluation sets to counts")
    check(isinstance(data.get("fingerprint"), str | None), path, "data.fingerprint should be a text")


def _check_domains(domains: Any, path: Path) -> None:
    """``data.domains``; absent in a run from before it was written."""
    fine = isinstance(domains, dict) and isinstance(domains.get("train", []), list)
    fine = fine and all(isinstance(name, str) for name in domains.get("train", []))
    check(fine and isinstance(domains.get("target"), str | None), path, "data.domains is of another make")
