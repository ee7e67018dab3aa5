"""The columns of a table like the paper's: one recipe each, our accuracies beside the published ones."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from binorm.experiments.common.errors import UserError
from binorm.experiments.recipes import load_recipe
from binorm.experiments.recipes.base import VALIDATION, recipe_names
from binorm.experiments.recipes.titles import data_name
from binorm.experiments.report import notes, published
from binorm.experiments.report.published import Published
from binorm.experiments.report.scores import (
    BASELINE,
    COMPARED,
    Group,
    Scores,
    evaluation_sets,
    finished,
    leaders,
    norms_of,
    row_entries,
    scores_of,
)
from binorm.experiments.runs.reading import Run, read_runs

# Not what is trained but how fast, and what people call it; the number of epochs has its own place in the table.
_NOT_COMPARED = {"name", "title", "epochs", "precision", "compile"}


@dataclass(frozen=True)
class Column:
    """One recipe's comparison.

    Attributes:
        recipe: its name.
        data: the data set, for people.
        network: likewise.
        budget: ``"15 of 60 epochs"``, ``"164 epochs"``, or nothing before a run has finished.
        evaluation: the name of the evaluation set that is shown; None before a run has finished.
        groups: our accuracies by norm; without norms that were not started.
        entries: their numbers by norm, for table.json.
        reported: what the paper reports by norm; None where it reports nothing or the runs trained something else.
        notes: what a reader must know before believing the column.
        runs: everything that the folder holds.
    """

    recipe: str
    data: str
    network: str
    budget: str
    evaluation: str | None
    groups: Mapping[str, Group]
    entries: Mapping[str, Any]
    reported: Mapping[str, Published | None]
    notes: tuple[str, ...]
    runs: tuple[Run, ...]

    @property
    def label(self) -> str:
        """``"ResNet-8 on ICDAR 2003 characters"``."""
        return f"{self.network} on {self.data}"

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is said about the published values."""
        return tuple(dict.fromkeys(each.remark for each in self.reported.values() if each and each.remark))

    @property
    def published_difference(self) -> float | None:
        """That of the published means; None where one is missing."""
        compared, base = self.reported.get(COMPARED), self.reported.get(BASELINE)
        return compared.mean - base.mean if compared and base else None

    def leaders(self) -> dict[str, bool]:
        """Whether no other norm of the column has a higher mean after the last epoch, to the digits shown."""
        flags = leaders([group.last_spread.mean for group in self.groups.values()])
        return dict(zip(self.groups, flags, strict=True))

    def last(self, norm: str) -> Mapping[int, float]:
        """Top-1 in percent after the last epoch by seed."""
        return self.groups[norm].last if norm in self.groups else {}


def read_columns(folders: Sequence[Path]) -> list[Column]:
    """Read one recipe's comparison from each folder; columns of one data set come side by side.

    Raises:
        UserError: a folder holds no runs or a damaged one, or two hold the same recipe.
    """
    expected = "<norm>/seed<k>/ there, as `binorm compare` writes them to the folder of one recipe, such as runs/digits"
    comparisons = [(folder, tuple(read_runs(folder, expected))) for folder in folders]
    norms = norms_of(run for _, runs in comparisons for run in runs)
    places: dict[str, Path] = {}
    columns = []
    for folder, runs in comparisons:
        column = _column(folder, runs, norms)
        if column.recipe in places:
            raise UserError(
                f"{places[column.recipe]} and {folder} both hold the recipe {column.recipe!r}: expected each recipe "
                "once. Leave one of them out, or move the runs of both into one folder"
            )
        places[column.recipe] = folder
        columns.append(column)
    return [column for group in by_data(columns).values() for column in group]


def by_data(columns: Sequence[Column]) -> dict[str, list[Column]]:
    """The columns of each data set, data sets in the order of their first mention."""
    groups: dict[str, list[Column]] = {}
    for column in columns:
        groups.setdefault(column.data, []).append(column)
    return groups


def _column(folder: Path, runs: tuple[Run, ...], norms: Sequence[str]) -> Column:
    config = _configuration(folder, runs)
    changes = _changes(config)
    evaluation = next((name for name in evaluation_sets(runs) if name != VALIDATION), None)
    scores = Scores(scores_of(runs))
    # Runs of another network or other data under the recipe's name have nothing to do with its published values.
    comparable = not changes.keys() & {"dataset", "model"}
    data, network = _names(config, comparable)
    started = norms_of(runs) if evaluation else []
    return Column(
        recipe=config["name"],
        data=data,
        network=network,
        budget=_budget(runs),
        evaluation=evaluation,
        groups={norm: scores.group(norm, evaluation) for norm in started},
        entries={norm: row_entries(scores, norm, evaluation or "") for norm in started},
        reported={norm: published.accuracy(config["name"], norm) if comparable else None for norm in norms},
        notes=_notes(changes, evaluation, runs),
        runs=runs,
    )


def _configuration(folder: Path, runs: Sequence[Run]) -> dict[str, Any]:
    """That of the first finished run; before there is one, the recipe that the folder is named after, if any."""
    done = finished(runs)
    if done:
        data = done[0].record.data
        known = {"name": folder.name, "dataset": data.get("name"), "data_source": data.get("source", "")}
        return known | dict(done[0].config)
    shipped = folder.name in recipe_names()
    return dataclasses.asdict(load_recipe(folder.name)) if shipped else {"name": folder.name}


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
    data = data_name(config.get("dataset") or config["name"], config.get("data_source"))
    return data, str(config.get("model", "unknown network"))


def _budget(runs: Sequence[Run]) -> str:
    lengths = sorted({(run.config["epochs"], run.config["full_epochs"]) for run in finished(runs)})
    lengths_text = [f"{epochs} of {full}" if epochs < full else str(epochs) for epochs, full in lengths]
    return f"{' and '.join(lengths_text)} epoch{'s' * (lengths != [(1, 1)])}" if lengths_text else ""


def _notes(changes: Mapping[str, str], evaluation: str | None, runs: Sequence[Run]) -> tuple[str, ...]:
    if not finished(runs):
        return ("No run has finished yet.",)
    found = [f"Trained with {name} {text} as in the recipe." for name, text in changes.items()]
    if changes.keys() & {"dataset", "model"}:
        found.append("The paper's figures are about something else, so none are shown.")
    if evaluation is None:
        found.append(f"Evaluated on {VALIDATION} pictures alone, which are for choosing: there is no result to show.")
    return (*found, *notes.notes(runs))
