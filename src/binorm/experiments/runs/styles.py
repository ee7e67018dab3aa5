"""Finds and reads the runs of style trainings, which hold losses by step where others hold accuracies by epoch."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.run_files import GATES_FILE
from binorm.experiments.report import tables
from binorm.experiments.report.tables import Run
from binorm.experiments.runs.files import check, damaged, field, read_json, read_text
from binorm.experiments.runs.reading import RunResult, UnfinishedRun, find_runs, read_config, read_gates, read_record

LOSSES = ("content", "style", "variation")
_METRICS = ("step", "seconds", "images_per_second", *LOSSES, "total")


def is_style_folder(folder: Path) -> bool:
    """Whether ``runs/style/<style>`` holds runs of style trainings, so that a style report is to be written."""
    return any(_is_style_run(path) for path in find_runs(folder))


def style_folders(folder: Path) -> list[Path]:
    """The folders of styles in ``runs/style``, by name."""
    return sorted(path for path in folder.glob("*") if path.is_dir() and is_style_folder(path))


def read_style_runs(folder: Path) -> list[Run]:
    """All runs of ``runs/style/<style>``, in the order of display.

    In a result, ``metrics`` holds the columns of ``metrics.csv``, one number a period; ``record.data["style"]`` is what
    ``run.json`` says of the style picture. Folders of this machine are left out.

    Raises:
        UserError: there are none, or a file is missing or damaged.
    """
    found = [_read(path) for path in find_runs(folder)]
    if not found:
        raise UserError(
            f"there are no runs in {folder}: expected <norm>/seed<k>/ there, as `binorm compare style` writes them"
        )
    return found


def curve(run: RunResult, loss: str) -> dict[int, float]:
    """A loss by step: each value is the mean over the period that ends there."""
    return {int(step): value for step, value in zip(run.metrics["step"], run.metrics[loss], strict=True)}


def schedule_label(runs: Iterable[Run]) -> str | None:
    """``"short schedule: 2,000 of 40,000 steps"`` where runs stopped before their recipe's length, else None."""
    lengths = {(run.config["steps"], run.config["full_steps"]) for run in tables.finished(runs)}
    short = [f"{steps:,} of {full:,} steps" for steps, full in sorted(lengths) if steps < full]
    return f"short schedule: {', '.join(short)}" if short else None


def _is_style_run(folder: Path) -> bool:
    try:
        config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        return bool(config["task"] == "stylization")
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError):
        return False  # whoever reads the run says what is wrong with it


def _read(folder: Path) -> Run:
    record = read_record(folder)
    if isinstance(record, UnfinishedRun):
        return record
    path = folder / "run.json"
    style = _read_style(field(read_json(path), "style", dict, path), path)
    config = _read_config(folder / "config.yaml")
    layers, history = read_gates(folder / GATES_FILE)
    return RunResult(
        folder=folder,
        norm=folder.parent.name,
        seed=int(folder.name.removeprefix("seed")),
        record=replace(record, data={**record.data, "style": style}),
        config=config,
        metrics=_read_metrics(folder / "metrics.csv", config["steps"]),
        gate_layers=layers,
        gate_history=history,
        samples={picture.stem: picture for picture in sorted((folder / "samples").glob("*.png"))},
    )


def _read_style(style: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """What a report may say of the style picture: not in which folder of this machine it lay."""
    picture = _file_name(field(style, "picture", str, path))
    return {**style, "name": field(style, "name", str, path), "picture": picture}


def _read_config(path: Path) -> dict[str, Any]:
    config = read_config(path, ("steps", "full_steps"))
    files = {key: _file_name(field(config, key, str, path)) for key in ("style", "loss_network")}
    return {**config, **files}


def _read_metrics(path: Path, steps: int) -> dict[str, tuple[float, ...]]:
    rows = list(csv.reader(read_text(path).splitlines()))
    header = rows[0] if rows else []
    missing = [column for column in _METRICS if column not in header]
    check(not missing, path, f"the columns {', '.join(missing)} are missing")
    try:
        values = [[float(cell) for cell in row] for row in rows[1:]]
    except ValueError as error:
        raise damaged(path, str(error)) from error
    check(all(len(row) == len(header) for row in values), path, "a row is cut short")
    metrics = dict(zip(header, zip(*values, strict=True), strict=True)) if values else {}
    counted = metrics.get("step", (0.0,))
    rising = all(before < after for before, after in zip((0.0, *counted), counted, strict=False))
    check(rising and counted[-1] == steps, path, f"its steps should rise to {steps} and end at {counted[-1]:g}")
    return metrics


def _file_name(path: str) -> str:
    return PurePosixPath(path.replace("\\", "/")).name
