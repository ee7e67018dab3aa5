"""The gates of networks that stylize, beside those of a classifier."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.run_files import GATES_FILE, RUN_FILE
from binorm.experiments.report.drawings import file_name, runs_text
from binorm.experiments.report.figures.gates import Histogram, gate_histogram
from binorm.experiments.report.figures.theme import norm_colours, series_colours
from binorm.experiments.report.gates import STAGES_APART, TOTAL, Shares, by_stage, gates_by_norm, share_text
from binorm.experiments.report.movement import still
from binorm.experiments.report.page import Figure
from binorm.experiments.report.scores import finished
from binorm.experiments.runs.files import read_json
from binorm.experiments.runs.reading import FinishedRun, read_gates

STYLIZATION, CLASSIFIER = "style transfer", "classifier"


@dataclass(frozen=True)
class GateRow:
    """A group of gates.

    Attributes:
        task: `STYLIZATION` or `CLASSIFIER`.
        name: the norm of networks that stylize; recipe, norm and seed of a classifier.
        part: of the network; ``""`` for all of it.
        runs: that they come from.
        shares: where they stand.
        motionless: what `still` says of them all; nothing where they moved.
    """

    task: str
    name: str
    part: str
    runs: int
    shares: Shares
    motionless: str = ""

    @property
    def label(self) -> str:
        """``"style transfer, bin"``."""
        return f"{self.task}, {self.name}"


def read_classifier(folder: Path) -> GateRow:
    """The gates in a run's folder.

    Raises:
        UserError: where there are none, or a file is damaged.
    """
    layers, _ = read_gates(folder / GATES_FILE)
    if not layers:
        raise UserError(
            f"{folder} has no learned gates to compare with: expected {GATES_FILE} there, as in the folder of a "
            "finished run, runs/<recipe>/bin/seed<k>"
        )
    record = folder / RUN_FILE
    entries = read_json(record) if record.exists() else {}
    parts = [str(entries[key]) for key in ("recipe", "norm") if key in entries]
    name = " ".join([*parts, *([f"seed {entries['seed']}"] if "seed" in entries else [])])
    return GateRow(CLASSIFIER, name or folder.name, "", 1, by_stage(layers)[TOTAL])


def gate_rows(runs: Sequence[FinishedRun], classifier: GateRow | None) -> tuple[GateRow, ...]:
    """All gates of each norm, then those of each part of the network, and last the classifier's.

    Without runs that learned gates there is nothing to compare, and no row.
    """
    rows: list[GateRow] = []
    for norm, groups in gates_by_norm(runs).items():
        count = sum(run.norm == norm and bool(run.gate_layers) for run in runs)
        parts = {"" if part == TOTAL else part: shares for part, shares in groups.items()}
        said = still(finished(runs, norm))
        rows += [GateRow(STYLIZATION, norm, part, count, shares, said) for part, shares in parts.items()]
    return (*rows, classifier) if rows and classifier else tuple(rows)


def gate_sentence(rows: Sequence[GateRow]) -> str:
    """Where the gates stand, in numbers, and on which side of the classifier's; nothing without gates."""
    if not rows:
        return ""
    first, last = rows[0], rows[-1]
    if first.motionless:
        return f"{_text(first)}; {first.motionless}"
    if last.task != CLASSIFIER:
        return f"{_text(first)}."
    difference = first.shares.mean - last.shares.mean
    side = "about the same"
    if abs(difference) >= STAGES_APART:
        side = f"{'more' if difference < 0 else 'less'} instance norm"
    return f"{_text(first)}. {_text(last)}: {side} in {STYLIZATION}."


def gate_histograms(rows: Sequence[GateRow], note: str | None) -> list[Figure]:
    """One figure for all gates of each norm and one for the classifier's, on one scale."""
    whole = [row for row in rows if not row.part and not row.motionless]
    if all(row.task == CLASSIFIER for row in whole):
        return []
    top = max((max(row.shares.fractions) for row in whole), default=1.0)
    colours = norm_colours([row.name for row in whole if row.task == STYLIZATION])
    drawn: list[Figure] = []
    for row in whole:
        stylizes = row.task == STYLIZATION
        title = row.label if stylizes else row.task
        first = colours[whole[0].name]
        colour = colours[row.name] if stylizes else series_colours([title], STYLIZATION, first)[title]
        content = gate_histogram(Histogram(title, row.shares.fractions), title, colour, note if stylizes else None, top)
        caption = f"Gates of {row.label}: {row.shares.count:,} in {runs_text(row.runs)}"
        drawn.append(Figure(file_name("gates", title, ".svg", drawn), caption, content))
    return drawn


def _text(row: GateRow) -> str:
    low, high = (share_text(row.shares.fractions[place]) for place in (0, -1))
    text = f"{row.label}: mean gate {row.shares.mean:.2f}, {low} of the gates below 0.1 and {high} above 0.9"
    return text[0].upper() + text[1:]
