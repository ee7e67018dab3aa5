"""What the files of ``binorm robustness`` say: scores of each network and method, over seeds, and differences."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from binorm.experiments.common.errors import UserError, lookup
from binorm.experiments.report.significance import PairedDifference, Spread, spread
from binorm.experiments.rescue import scores
from binorm.experiments.rescue.regimes import NOT_A_NUMBER
from binorm.experiments.rescue.robustness_folder import (
    CLEAN,
    TURNS,
    Answers,
    Case,
    measured_cases,
    read_answers,
    read_labels,
    read_record,
)
from binorm.experiments.shifts.catalog import GROUPS, SHIFTS

Correct = NDArray[numpy.bool_]
AS_TRAINED = "none"


@dataclass(frozen=True)
class Group:
    """A network with one method, of every seed.

    Attributes:
        id: ``model:method``.
        model: the network's name.
        method: the method's name.
        title: the method's, for people.
        ids: of its candidates, one a seed.
        batch: pictures in a batch.
    """

    id: str
    model: str
    method: str
    title: str
    ids: tuple[str, ...]
    batch: int


class Robustness:
    """The answers of a folder, read.

    Args:
        folder: of results.
        baseline: ``model:method`` that all are held against; None for each network as it was trained, or with the first
            method where that was not measured.

    Raises:
        UserError: if the folder holds none, a file is damaged, or the baseline is not among them.
    """

    def __init__(self, folder: Path, baseline: str | None = None) -> None:
        self.record: dict[str, Any] = read_record(folder)
        self.labels = read_labels(folder).numpy()
        try:
            self.groups = _groups(self.record["candidates"])
            ids = [each for group in self.groups for each in group.ids]
            severities = self.record["setting"]["severities"]
            self.methods: Sequence[Mapping[str, Any]] = self.record["methods"]
        except (KeyError, TypeError) as error:
            raise UserError(f"{folder} does not say what was measured ({error}): measure again") from error
        self.severities: list[int] | None = None if severities == TURNS else severities
        self.clean = read_answers(folder, Case(CLEAN, 0), ids)
        self.shifted: dict[str, list[Answers]] = {}
        cases = measured_cases(folder)
        for shift in dict.fromkeys(case.shift for case in cases):
            there = {case.severity for case in cases if case.shift == shift}
            wanted: list[int | None] = [None] if self.severities is None else [*self.severities]
            if there >= set(wanted):  # else it is being measured
                self.shifted[shift] = [read_answers(folder, Case(shift, each), ids) for each in wanted]
        self._differences: dict[tuple[str, ...], PairedDifference] = {}
        self._baseline = None if baseline is None else lookup("baseline", baseline, {g.id: g for g in self.groups})

    def baseline(self, group: Group) -> Group:
        """What a group is held against; may be itself."""
        if self._baseline is not None:
            return self._baseline
        own = [each for each in self.groups if each.model == group.model]
        return next((each for each in own if each.method == AS_TRAINED), own[0])

    @property
    def models(self) -> list[str]:
        """Names of the networks."""
        return list(dict.fromkeys(group.model for group in self.groups))

    def shifts(self, kind: str) -> list[str]:
        """Those of a kind that were measured."""
        return [name for name in self.shifted if SHIFTS[name].group == kind]

    @property
    def kinds(self) -> list[str]:
        """Those of which any shift was measured."""
        return [kind for kind in GROUPS if self.shifts(kind)]

    @property
    def columns(self) -> dict[str, list[str]]:
        """What is averaged: clean pictures, then the shifts of each kind, by name."""
        return {CLEAN: [CLEAN]} | {kind: self.shifts(kind) for kind in self.kinds}

    def correct(self, ids: Sequence[str], shift: str) -> Correct:
        """Whether each answer is right, (seeds x severities, N)."""
        return numpy.concatenate([self._correct[each, shift] for each in ids])

    def top1(self, group: Group, shifts: Sequence[str]) -> Spread:
        """Percent of right answers, the mean over shifts, over seeds."""
        return spread([scores.mean_top1(self._by_shift([each], shifts)) for each in group.ids])

    def mce(self, group: Group) -> float:
        """Mean corruption error over the common corruptions measured against the baseline, the mean over seeds."""
        base, shifts = self.baseline(group).ids, self.shifts("corruption")
        return statistics.fmean(
            scores.mean_corruption_error(self._by_shift([each], shifts), self._by_shift([base[k % len(base)]], shifts))
            for k, each in enumerate(group.ids)
        )

    def calibration_error(self, group: Group, shifts: Sequence[str]) -> float:
        """Expected calibration error in points, the mean over shifts; answers of all seeds together."""
        errors = []
        for shift in shifts:
            cases = self._cases(shift)
            confidence = numpy.stack([each.confidence[name].numpy() for name in group.ids for each in cases])
            errors.append(scores.calibration_error(self.correct(group.ids, shift), confidence))
        return statistics.fmean(errors)

    def difference(self, group: Group, shifts: Sequence[str]) -> PairedDifference | None:
        """To the baseline in points, by the paired bootstrap over pictures; None for the baseline itself."""
        base = self.baseline(group)
        if base == group or not shifts:
            return None
        key = (group.id, *shifts)
        if key not in self._differences:
            found = scores.compare(self._by_shift(group.ids, shifts), self._by_shift(base.ids, shifts))
            self._differences[key] = PairedDifference(len(self.labels), *found)
        return self._differences[key]

    def by_severity(self, group: Group, kind: str) -> dict[int, float]:
        """Percent of right answers by severity, the mean over a kind's shifts; clean pictures have 0."""
        found = {0: self.top1(group, [CLEAN]).mean}
        for severity in range(1, 6):
            means = []
            for shift in self.shifts(kind):
                places = numpy.stack([each.severity.numpy() for each in self._cases(shift)]) == severity
                chosen = self.correct(group.ids, shift)[numpy.tile(places, (len(group.ids), 1))]
                means += [100 * float(chosen.mean())] if chosen.size else []
            if means:
                found[severity] = statistics.fmean(means)
        return found

    def milliseconds(self, group: Group) -> float:
        """The network's and method's for a picture, over all that were shown."""
        cases = [each for shift in (CLEAN, *self.shifted) for each in self._cases(shift)]
        seconds = sum(each.seconds[name] for each in cases for name in group.ids)
        return 1000 * seconds / (len(cases) * len(group.ids) * len(self.labels))

    def preparing(self, group: Group) -> float:
        """Seconds of what the method does beforehand, the mean over seeds."""
        return statistics.fmean(self.clean.preparing[each] for each in group.ids)

    @property
    def memory(self) -> float:
        """The most that the process has held, in MiB."""
        return max(each.memory for shift in (CLEAN, *self.shifted) for each in self._cases(shift))

    @property
    def failing(self) -> dict[str, int]:
        """How many answers are no numbers, by group; groups without any are left out."""
        counts = {
            group.id: sum(
                int((each.predicted[name] == NOT_A_NUMBER).sum())
                for shift in (CLEAN, *self.shifted)
                for each in self._cases(shift)
                for name in group.ids
            )
            for group in self.groups
        }
        return {name: count for name, count in counts.items() if count}

    def _by_shift(self, ids: Sequence[str], shifts: Sequence[str]) -> dict[str, Correct]:
        return {shift: self.correct(ids, shift) for shift in shifts}

    def _cases(self, shift: str) -> list[Answers]:
        return [self.clean] if shift == CLEAN else self.shifted[shift]

    @cached_property
    def _correct(self) -> dict[tuple[str, str], Correct]:
        return {
            (name, shift): numpy.stack([each.predicted[name].numpy() == self.labels for each in self._cases(shift)])
            for shift in (CLEAN, *self.shifted)
            for group in self.groups
            for name in group.ids
        }


def each_group(measured: Robustness, value: Callable[[Group], Any]) -> dict[str, Any]:
    """A value of each group by its id, for programs."""
    return {group.id: value(group) for group in measured.groups}


def _groups(candidates: Sequence[Mapping[str, Any]]) -> list[Group]:
    members: dict[str, list[Mapping[str, Any]]] = {}
    for each in candidates:
        members.setdefault(str(each["group"]), []).append(each)
    return [
        Group(
            name,
            str(those[0]["model"]),
            str(those[0]["method"]),
            str(those[0]["title"]),
            tuple(str(each["id"]) for each in those),
            int(those[0]["batch"]),
        )
        for name, those in members.items()
    ]
