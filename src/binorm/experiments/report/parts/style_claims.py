"""Whether the order of norms in style transfer is the paper's: what its curves show, held against these runs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from binorm.experiments.common.text import listed
from binorm.experiments.report.published import LOSSES as PUBLISHED
from binorm.experiments.report.scores import SECONDS, STARTED, Scores, count_text
from binorm.experiments.report.significance import Spread, mean_by_seed, number, spread
from binorm.experiments.runs.reading import LOSSES, norm_rank

# What the paper's curves show, as (loss, norm, how many of the other norms are below it): None is all of them.
_ORDER = (
    ("content", "bin", 0),
    ("style", "in", 0),
    ("style", "bin", 1),
    ("content", "bn", None),
    ("style", "bn", None),
)
_PLACES = {0: "lowest", 1: "second lowest", None: "highest"}


@dataclass(frozen=True)
class StyleRow:
    """One norm.

    Attributes:
        norm: its name.
        runs: finished runs out of ``started``.
        started: see there.
        losses: content, style and variation over the last period, unweighted, by seed.
        seconds: of a whole run, wall-clock time.
        steps: of a run; several where runs differ.
    """

    norm: str
    runs: int
    started: int
    losses: Mapping[str, Mapping[int, float]]
    seconds: Spread
    steps: tuple[int, ...]

    @property
    def runs_text(self) -> str:
        """``"3 runs"``, or ``"2 of 3 runs"`` where one did not finish."""
        return count_text(self.runs, self.started)

    @property
    def steps_text(self) -> str:
        """``"40,000"``; a dash where no run has finished."""
        return " | ".join(f"{each:,}" for each in self.steps) or "–"

    def spread(self, loss: str) -> Spread:
        """A loss over seeds."""
        return spread(list(self.losses[loss].values()))


@dataclass(frozen=True)
class Claim:
    """Something that the paper's curves show of a loss, and whether it is so here.

    Attributes:
        text: such as ``"content: bin is lowest"``.
        values: the loss of each of the paper's norms here, mean over seeds, ascending.
        digits: of the values.
        holds: None where a norm that it takes has no finished run, and where runs are of different lengths.
        seeds: those that all these norms have.
        holding: those of them in which it holds.
    """

    text: str
    values: Mapping[str, float]
    digits: int
    holds: bool | None
    seeds: tuple[int, ...]
    holding: tuple[int, ...]

    @property
    def answer(self) -> str:
        """``"yes"``, ``"no"`` or ``"not known"``."""
        return "not known" if self.holds is None else "yes" if self.holds else "no"

    @property
    def figures(self) -> str:
        """``"bin 0.3681, in 0.3752"``."""
        return ", ".join(f"{norm} {number(value, self.digits)}" for norm, value in self.values.items())

    @property
    def by_seed(self) -> str:
        """``"in 2 of 3 seeds"``; nothing for one seed."""
        repeated = self.holds is not None and len(self.seeds) > 1
        return f"in {len(self.holding)} of {len(self.seeds)} seeds" if repeated else ""


def style_row(scores: Scores, norm: str) -> StyleRow:
    """The losses of the last period, whose number of steps is a column of the metrics as well."""
    steps = scores.by_seed("step", norm)
    return StyleRow(
        norm=norm,
        runs=len(steps),
        started=len(scores.by_seed(STARTED, norm)),
        losses={loss: scores.by_seed(loss, norm) for loss in LOSSES},
        seconds=spread(list(scores.by_seed(SECONDS, norm).values())),
        steps=tuple(sorted({int(each) for each in steps.values()})),
    )


def digits_of(rows: Sequence[StyleRow], loss: str) -> int:
    """How many digits after the point show three significant figures of every row's mean, four where norms are close.

    The paper's norms differ in the second or third figure of content and style.
    """
    figures = 4 if loss in PUBLISHED else 3
    means = [abs(row.spread(loss).mean) for row in rows]
    smallest = min((mean for mean in means if 0 < mean < math.inf), default=1.0)
    return min(max(figures - 1 - math.floor(math.log10(smallest)), 0), 8)


def alike(rows: Sequence[StyleRow]) -> bool:
    """Whether all runs are of one length; losses of different ones say nothing of norms."""
    return len({each for row in rows for each in row.steps}) == 1


def paper_claims(rows: Sequence[StyleRow]) -> tuple[Claim, ...]:
    """What the paper's curves show, in its own words' order: content, then style, then that BN is worst of both."""
    return tuple(_claim(rows, *each) for each in _ORDER)


def conclusion(rows: Sequence[StyleRow], claims: Sequence[Claim]) -> str:
    """In a sentence or two: how much of the paper's order holds, and from how many seeds that is known."""
    checked = [claim for claim in claims if claim.holds is not None]
    holding = sum(claim.holds is True for claim in checked)
    missing = [norm for norm in sorted(PUBLISHED["content"].values, key=norm_rank) if norm not in _finished(rows)]
    lost = f" There is no finished run of {listed(missing)}." if missing else ""
    if not checked:
        why = "" if alike(rows) else ": runs are of different lengths"
        return f"Nothing of the paper's order can be checked{why}.{lost}"
    checkable = " that can be checked" if missing else ""
    text = f"Of the paper's order, {holding} of {len(checked)} claims{checkable} hold.{lost}"
    if holding == len(claims) and not missing:
        text = "The paper's order holds in full."
    counts = [row.runs for row in rows if row.runs]
    fewest, most = min(counts), max(counts)
    if most == 1:
        return f"{text} One seed: no spread is known, so this order can be chance."
    text = f"{text} Means over {most if fewest == most else f'{fewest} to {most}'} seeds"
    sure = sum(claim.holds is True and claim.holding == claim.seeds for claim in checked)
    if sure == holding:
        return f"{text}."
    return f"{text}; in each seed {sure} of these {holding} hold, the others can be chance."


def _finished(rows: Sequence[StyleRow]) -> list[str]:
    return [row.norm for row in rows if row.runs]


def _claim(rows: Sequence[StyleRow], loss: str, norm: str, below: int | None) -> Claim:
    compared = [row for row in rows if row.runs and row.norm in PUBLISHED[loss].values]
    by_seed = {row.norm: row.losses[loss] for row in compared}
    means = {row.norm: row.spread(loss).mean for row in compared}
    seeds = tuple(mean_by_seed(list(by_seed.values())))
    checked = norm in means and len(means) > (below or 0) + 1 and (below != 1 or "in" in means) and alike(compared)
    return Claim(
        text=f"{loss}: {norm} is {_PLACES[below]}",
        values=dict(sorted(means.items(), key=lambda entry: entry[1])),
        digits=digits_of(compared, loss),
        holds=_is_so(means, norm, below) if checked else None,
        seeds=seeds,
        holding=tuple(
            seed for seed in seeds if checked and _is_so({each: by_seed[each][seed] for each in by_seed}, norm, below)
        ),
    )


def _is_so(values: Mapping[str, float], norm: str, below: int | None) -> bool:
    """Whether so many of the other norms are below this one, and all further ones above: a tie is neither."""
    others = [value for each, value in values.items() if each != norm]
    lower = len(others) if below is None else below
    under, over = sum(value < values[norm] for value in others), sum(value > values[norm] for value in others)
    return (under, over) == (lower, len(others) - lower)
