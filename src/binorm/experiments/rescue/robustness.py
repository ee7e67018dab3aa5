"""How trained networks and methods stand up to shifted pictures: every candidate on exactly the same ones."""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from binorm.experiments.classifiers.photographs import Photographs
from binorm.experiments.common.errors import UserError
from binorm.experiments.common.machine import describe_machine, describe_versions, peak_memory
from binorm.experiments.common.text import counted, duration, printable
from binorm.experiments.rescue.candidates import Candidate, Prepared, Subject, candidates, prepare
from binorm.experiments.rescue.methods import Method
from binorm.experiments.rescue.regimes import AT_ONCE, Asked, Regime
from binorm.experiments.rescue.restyling import Restyle
from binorm.experiments.rescue.robustness_folder import (
    CLEAN,
    TURNS,
    VERSION,
    Case,
    begin,
    is_measured,
    write_answers,
)
from binorm.experiments.rescue.shifting import Shifting, turn_severities
from binorm.experiments.rescue.shifts import SEVERITIES, SHIFTS, SMALLEST_SIDE, Shift
from binorm.experiments.training.settings import fast_bfloat16

_SHIFTED_AT_ONCE = 512  # pictures; bounds the memory for shifted ones
_NORMALIZED_AT_ONCE = 100
Report = Callable[[str], None]


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
        precision = self._precision(_device())
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
            "device": str(_device()),
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


def measure(plan: Plan, out: Path, command: str, report: Report) -> None:
    """Ask every candidate about every case, and write the answers case by case.

    What ``out`` has already is kept, and the rest gets the same bits as without an interruption. Shifted pictures are
    made once, some hundred at a time, and shown to all candidates before the next ones.

    Args:
        plan: what.
        out: the results' folder.
        command: as somebody typed it.
        report: hears what is being done.

    Raises:
        UserError: if it cannot be measured, or ``out`` is of another setting.
    """
    plan.check()
    begin(out, plan.record(command), plan.labels)
    ids = [each.id for each in plan.candidates]
    missing = [case for case in plan.cases if not is_measured(out, case, ids)]
    if not missing:
        return
    device = _device()
    prepared = []
    for place, candidate in enumerate(plan.candidates):
        report(f"preparing {candidate.id}, {place + 1} of {len(ids)}")
        prepared.append(prepare(candidate, plan.restyle, plan.calibration_pictures, device))
    preparing = {each.candidate.id: each.seconds for each in prepared}
    started = time.perf_counter()
    with Shifting(plan.processes) as shifting:
        for place, case in enumerate(missing):
            spent = time.perf_counter() - started
            left = f", about {duration(spent / place * (len(missing) - place))} left" if place else ""
            report(f"{case.shift}, {place + 1} of {len(missing)}{left}")
            severity = _severity(case, len(plan.test))
            asked = _ask(plan, case, severity, prepared, shifting, device)
            facts = {
                "seconds": {each.candidate.id: each.seconds for each in asked},
                "preparing": preparing,
                "memory_mib": peak_memory(),
            }
            tensors = {name: each for one in asked for name, each in one.tensors().items()}
            write_answers(out, case, {"severity": severity, **tensors}, facts)


def _ask(
    plan: Plan, case: Case, severity: Tensor, prepared: Sequence[Prepared], shifting: Shifting, device: torch.device
) -> list[Asked]:
    """Show one case's pictures to all candidates; those that share their pixels get the same tensors."""
    asked = [Asked(each, plan.regime, plan.batch, len(plan.test), plan.autocast(device)) for each in prepared]
    order = plan.regime.order(plan.labels)
    for pixels in dict.fromkeys(each.pixels for each in plan.subjects):
        alike = [each for each in asked if each.candidate.subject.pixels == pixels]
        pictures = alike[0].candidate.subject.test.pictures
        parts = _shifted(case, pictures, severity, order, _multiple(plan.batch, _SHIFTED_AT_ONCE), shifting)
        learning = [each for each in alike if each.learns]
        if plan.regime.ahead and learning:
            kept = list(parts)
            for _, shifted in kept:
                for each, _, batch in _shown_to(learning, shifted, plan.batch, device):
                    each.see(batch)
            parts = iter(kept)
        for places, shifted in parts:
            for each, start, batch in _shown_to(alike, shifted, plan.batch, device):
                each.answer(places[start : start + len(batch)], batch)
    return asked


def _shifted(
    case: Case, pictures: Tensor, severity: Tensor, order: Tensor, at_once: int, shifting: Shifting
) -> Iterator[tuple[Tensor, Tensor]]:
    """Places, (n,), and shifted pictures, uint8 (n, 3, H, W), in the order in which they come."""
    for places in torch.split(order, at_once):
        chosen = pictures[places]
        yield places, chosen if case.shift == CLEAN else shifting(SHIFTS[case.shift], chosen, severity[places])


def _shown_to(
    asked: Sequence[Asked], pictures: Tensor, batch: int, device: torch.device
) -> Iterator[tuple[Asked, int, Tensor]]:
    """Each candidate with the place of the first and normalized pictures, (n, 3, H, W), block by block.

    Candidates of one subject get the same tensor.
    """
    size = _multiple(batch, _NORMALIZED_AT_ONCE)
    for start in range(0, len(pictures), size):
        for subject in dict.fromkeys(each.candidate.subject.name for each in asked):
            members = [each for each in asked if each.candidate.subject.name == subject]
            normalize = members[0].candidate.subject.classifier.preprocessing.normalize
            block = normalize(pictures[start : start + size].to(device))
            block = block.contiguous(memory_format=torch.channels_last)
            for each in members:
                yield each, start, block


def _multiple(batch: int, most: int) -> int:
    """The largest multiple of a batch's size up to ``most``, so that no batch is cut; one batch at least."""
    return batch * max(1, most // batch)


def _severity(case: Case, count: int) -> Tensor:
    """Of each picture, int64 (count,): of turns the same whichever other shifts there are."""
    if case.severity is None:
        return turn_severities(count, list(SHIFTS).index(case.shift))
    return torch.full((count,), case.severity)


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


def _device() -> torch.device:
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
