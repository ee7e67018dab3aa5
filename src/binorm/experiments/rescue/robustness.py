"""How trained networks and methods stand up to shifted pictures: every candidate on exactly the same ones."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from binorm.experiments.common.machine import peak_memory
from binorm.experiments.common.text import duration
from binorm.experiments.rescue.candidates import Prepared, prepare
from binorm.experiments.rescue.plan import Plan, compute_device
from binorm.experiments.rescue.regimes import Asked
from binorm.experiments.rescue.robustness_folder import CLEAN, Case, begin, is_measured, write_answers
from binorm.experiments.shifts.catalog import SHIFTS
from binorm.experiments.shifts.shifting import Shifting, turn_severities

_SHIFTED_AT_ONCE = 512  # pictures; bounds the memory for shifted ones
_NORMALIZED_AT_ONCE = 100
Report = Callable[[str], None]


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
    device = compute_device()
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
