"""Reads what a run left behind in ``<norm>/seed<k>/``: its record, configuration, metrics, gates and samples."""

import csv
import dataclasses
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any

import yaml

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.run_files import GATES_FILE
from binorm.experiments.recipes import recipe_class, task_of
from binorm.experiments.runs.files import check, damaged, field, read_json, read_text
from binorm.gates import HISTOGRAM_BINS

DISPLAY_ORDER = ("bn", "in", "bn+in", "bin")

STATUSES = ("running", "finished", "diverged")
_SEED_FOLDER = re.compile(r"seed(0|[1-9]\d*)")
_METRICS = ("epoch", "learning_rate", "train_loss", "train_accuracy", "seconds", "images_per_second")


@dataclass(frozen=True)
class RunRecord:
    """``run.json``: who ran what, where and with what outcome. ``seconds`` is wall-clock time."""

    status: str
    reason: str | None
    command: str
    started: str
    seconds: float
    parameters: int
    gates: int
    settings: Mapping[str, Any]
    versions: Mapping[str, Any]
    machine: Mapping[str, Any]
    data: Mapping[str, Any]


@dataclass(frozen=True)
class GateLayer:
    """The gates of one layer at the end of training, each in [0, 1]."""

    name: str
    gates: tuple[float, ...]


@dataclass(frozen=True)
class GatePoint:
    """Where the gates of one layer stand after ``epoch`` epochs; 0 is before training.

    Attributes:
        epoch: how many epochs the layer has learned.
        name: of the layer.
        mean: of its gates.
        histogram: how many of its gates lie in each of ten equal bins over [0, 1].
    """

    epoch: int
    name: str
    mean: float
    histogram: tuple[int, ...]

    @property
    def channels(self) -> int:
        """How many gates the layer has."""
        return sum(self.histogram)


@dataclass(frozen=True)
class UnfinishedRun:
    """A run with nothing to compare: cut short, still going or diverged. ``record`` is None before run.json exists."""

    folder: Path
    norm: str
    seed: int
    status: str
    reason: str
    record: RunRecord | None


@dataclass(frozen=True)
class RunResult:
    """A finished run.

    Attributes:
        folder: where it lies.
        norm: the name of the norm, as the folder says.
        seed: likewise.
        record: run.json.
        config: config.yaml, the full recipe.
        metrics: the columns of metrics.csv, one number an epoch; accuracies are top-1 in percent.
        gate_layers: the trained gates in the order of the network; empty where none were learned.
        gate_history: where they stood, by epoch and layer.
        samples: pictures of samples by data set.
    """

    folder: Path
    norm: str
    seed: int
    record: RunRecord
    config: Mapping[str, Any]
    metrics: Mapping[str, tuple[float, ...]]
    gate_layers: tuple[GateLayer, ...]
    gate_history: tuple[GatePoint, ...]
    samples: Mapping[str, Path]

    @property
    def evaluation_sets(self) -> tuple[str, ...]:
        """The names of the sets that the run was evaluated on."""
        return tuple(self.record.data["evaluation"])

    def accuracies(self, data: str) -> tuple[float, ...]:
        """Top-1 in percent after each epoch, on an evaluation set or on ``"train"``."""
        return self.metrics[f"{data}_accuracy"]


def find_runs(folder: Path) -> list[Path]:
    """The run folders ``<norm>/seed<k>`` below ``folder``, in the order of display: norms first, then seeds."""
    found = [path for path in folder.glob("*/seed*") if path.is_dir() and _SEED_FOLDER.fullmatch(path.name)]
    return sorted(found, key=lambda path: (norm_rank(path.parent.name), int(path.name.removeprefix("seed"))))


def norm_rank(norm: str) -> tuple[int, str]:
    """A sort key: the paper's norms in their order, then any other by name."""
    return (DISPLAY_ORDER.index(norm) if norm in DISPLAY_ORDER else len(DISPLAY_ORDER), norm)


def read_run(folder: Path) -> RunResult | UnfinishedRun:
    """Read one run folder, as `find_runs` yields them.

    Raises:
        UserError: a file is missing or damaged; the message names it and the way out.
    """
    record = read_record(folder)
    if isinstance(record, UnfinishedRun):
        return record
    path = folder / "run.json"
    for count in field(record.data, "evaluation", dict, path).values():
        check(isinstance(count, int), path, "data.evaluation should map names to counts")
    config = _read_config(folder / "config.yaml")
    layers, history = read_gates(folder / GATES_FILE)
    return RunResult(
        folder=folder,
        norm=folder.parent.name,
        seed=_seed(folder),
        record=record,
        config=config,
        metrics=_read_metrics(folder / "metrics.csv", tuple(record.data["evaluation"]), config["epochs"]),
        gate_layers=layers,
        gate_history=history,
        samples={picture.stem: picture for picture in sorted((folder / "samples").glob("*.png"))},
    )


def read_record(folder: Path) -> RunRecord | UnfinishedRun:
    """The record of a finished run of any kind, or what is to be said of one that did not finish.

    Raises:
        UserError: ``run.json`` is damaged.
    """
    norm, seed = folder.parent.name, _seed(folder)
    path = folder / "run.json"
    if not path.exists():
        return UnfinishedRun(folder, norm, seed, "unfinished", "stopped before it began: run.json is missing", None)
    record = _read_record(path, norm, seed)
    if record.status == "running":
        reason = record.reason or "still running, or cut short: the same command takes it up again"
        return UnfinishedRun(folder, norm, seed, "unfinished", reason, record)
    if record.status == "diverged":
        return UnfinishedRun(folder, norm, seed, "diverged", record.reason or "no reason recorded", record)
    return record


def _seed(folder: Path) -> int:
    return int(folder.name.removeprefix("seed"))


def _read_record(path: Path, norm: str, seed: int) -> RunRecord:
    entries = read_json(path)
    if (entries.get("norm"), entries.get("seed")) != (norm, seed):
        raise UserError(
            f"{path} belongs to norm {entries.get('norm')!r}, seed {entries.get('seed')!r}, but its folder says "
            f"{norm!r}, seed {seed}. Move the run to <norm>/seed<k>/ of its own norm and seed."
        )
    status = field(entries, "status", str, path)
    if status not in STATUSES:
        raise damaged(path, f"status is {status!r}, expected one of {', '.join(STATUSES)}")
    data = field(entries, "data", dict, path)
    field(data, "train", int, path)
    return RunRecord(
        status=status,
        reason=None if entries.get("reason") is None else str(entries["reason"]),
        command=field(entries, "command", str, path),
        started=field(entries, "started", str, path),
        seconds=float(field(entries, "seconds", (int, float), path)),
        parameters=field(entries, "parameters", int, path),
        gates=field(entries, "gates", int, path),
        settings=field(entries, "settings", dict, path),
        versions=field(entries, "versions", dict, path),
        machine=field(entries, "machine", dict, path),
        data=data,
    )


def read_config(path: Path, lengths: tuple[str, ...]) -> dict[str, Any]:
    """The fields of a run's recipe, of which ``lengths`` are whole numbers."""
    try:
        config = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise damaged(path, f"it is not YAML ({' '.join(str(error).split())})") from error
    check(isinstance(config, dict), path, "it should hold the fields of a recipe")
    for key in lengths:
        field(config, key, int, path)
    return dict(config)


def _read_config(path: Path) -> dict[str, Any]:
    config = read_config(path, ("epochs", "full_epochs"))
    # A field that came after the run had its default then.
    fields = dataclasses.fields(recipe_class(task_of(config)))
    defaults = {each.name: each.default for each in fields if each.default is not MISSING}
    return defaults | config


def _read_metrics(path: Path, evaluation_sets: tuple[str, ...], epochs: int) -> dict[str, tuple[float, ...]]:
    rows = list(csv.reader(read_text(path).splitlines()))
    header = rows[0] if rows else []
    expected = [*_METRICS, *(f"{name}_{kind}" for name in evaluation_sets for kind in ("loss", "accuracy"))]
    missing = [column for column in expected if column not in header]
    check(not missing, path, f"the columns {', '.join(missing)} are missing")
    try:
        values = [[float(cell) for cell in row] for row in rows[1:]]
    except ValueError as error:
        raise damaged(path, str(error)) from error
    check(all(len(row) == len(header) for row in values), path, "a row is cut short")
    metrics = dict(zip(header, zip(*values, strict=True), strict=True)) if values else {}
    counted = metrics.get("epoch", ())
    check(
        counted == tuple(range(1, epochs + 1)) and epochs > 0,
        path,
        f"it should count the epochs 1 to {epochs} and has {len(counted)} rows",
    )
    return metrics


def read_gates(path: Path) -> tuple[tuple[GateLayer, ...], tuple[GatePoint, ...]]:
    """The trained gates in ``gates.json`` by layer, and where they stood by epoch and layer; none without the file.

    Raises:
        UserError: for a damaged file.
    """
    if not path.exists():
        return (), ()
    entries = read_json(path)
    try:
        layers = tuple(GateLayer(str(layer["name"]), tuple(map(float, layer["gates"]))) for layer in entries["layers"])
        history = tuple(
            GatePoint(
                int(point["epoch"]), str(layer["name"]), float(layer["mean"]), tuple(map(int, layer["histogram"]))
            )
            for point in entries["history"]
            for layer in point["layers"]
        )
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(path, f"{type(error).__name__}: {error}") from error
    gates = [gate for layer in layers for gate in layer.gates] + [point.mean for point in history]
    # Written so that nan fails as well.
    check(all(0 <= gate <= 1 for gate in gates), path, "gates should lie in [0, 1]")
    counts = [point.histogram for point in history]
    fine = all(len(each) == HISTOGRAM_BINS and min(each) >= 0 and any(each) for each in counts)
    check(fine, path, f"histograms should be {HISTOGRAM_BINS} counts")
    return layers, history
