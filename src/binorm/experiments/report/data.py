"""What a report says of the data: test pictures among the training pictures, what was left out, and sets of few."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from binorm.experiments.common.text import listed
from binorm.experiments.report.scores import finished
from binorm.experiments.report.significance import number
from binorm.experiments.runs.reading import FinishedRun, Run

FEW = 500  # pictures of an evaluation set: of fewer, one is more than 0.2 points
MOST_REMARKS = 20
Label = Callable[[FinishedRun, str], str]


@dataclass(frozen=True)
class Overlap:
    """How many pictures of an evaluation set are, pixel for pixel, among the training pictures.

    Attributes:
        label: the evaluation set, and where it needs one the task.
        pictures: in the set.
        duplicates: of them; None where nobody looked.
    """

    label: str
    pictures: int
    duplicates: int | None

    @property
    def note(self) -> str:
        """What a reader must know before believing the table; nothing where there is no such picture."""
        if not self.duplicates:
            return ""
        verb = "is" if self.duplicates == 1 else "are"
        return (
            f"{self.duplicates:,} of the {self.pictures:,} pictures of {self.label} {verb} among the training "
            "pictures, pixel for pixel: its accuracy says less about unseen pictures."
        )


def own_name(run: FinishedRun, data: str) -> str:
    """An evaluation set by its name alone."""
    return data


def overlaps(runs: Iterable[Run], label: Label = own_name) -> tuple[Overlap, ...]:
    """Those of every evaluation set, one for each answer; older runs say nothing."""
    found = [
        Overlap(label(run, data), run.record.evaluation[data], run.record.duplicates[data])
        for run in finished(runs)
        for data in run.evaluation_sets
        if data in run.record.duplicates and run.record.evaluation[data]
    ]
    return tuple(dict.fromkeys(found))


def overlap_sentences(found: Sequence[Overlap]) -> list[str]:
    """Of all evaluation sets, those alike in one sentence."""
    clean = [each for each in found if each.duplicates == 0]
    unknown = [each for each in found if each.duplicates is None]
    sentences = []
    if len(clean) == 1:
        sentences.append(f"None of the {clean[0].pictures:,} pictures of {clean[0].label} is")
    elif clean:
        sentences.append(f"None of the pictures of {_with_sizes(clean)} is")
    sentences = [f"{sentence} among the training pictures, pixel for pixel." for sentence in sentences]
    sentences += overlap_notes(found)
    if unknown:
        names = _with_sizes(unknown)
        sentences.append(f"Not looked for: whether pictures of {names} are among the training pictures.")
    return sentences


def overlap_notes(found: Sequence[Overlap]) -> list[str]:
    """One for each evaluation set that shares pictures with the training set."""
    return [each.note for each in found if each.note]


def remarks(runs: Iterable[Run]) -> tuple[str, ...]:
    """What all finished runs say was left out of their data or is peculiar about them, each once."""
    said = list(dict.fromkeys(remark for run in finished(runs) for remark in run.record.remarks))
    more = len(said) - MOST_REMARKS
    return (*said[:MOST_REMARKS], *([f"And {more} more remarks, in run.json of the runs."] if more > 0 else []))


def step_text(pictures: int) -> str:
    """``"one picture is 3.2 points"`` of a set of few; else nothing."""
    if not 0 < pictures < FEW:
        return ""
    step = 100 / pictures
    return f"one picture is {number(step, 1 if step >= 1 else 2)} points"


def _with_sizes(found: Sequence[Overlap]) -> str:
    return listed(f"{each.label} ({each.pictures:,})" for each in found)
