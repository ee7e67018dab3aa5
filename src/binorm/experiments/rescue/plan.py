"""What is to be measured on shifted pictures: networks, methods, shifts and how pictures come."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from binorm.experiments.classifiers.photographs import Photographs
from binorm.experiments.common.errors import UserError
from binorm.experiments.common.machine import describe_machine, describe_versions
from binorm.experiments.common.text import counted, printable
from binorm.experiments.rescue.candidates import Candidate, Subject, candidates
from binorm.experiments.rescue.methods import Method
from binorm.experiments.rescue.regimes import AT_ONCE, Regime
from binorm.experiments.rescue.restyling import Restyle
from binorm.experiments.rescue.robustness_folder import CLEAN, TURNS, VERSION, Case
from binorm.experiments.shifts.catalog import SEVERITIES, SHIFTS, SMALLEST_SIDE, Shift
from binorm.experiments.training.settings import fast_bfloat16


@dataclass(frozen=True)
class Plan:
    """What is to be measured.

    Attributes:
        subjects: networks with their pictures, at least one.
        methods: what is done to each, at least one.
        seeds: how many, from 0 on, for methods that calibrate.
        calibration_pictures: how many of a subject's pool each of these takes.
        shifts: which, in any order.
        severities: some of 1 to 5, or empty for one to each picture in turn.
        regime: how pictures come.
        batch: pictures in a batch, for methods to which it matters.
        restyle: for methods that calibrate: how pictures could look elsewhere.
        precision: ``float32``, ``bfloat16``, or ``auto`` for what this machine is fast in.
        calibration: where the pool comes from, in words.
        processes: how many apply shifts.
        remarks: what a reader of the report should know of the pictures.
    """

    subjects: Sequence[Subject]
    methods: Sequence[Method]
    seeds: int
    calibration_pictures: int
    shifts: Sequence[Shift]
    severities: Sequence[int]
    regime: Regime
    batch: int
    restyle: Restyle
    precision: str = "auto"
    calibration: str = ""
    processes: int = 1
    remarks: Sequence[str] = ()

    @property
    def candidates(self) -> list[Candidate]:
        """Every subject with every method and seed."""
        return candidates(self.subjects, self.methods, self.seeds)

    @property
    def cases(self) -> list[Case]:
        """Clean pictures, then every shift at every severity."""
        chosen = [name for name in SHIFTS if name in {shift.name for shift in self.shifts}]
        severities: Sequence[int | None] = self.severities or [None]
        return [Case(CLEAN, 0), *(Case(name, each) for name in chosen for each in severities)]

    @property
    def test(self) -> Photographs:
        """The test pictures as the first subject takes them."""
        return self.subjects[0].test

    @property
    def labels(self) -> Tensor:
        """Of the test pictures, int64, (N,)."""
        labels = self.test.labels
        if labels is None:
            raise ValueError("expected labelled pictures")
        return labels

    def check(self) -> None:
        """Find out, before any work, whether it can be measured.

        Raises:
            UserError: if not.
        """
        first = self.subjects[0]
        for each in self.subjects:
            if each.classifier.classes != first.classifier.classes:
                raise UserError(
                    f"{each.name} has other classes than {first.name}: measure them apart, each with its own --out"
                )
            side = min(each.test.pictures.shape[2:])
            if self.shifts and side < SMALLEST_SIDE:
                raise UserError(f"{each.name} takes pictures of {side} pixels: shifts need at least {SMALLEST_SIDE}")
        if len(self.test) < 2:
            raise UserError(f"{counted(len(self.test), 'test picture')} in {self.test.source}: expected at least 2")

    def record(self, command: str) -> dict[str, Any]:
        """What `robustness.json` says."""
        precision = self._precision(compute_device())
        source, classes = printable(str(self.test.source)), self.subjects[0].classifier.classes
        models = [each.facts() for each in self.subjects]
        pictures = _fingerprint([each.test for each in self.subjects])
        return {
            "version": VERSION,
            "command": command,
            "setting": {
                "test pictures": f"{len(self.test)} ({pictures})",
                "calibration pictures": self._calibration_setting(),
                "models": [f"{each['name']} ({each['fingerprint']})" for each in models],
                "candidates": sorted(each.id for each in self.candidates),
                "regime": self.regime.name,
                "batch": self.batch,
                "severities": list(self.severities) or TURNS,
                "precision": precision,
            },
            "data": {"source": source, "pictures": len(self.test), "classes": len(classes), "fingerprint": pictures},
            "calibration": self.calibration,
            "models": models,
            "methods": [_method_facts(each) for each in self.methods],
            "candidates": [_candidate_facts(each, self.batch) for each in self.candidates],
            "remarks": [printable(each) for each in self.remarks],
            "device": str(compute_device()),
            "versions": describe_versions(),
            "machine": describe_machine(),
        }

    def autocast(self, device: torch.device) -> torch.autocast:
        """The context in which all candidates compute."""
        return torch.autocast(device.type, torch.bfloat16, self._precision(device) == "bfloat16")

    def _precision(self, device: torch.device) -> str:
        if self.precision != "auto":
            return self.precision
        return "bfloat16" if fast_bfloat16(device.type) else "float32"

    def _calibration_setting(self) -> str:
        pools = [each.pool for each in self.subjects if each.pool is not None]
        if not pools or not any(each.calibrates for each in self.methods):
            return "none"
        return f"{min(self.calibration_pictures, len(pools[0]))} of {len(pools[0])} ({_fingerprint(pools)})"


def parse_severities(text: str) -> list[int]:
    """``turns`` to none, ``all`` to all, ``1,3,5`` to these.

    Raises:
        UserError: for anything else.
    """
    if text == TURNS:
        return []
    if text == "all":
        return list(SEVERITIES)
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) in SEVERITIES for part in parts):
        raise UserError(f"severities should be turns, all, or some of 1 to 5 with commas (got {text!r})")
    return sorted({int(part) for part in parts})


def compute_device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _fingerprint(sets: Sequence[Photographs]) -> str:
    """Hexadecimal; equal where names, labels and pixels are."""
    digest = hashlib.blake2b(digest_size=8)
    for each in sets:
        digest.update(repr((each.names, tuple(each.pictures.shape))).encode())
        digest.update(each.pictures.numpy().tobytes())
        if each.labels is not None:
            digest.update(each.labels.numpy().tobytes())
    return digest.hexdigest()


def _method_facts(method: Method) -> dict[str, Any]:
    names = ("name", "title", "source", "summary", "batch", "calibrates")
    return {name: getattr(method, name) for name in names}


def _candidate_facts(candidate: Candidate, batch: int) -> Mapping[str, Any]:
    method = candidate.method
    return {
        "id": candidate.id,
        "group": candidate.group,
        "model": candidate.subject.name,
        "method": method.name,
        "title": method.title,
        "seed": candidate.seed,
        "batch": batch if method.batch else AT_ONCE,
    }
