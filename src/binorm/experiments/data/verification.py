"""Checking that a copy of a data set is whole: every picture is decoded, counted and compared with the others."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from binorm.experiments.common.text import counted
from binorm.experiments.data.readers.examination import Examined
from binorm.experiments.data.trees.file_tree import remarks_on
from binorm.experiments.data.trees.folder_walk import PassedOver

NARROW = 4  # pixels; a picture with a shorter side shows next to nothing
EXAMPLES = 5
PROGRESS_EVERY = 500


@dataclass
class Verification:
    """What was found in one copy of a data set.

    Attributes:
        name: of the data set.
        expected: how many pictures each split should have; splits that it does not name may have any number.
        classes: how many classes there should be.
        size: width and height that every picture should have; (0, 0) for any.
        counts: pictures found, broken ones included, by split.
        present: labels of pictures that are not broken, by split.
        broken: names of all files that cannot be decoded, and why.
        wrong_size: names of all pictures that do not have ``size``.
        narrow: pictures with a side below `NARROW` pixels.
        crossing: pairs of equal pictures in different splits.
        conflicting: pairs of equal pictures with different labels.
        passed_over: names of files that are not taken, by reason.
    """

    name: str
    expected: Mapping[str, int]
    classes: int
    size: tuple[int, int] = (0, 0)
    counts: dict[str, int] = field(default_factory=dict)
    present: dict[str, set[int]] = field(default_factory=dict)
    broken: list[tuple[str, str]] = field(default_factory=list)
    wrong_size: list[str] = field(default_factory=list)
    narrow: list[str] = field(default_factory=list)
    crossing: list[tuple[str, str]] = field(default_factory=list)
    conflicting: list[tuple[str, str]] = field(default_factory=list)
    passed_over: PassedOver = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the copy has no fault; it is whole where nothing was passed over either."""
        return not self.faults

    @property
    def verdict(self) -> str:
        """What all of it comes to."""
        if self.faults:
            return f"not whole: {counted(len(self.faults), 'fault')}"
        files = sum(map(len, self.passed_over.values()))
        if files:
            verb = "was" if files == 1 else "were"
            return f"every picture that is read was decoded; {counted(files, 'file')} {verb} passed over, see above"
        return "whole: every picture was decoded"

    @property
    def faults(self) -> list[str]:
        """What makes the copy differ from the published set, a sentence each; broken files come one by one."""
        found = [
            f"{split}: {self.counts.get(split, 0):,} pictures, expected {count:,}"
            for split, count in self.expected.items()
            if self.counts.get(split, 0) != count
        ]
        labels = set().union(*self.present.values())
        if len(labels) != self.classes:
            found.append(f"{len(labels)} classes with pictures, expected {self.classes}")
        if self.wrong_size:
            size = f"{self.size[0]}x{self.size[1]}"
            found.append(f"{len(self.wrong_size):,} pictures are not {size}: {', '.join(self.wrong_size[:EXAMPLES])}")
        return found + [f"broken: {name} ({reason})" for name, reason in self.broken]

    @property
    def notes(self) -> list[str]:
        """What is worth knowing and no fault of this copy."""
        kinds = {
            "equal pictures in different splits": [" = ".join(pair) for pair in self.crossing],
            "equal pictures with different labels": [" = ".join(pair) for pair in self.conflicting],
            f"pictures narrower than {NARROW} pixels": self.narrow,
        }
        found = list(remarks_on(self.passed_over))
        found += [
            f"{text}: {len(each):,}, such as {', '.join(each[:EXAMPLES])}" for text, each in kinds.items() if each
        ]
        for split, labels in self.present.items():
            if len(labels) < self.classes:
                found.append(f"{split} has pictures of {len(labels)} of the {self.classes} classes")
        return found


def check(found: Verification, pictures: Iterator[Examined], progress: Callable[[str], None] | None) -> Verification:
    """Fill in ``found`` from every picture, and return it; ``progress`` hears how many there were so far."""
    first: dict[bytes, Examined] = {}
    for number, each in enumerate(pictures, 1):
        found.counts[each.split] = found.counts.get(each.split, 0) + 1
        present = found.present.setdefault(each.split, set())
        if each.fault:
            found.broken.append((each.name, each.fault))
            continue
        present.add(each.label)
        if any(found.size) and each.size != found.size:
            found.wrong_size.append(each.name)
        if min(each.size) < NARROW:
            found.narrow.append(each.name)
        earlier = first.setdefault(each.digest, each)
        if earlier.split != each.split:
            found.crossing.append((earlier.name, each.name))
        if earlier.label != each.label:
            found.conflicting.append((earlier.name, each.name))
        if progress is not None and number % PROGRESS_EVERY == 0:
            progress(f"{found.name}: {number:,} pictures")
    return found
