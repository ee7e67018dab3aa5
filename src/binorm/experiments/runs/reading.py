"""Reads what a run left behind in ``<norm>/seed<k>/``: its record, configuration, metrics, gates and samples."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.run_files import CONFIG_FILE, GATES_FILE, METRICS_FILE, RUN_FILE, SAMPLES_FOLDER
from binorm.experiments.common.text import all_printable, listed, printable
from binorm.experiments.models.norms import NORMS
from binorm.experiments.recipes import KINDS, recipe_class
from binorm.experiments.recipes import task_of as task_in
from binorm.experiments.recipes.base import Recipe, field_names, read_fields, recipe_names
from binorm.experiments.recipes.titles import data_name
from binorm.experiments.runs.files import check, damaged, field, read_json, read_text
from binorm.experiments.runs.record import RunRecord, read_record
from binorm.gates import HISTOGRAM_BINS

_SEED_FOLDER = re.compile(r"seed(0|[1-9]\d*)")
LOSSES = ("content", "style", "variation")  # of style trainings, unweighted
SINGLE = "only-"  # what the folders of networks begin with that are trained on one domain, beside mixed training


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
class Run:
    """A run and its place among others; one with nothing to compare unless it is a `FinishedRun`.

    Attributes:
        folder: where it lies.
        method: such as ``"dann"``; ``""`` where one network is trained for all, ``"only-photo"`` beside such a one.
        task: such as ``"photo-to-sketch"``; ``""`` likewise.
        norm: the name of the norm, as the folder says.
        seed: likewise.
        status: ``"finished"``, ``"diverged"`` or ``"unfinished"``.
        reason: why it did not finish; empty where it did.
        record: run.json; None before it exists.
    """

    folder: Path
    method: str
    task: str
    norm: str
    seed: int
    status: str
    reason: str
    record: RunRecord | None

    @property
    def label(self) -> str:
        """``"dann, photo-to-sketch, bn"``, without what there is not."""
        return ", ".join(filter(None, (method_label(self.method), self.task, self.norm)))

    @property
    def sources(self) -> tuple[str, ...]:
        """The domains that were trained on with their labels; none where nothing says so yet."""
        return tuple(self._domains.get("train", ()))

    @property
    def target(self) -> str:
        """The domain to adapt to or to do without; ``""`` in mixed training."""
        return self._domains.get("target") or ""

    @property
    def data_label(self) -> str:
        """``"my_cameras (domains)"``: where the data came from, and what they are called; `data_name`."""
        return data_name(self.record.data.get("name"), self.record.data.get("source")) if self.record else ""

    @property
    def _domains(self) -> Mapping[str, Any]:
        domains: Mapping[str, Any] = self.record.data.get("domains", {}) if self.record else {}
        return domains


@dataclass(frozen=True)
class FinishedRun(Run):
    """A finished run.

    Attributes:
        record: run.json; of a style training, ``data["style"]`` is what it says of the style picture.
        config: config.yaml, the full recipe; of files, their names alone.
        metrics: the columns of metrics.csv, one number an epoch or a period; accuracies are top-1 in percent.
        gate_layers: the trained gates in the order of the network; empty where none were learned.
        gate_history: where they stood, by epoch and layer.
        samples: pictures of samples by data set.
    """

    record: RunRecord
    config: Mapping[str, Any]
    metrics: Mapping[str, tuple[float, ...]]
    gate_layers: tuple[GateLayer, ...]
    gate_history: tuple[GatePoint, ...]
    samples: Mapping[str, Path]

    @property
    def evaluation_sets(self) -> tuple[str, ...]:
        """The names of the sets that the run was evaluated on."""
        return tuple(self.record.evaluation)

    def accuracies(self, data: str) -> tuple[float, ...]:
        """Top-1 in percent after each epoch, on an evaluation set or on ``"train"``."""
        return self.metrics[f"{data}_accuracy"]

    def losses(self, loss: str) -> dict[int, float]:
        """A loss of a style training by step: each value is the mean over the period that ends there."""
        return {int(step): value for step, value in zip(self.metrics["step"], self.metrics[loss], strict=True)}


def find_runs(folder: Path) -> list[Path]:
    """The run folders ``<norm>/seed<k>`` below ``folder``, in the order of display: norms first, then seeds."""
    found = [path for path in folder.glob("*/seed*") if path.is_dir() and _SEED_FOLDER.fullmatch(path.name)]
    return sorted(found, key=lambda path: (norm_rank(path.parent.name), _seed(path)))


def find_all_runs(folder: Path) -> list[Path]:
    """Those of a recipe: as `find_runs` does, and below ``only-<domain>/`` and ``<method>/<task>/``."""
    inner = (*sorted(folder.glob(f"{SINGLE}*")), *sorted(folder.glob("*/*")))
    return [path for place in (folder, *inner) for path in find_runs(place)]


def task_of(folder: Path) -> str | None:
    """What the recipe of the runs in ``runs/<recipe>`` asks for; None where no run says so.

    Runs below a method and a task adapt or generalize, whatever they hold; a damaged run decides nothing, since whoever
    reads it says what is wrong with it.
    """
    for path in find_all_runs(folder):
        if len(path.relative_to(folder).parts) > 2:
            return "adaptation"
        try:
            config = yaml.safe_load((path / CONFIG_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError):
            continue
        if isinstance(config, dict):
            return task_in(config)
    return None


def norm_rank(norm: str) -> tuple[int, str]:
    """A sort key: those of `NORMS` in their order, then any other by name."""
    return (list(NORMS).index(norm) if norm in NORMS else len(NORMS), norm)


def method_label(method: str) -> str:
    """``"only photo"`` for ``"only-photo"``; a method's own name."""
    return f"only {method.removeprefix(SINGLE)}" if method.startswith(SINGLE) else method


def read_runs(folder: Path, expected: str = "<norm>/seed<k>/ there, as `binorm compare` writes them") -> list[Run]:
    """All runs of ``runs/<recipe>``, in the order of their folders.

    They lie in ``<norm>/seed<k>/``, and those over several domains in ``<method>/<task>/<norm>/seed<k>/``, or beside
    those of mixed training in ``only-<domain>/<norm>/seed<k>/``.

    Raises:
        UserError: there are none, a file is missing or damaged, or runs that would be averaged or compared are of
            different data; the message names what it is and the way out.
    """
    paths = find_all_runs(folder)
    if not paths:
        raise UserError(f"there are no runs in {folder}: expected {expected}")
    runs = [read_run(path, *(*path.relative_to(folder).parts[:-2], "", "")[:2]) for path in paths]
    _check_same_data(folder, runs)
    return runs


def read_run(folder: Path, method: str = "", task: str = "") -> Run:
    """Read one run folder, as `find_runs` yields them.

    Raises:
        UserError: a file is missing or damaged; the message names it and the way out.
    """
    norm, seed, path = printable(folder.parent.name), _seed(folder), folder / RUN_FILE
    method, task = printable(method), printable(task)
    if not path.exists():
        reason = f"stopped before it began: {RUN_FILE} is missing"
        return Run(folder, method, task, norm, seed, "unfinished", reason, None)
    record = read_record(path, norm, seed)
    if record.status != "finished":
        status, reason = record.status, "no reason recorded"
        if status == "running":
            status, reason = "unfinished", "still running, or cut short: the same command takes it up again"
        return Run(folder, method, task, norm, seed, status, record.reason or reason, record)
    kind, config = _read_config(folder / CONFIG_FILE)
    if "style" in field_names(kind):
        style = _read_style(field(read_json(path), "style", dict, path), path)
        record = replace(record, data={**record.data, "style": style})
    metrics = _read_metrics(folder / METRICS_FILE, kind, list(record.evaluation), config[f"{kind.UNIT}s"])
    layers, history = read_gates(folder / GATES_FILE)
    samples = {printable(image.stem): image for image in sorted((folder / SAMPLES_FOLDER).glob("*.png"))}
    place = (folder, method, task, norm, seed, record.status, "")
    return FinishedRun(*place, record, config, metrics, layers, history, samples)


def _check_same_data(folder: Path, runs: Sequence[Run]) -> None:
    """Refuse finished runs of one method and task whose data, as far as both say what it was, are not the same."""
    groups: dict[tuple[str, str], dict[str, list[Run]]] = {}
    for run in runs:
        if isinstance(run, FinishedRun) and run.record.fingerprint:
            groups.setdefault((run.method, run.task), {}).setdefault(run.record.fingerprint, []).append(run)
    for group in groups.values():
        if len(group) > 1:
            kinds = [
                f"{listed(f'{run.label} seed {run.seed}' for run in alike)} of {alike[0].data_label} "
                f"(fingerprint {fingerprint[:12]})"
                for fingerprint, alike in group.items()
            ]
            raise UserError(
                f"{folder} holds runs of different data, which no table can compare: {'; '.join(kinds)}. Move those of "
                "one data set to a folder of their own, or delete them and train them again on the other"
            )


def _seed(folder: Path) -> int:
    return int(folder.name.removeprefix("seed"))


def _read_config(path: Path) -> tuple[type[Recipe], dict[str, Any]]:
    """A run's kind of recipe, and its fields; one that came after the run had its default then.

    Runs of the first versions have the fields of all kinds.
    """
    try:
        config: Any = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise damaged(path, f"it is not YAML ({' '.join(str(error).split())})") from error
    check(isinstance(config, dict), path, "it should hold the fields of a recipe")
    config = all_printable(config)
    kind = recipe_class(task_in(config))
    for length in {f"{kind.UNIT}s", f"full_{kind.UNIT}s"} & set(field_names(kind)):
        field(config, length, int, path)
    # In which folder of this machine files lay is nobody's business.
    names = {key: _file_name(field(config, key, str, path)) for key in kind.PATHS}
    defaults = {each.name: each.default for each in fields(kind) if each.default is not MISSING}
    if "full_steps" in defaults.keys() - config.keys() and config.get("name") in recipe_names():
        names["full_steps"] = read_fields(config["name"])[1].get("steps", 0)  # a run from before that was written
    foreign = {name for task in KINDS for name in field_names(recipe_class(task))} - set(field_names(kind))
    return kind, {key: value for key, value in {**defaults, **config, **names}.items() if key not in foreign}


def _read_style(style: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """What a report may say of the style picture."""
    picture = _file_name(field(style, "picture", str, path))
    return {**style, "name": field(style, "name", str, path), "picture": picture}


def _file_name(path: str) -> str:
    return PurePosixPath(path.replace("\\", "/")).name


def _read_metrics(
    path: Path, kind: type[Recipe], evaluation_sets: Sequence[str], length: int
) -> dict[str, tuple[float, ...]]:
    """The columns of metrics.csv, whose first counts evenly to the run's length."""
    rows = [row for row in csv.reader(io.StringIO(read_text(path), newline="")) if row]
    header = list(map(printable, rows[0])) if rows else []
    evaluated = (f"{name}_{what}" for name in evaluation_sets for what in ("loss", "accuracy"))
    expected = (kind.UNIT, "seconds", "images_per_second", *kind.METRICS, *evaluated)
    missing = [column for column in expected if column not in header]
    check(not missing, path, f"the columns {', '.join(missing)} are missing")
    try:
        values = [[float(cell) for cell in row] for row in rows[1:]]
    except ValueError as error:
        raise damaged(path, str(error)) from error
    check(all(len(row) == len(header) for row in values), path, "a row is cut short")
    metrics = dict(zip(header, zip(*values, strict=True), strict=True)) if values else {}
    counted = metrics.get(kind.UNIT, (0.0,))
    stride = max(counted[0], 1.0)
    even = counted == tuple(stride * place for place in range(1, len(counted) + 1))
    problem = (
        f"its {kind.UNIT}s should rise evenly to {length}; there are {len(values)} rows, the last at {counted[-1]:g}"
    )
    check(even and counted[-1] == length, path, problem)
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
