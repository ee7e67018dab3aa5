"""The columns of a table like the paper's: one recipe each, our accuracies beside the published ones."""

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from binorm.experiments.common.errors import UserError
from binorm.experiments.recipes import load_recipe
from binorm.experiments.recipes.base import VALIDATION, recipe_names
from binorm.experiments.report import published, tables
from binorm.experiments.report.published import Published
from binorm.experiments.report.statistics import (
    PairedDifference,
    SignTest,
    holm,
    mean_by_seed,
    number,
    paired_difference,
    sign_test,
)
from binorm.experiments.report.tables import BASELINE, Row, Run
from binorm.experiments.runs.reading import find_runs, read_run

COMPARED = "bin"
# Not what is trained but how fast, and what people call it; the number of epochs has its own place in the table.
_NOT_COMPARED = {"name", "title", "epochs", "precision", "compile"}


@dataclass(frozen=True)
class Cell:
    """One norm in one column.

    Attributes:
        row: our accuracies; None where no run of the norm was started or none of the column has finished.
        published: what the paper reports; None where it reports nothing or the runs trained something else.
        highest: no other norm of the column has a higher mean after the last epoch, to the digits shown.
    """

    row: Row | None
    published: Published | None
    highest: bool

    @property
    def last(self) -> str:
        """``"64.98 ± 0.63"`` after the last epoch, or a dash."""
        return self.row.last.text() if self.row else "–"

    @property
    def best(self) -> str:
        """Likewise of the best epochs."""
        return self.row.best.text() if self.row else "–"

    @property
    def runs(self) -> str:
        """``"5 runs"``, ``"4 of 5 runs"``, or nothing without a run."""
        return f"{self.row.runs_text} run{'s' * (self.row.started != 1)}" if self.row else ""

    @property
    def published_text(self) -> str:
        """``"64.98 ± 0.63"`` as the paper has it, or nothing."""
        if self.published is None:
            return ""
        mean, std = self.published.mean, self.published.std
        return number(mean, 2) if std is None else f"{number(mean, 2)} ± {number(std, 2)}"


@dataclass(frozen=True)
class Difference:
    """BIN - BN of the last epoch in one column, in percentage points.

    Attributes:
        pairs: seeds that finished with both norms.
        mean: over the pairs; nan without any.
        test: interval and p-value; None below two pairs.
        p_holm: the p-value corrected for all columns of the table (Holm); nan where there is none or one column.
        published: the difference of the published means; None where one is missing.
    """

    pairs: int
    mean: float
    test: PairedDifference | None
    p_holm: float
    published: float | None


@dataclass(frozen=True)
class Column:
    """One recipe's comparison.

    Attributes:
        recipe: its name.
        data: the data set, for people.
        network: likewise.
        budget: ``"15 of 60 epochs"``, ``"164 epochs"``, or nothing before a run has finished.
        evaluation: the name of the evaluation set that is shown; None before a run has finished.
        cells: by norm, all norms of the table in the order of display.
        last: top-1 in percent after the last epoch by norm, then seed.
        difference: of BIN to BN.
        remarks: what is said about the published values.
        notes: what a reader must know before believing the column.
        runs: everything that the folder holds.
    """

    recipe: str
    data: str
    network: str
    budget: str
    evaluation: str | None
    cells: Mapping[str, Cell]
    last: Mapping[str, Mapping[int, float]]
    difference: Difference
    remarks: tuple[str, ...]
    notes: tuple[str, ...]
    runs: tuple[Run, ...]

    @property
    def label(self) -> str:
        """``"ResNet-8 on ICDAR 2003 characters"``."""
        return f"{self.network} on {self.data}"


@dataclass(frozen=True)
class Overall:
    """BIN against BN over all columns in which a seed finished with both.

    Attributes:
        columns: how many those are.
        difference: t-test and interval of the seeds' mean differences over these columns, see
            `binorm.experiments.report.statistics.mean_by_seed`; None where fewer than two seeds finished in all.
        signs: in how many columns the mean difference is above and below 0, with the sign test.
    """

    columns: int
    difference: PairedDifference | None
    signs: SignTest


def read_columns(folders: Sequence[Path]) -> tuple[Column, ...]:
    """Read one recipe's comparison from each folder; columns of one data set come side by side.

    Raises:
        UserError: a folder holds no runs or a damaged one, or two hold the same recipe.
    """
    comparisons = [(folder, _read_runs(folder)) for folder in folders]
    norms = tables.norms_of(run for _, runs in comparisons for run in runs)
    found: dict[str, Path] = {}
    columns = []
    for folder, runs in comparisons:
        column = _column(folder, runs, norms)
        if column.recipe in found:
            raise UserError(
                f"{found[column.recipe]} and {folder} both hold the recipe {column.recipe!r}: expected each recipe "
                "once. Leave one of them out, or move the runs of both into one folder"
            )
        found[column.recipe] = folder
        columns.append(column)
    return tuple(column for group in by_data(_corrected(columns)).values() for column in group)


def by_data(columns: Sequence[Column]) -> dict[str, list[Column]]:
    """The columns of each data set, data sets in the order of their first mention."""
    groups: dict[str, list[Column]] = {}
    for column in columns:
        groups.setdefault(column.data, []).append(column)
    return groups


def overall(columns: Sequence[Column]) -> Overall | None:
    """The comparison over all columns; None where fewer than two have a pair to compare."""
    paired = [column for column in columns if column.difference.pairs]
    if len(paired) < 2:
        return None
    values, baselines = ([column.last[norm] for column in paired] for norm in (COMPARED, BASELINE))
    return Overall(
        columns=len(paired),
        difference=paired_difference(mean_by_seed(values), mean_by_seed(baselines)),
        signs=sign_test([column.difference.mean for column in paired]),
    )


def _read_runs(folder: Path) -> tuple[Run, ...]:
    runs = tuple(read_run(path) for path in find_runs(folder))
    if not runs:
        raise UserError(
            f"there are no runs in {folder}: expected <norm>/seed<k>/ there, as `binorm compare` writes them to the "
            "folder of one recipe, such as runs/digits"
        )
    return runs


def _corrected(columns: Sequence[Column]) -> list[Column]:
    """The columns with their p-values corrected for all columns that have a test, where those are several."""
    tested = {column.recipe: column.difference.test.p_value for column in columns if column.difference.test}
    corrected = dict(zip(tested, holm(list(tested.values())), strict=True)) if len(tested) > 1 else {}
    return [
        dataclasses.replace(
            column, difference=dataclasses.replace(column.difference, p_holm=corrected.get(column.recipe, math.nan))
        )
        for column in columns
    ]


def _column(folder: Path, runs: tuple[Run, ...], norms: Sequence[str]) -> Column:
    config = _configuration(folder, runs)
    changes = _changes(config)
    main_sets = [name for name in tables.evaluation_sets(runs) if name != VALIDATION]
    evaluation = main_sets[0] if main_sets else None
    rows = {row.norm: row for row in tables.accuracy_rows(runs) if row.evaluation == evaluation}
    # Runs of another network or other data under the recipe's name have nothing to do with its published values.
    comparable = not changes.keys() & {"dataset", "model"}
    reported = {norm: published.accuracy(config["name"], norm) if comparable else None for norm in norms}
    last = {norm: tables.last_epochs(runs, evaluation, norm) for norm in rows} if evaluation else {}
    data, network = _names(config, comparable)
    return Column(
        recipe=config["name"],
        data=data,
        network=network,
        budget=_budget(runs),
        evaluation=evaluation,
        cells={norm: Cell(rows.get(norm), reported[norm], _is_highest(rows, norm)) for norm in reported},
        last=last,
        difference=_difference(last, reported),
        remarks=tuple(dict.fromkeys(each.remark for each in reported.values() if each and each.remark)),
        notes=_notes(changes, evaluation, runs),
        runs=runs,
    )


def _configuration(folder: Path, runs: Sequence[Run]) -> dict[str, Any]:
    """That of the first finished run; before there is one, the recipe that the folder is named after, if any."""
    done = tables.finished(runs)
    if done:
        return {"name": folder.name, "dataset": done[0].record.data.get("name")} | dict(done[0].config)
    known = folder.name in recipe_names()
    return dataclasses.asdict(load_recipe(folder.name)) if known else {"name": folder.name}


def _changes(config: Mapping[str, Any]) -> dict[str, str]:
    """Fields in which runs differ from the recipe of their name that comes with the package: ``"0.05, not 0.1"``."""
    if config["name"] not in recipe_names():
        return {}
    recipe = dataclasses.asdict(load_recipe(config["name"], {"epochs": config["epochs"]}))
    compared = [name for name in recipe if name in config and name not in _NOT_COMPARED]
    return {name: f"{config[name]}, not {recipe[name]}" for name in compared if config[name] != recipe[name]}


def _names(config: Mapping[str, Any], comparable: bool) -> tuple[str, str]:
    """Data set and network for people: from a title such as ``"CIFAR-10, ResNet-110"``, else their plain names."""
    data, comma, network = str(config.get("title", "")).partition(", ")
    if comma and comparable and config["name"] in recipe_names():
        return data, network
    return str(config.get("dataset") or config["name"]), str(config.get("model", "unknown network"))


def _budget(runs: Sequence[Run]) -> str:
    lengths = sorted({(run.config["epochs"], run.config["full_epochs"]) for run in tables.finished(runs)})
    texts = [f"{epochs} of {full}" if epochs < full else str(epochs) for epochs, full in lengths]
    return f"{' and '.join(texts)} epoch{'s' * (lengths != [(1, 1)])}" if texts else ""


def _is_highest(rows: Mapping[str, Row], norm: str) -> bool:
    means = {name: round(row.last.mean, 2) for name, row in rows.items() if math.isfinite(row.last.mean)}
    return len(means) > 1 and norm in means and means[norm] == max(means.values())


def _difference(last: Mapping[str, Mapping[int, float]], reported: Mapping[str, Published | None]) -> Difference:
    values, baseline = last.get(COMPARED, {}), last.get(BASELINE, {})
    pairs = [values[seed] - baseline[seed] for seed in sorted(values.keys() & baseline.keys())]
    compared, base = reported.get(COMPARED), reported.get(BASELINE)
    return Difference(
        pairs=len(pairs),
        mean=statistics.fmean(pairs) if pairs else math.nan,
        test=paired_difference(values, baseline),
        p_holm=math.nan,
        published=compared.mean - base.mean if compared and base else None,
    )


def _notes(changes: Mapping[str, str], evaluation: str | None, runs: Sequence[Run]) -> tuple[str, ...]:
    if not tables.finished(runs):
        return ("No run has finished yet.",)
    found = [f"Trained with {name} {text} as in the recipe." for name, text in changes.items()]
    if changes.keys() & {"dataset", "model"}:
        found.append("The paper's figures are about something else, so none are shown.")
    if evaluation is None:
        found.append(f"Evaluated on {VALIDATION} pictures alone, which are for choosing: there is no result to show.")
    return (*found, *tables.notes(runs))
