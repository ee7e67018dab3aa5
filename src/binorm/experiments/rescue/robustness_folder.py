"""The folder of what candidates said of shifted pictures: written case by case, and read for the report."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from safetensors.torch import save
from torch import Tensor

from binorm.experiments.common.errors import UserError, lookup
from binorm.experiments.common.files import write_bytes_atomically, write_text_atomically
from binorm.experiments.common.tensors import read_safetensors
from binorm.experiments.shifts.catalog import SHIFTS

RECORD_FILE = "robustness.json"
LABELS_FILE = "labels.safetensors"
RESULTS = "results"
VERSION = 1
CLEAN, TURNS = "clean", "turns"
# What a folder's results depend on, by the words for it; shifts may be added.
_SETTING = ("test pictures", "calibration pictures", "models", "candidates", "regime", "batch", "severities",
            "precision")  # fmt: skip


class Case(NamedTuple):
    """One shift at one severity.

    Attributes:
        shift: its name, or ``clean``.
        severity: 1 to 5; 0 of clean pictures; None where every picture has one of them in turn.
    """

    shift: str
    severity: int | None

    @property
    def file(self) -> str:
        """Its file's name."""
        return f"{self.shift}-{TURNS if self.severity is None else self.severity}.safetensors"


@dataclass(frozen=True)
class Answers:
    """What all candidates said in one case.

    Attributes:
        severity: of each picture, int64, (N,).
        predicted: by candidate, the class, int64, (N,); -1 where the network computed no numbers.
        confidence: by candidate, of the class, float32, (N,).
        seconds: by candidate, for all pictures.
        preparing: by candidate, seconds of what its method did beforehand.
        memory: the most that the process has held until then, in MiB.
    """

    severity: Tensor
    predicted: Mapping[str, Tensor]
    confidence: Mapping[str, Tensor]
    seconds: Mapping[str, float]
    preparing: Mapping[str, float]
    memory: float


def begin(folder: Path, record: Mapping[str, Any], labels: Tensor) -> None:
    """Write what will be measured, or find that the same has begun.

    Raises:
        UserError: if the folder is of another setting, naming what differs, or cannot be read or written.
    """
    if (folder / RECORD_FILE).exists():
        there, asked = (each["setting"] for each in (read_record(folder), record))
        differing = [name for name in _SETTING if there.get(name) != asked[name]]
        if differing:
            changes = "; ".join(f"{name}: {_shown(there.get(name))} there, {_shown(asked[name])} asked for"
                                for name in differing)  # fmt: skip
            raise UserError(f"{folder} holds results of another setting ({changes}): choose another --out")
        return
    write_bytes_atomically(folder / LABELS_FILE, save({"labels": labels.contiguous()}))
    write_text_atomically(folder / RECORD_FILE, json.dumps(record, indent=1) + "\n")


def read_record(folder: Path) -> dict[str, Any]:
    """What was measured, with which machine and versions.

    Raises:
        UserError: if it is not there, damaged, or of a newer binorm.
    """
    path = folder / RECORD_FILE
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        version = record["version"]
        if not isinstance(record["setting"], dict):
            raise TypeError("no setting")
    except FileNotFoundError as error:
        raise UserError(f"{folder} has no {RECORD_FILE}: expected what 'binorm robustness' wrote") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error}): delete {folder} to measure again") from error
    if version != VERSION:
        raise UserError(f"{path} is of version {version}, this binorm knows {VERSION}: choose another --out")
    return dict(record)


def write_answers(folder: Path, case: Case, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write one case, wholly or not at all."""
    content = save({name: each.contiguous() for name, each in tensors.items()}, {"binorm": json.dumps(facts)})
    write_bytes_atomically(folder / RESULTS / case.file, content)


def read_answers(folder: Path, case: Case, ids: Sequence[str]) -> Answers:
    """Read one case.

    Raises:
        UserError: if it is not there, is damaged, or lacks a candidate.
    """
    path = folder / RESULTS / case.file
    if not path.exists():
        raise UserError(f"there is no {path}")
    tensors, metadata = read_safetensors(path)
    try:
        facts = json.loads(metadata["binorm"])
        return Answers(
            tensors["severity"],
            predicted={each: tensors[f"{each}.predicted"] for each in ids},
            confidence={each: tensors[f"{each}.confidence"] for each in ids},
            seconds={each: float(facts["seconds"][each]) for each in ids},
            preparing={each: float(facts["preparing"][each]) for each in ids},
            memory=float(facts["memory_mib"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}): delete it, and measure again") from error


def is_measured(folder: Path, case: Case, ids: Sequence[str]) -> bool:
    """Whether a case's file is there and whole."""
    try:
        read_answers(folder, case, ids)
    except UserError:
        return False
    return True


def read_labels(folder: Path) -> Tensor:
    """The classes' places of the test pictures, int64, (N,)."""
    tensors, _ = read_safetensors(folder / LABELS_FILE)
    if "labels" not in tensors:
        raise UserError(f"{folder / LABELS_FILE} has no labels: delete {folder} to measure again")
    return tensors["labels"]


def measured_cases(folder: Path) -> list[Case]:
    """The cases whose files are there, in the order of `SHIFTS` and severities, without the clean one.

    Raises:
        UserError: for a file that is named like no case.
    """
    found = []
    for path in sorted((folder / RESULTS).glob("*.safetensors")):
        shift, _, severity = path.stem.rpartition("-")
        if shift == CLEAN:
            continue
        lookup("shift", shift, SHIFTS)
        if severity != TURNS and not severity.isdecimal():
            raise UserError(f"{path} is no file of 'binorm robustness': expected <shift>-<severity>.safetensors")
        found.append(Case(shift, None if severity == TURNS else int(severity)))
    places = {name: place for place, name in enumerate(SHIFTS)}
    return sorted(found, key=lambda case: (places[case.shift], case.severity or 0))


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
