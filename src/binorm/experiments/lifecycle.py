"""What every training has in common: a folder of its own, checkpoints to go on from, and an end on a signal."""

import dataclasses
import json
import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import yaml
from filelock import FileLock, Timeout
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from torch import nn

from binorm import gate_parameters
from binorm.experiments.checkpoint import LAST_CHECKPOINT, AtomicCheckpointIO, load_safely
from binorm.experiments.errors import Interrupted, UserError
from binorm.experiments.machine import Settings, describe_machine, describe_versions
from binorm.experiments.recipe import Recipe
from binorm.experiments.style.training.recipe import StyleRecipe

# Their hints are about loaders, loggers and hardware: choices made here on purpose.
QUIET = ("lightning.pytorch", "lightning.fabric")


def run_status(folder: Path, recipe: Recipe | StyleRecipe) -> str | None:
    """``running`` (or interrupted), ``finished``, ``diverged``, or None for a run that never started.

    Raises:
        UserError: if the folder holds a run of another configuration: nothing is ever overwritten.
    """
    try:
        kept = yaml.safe_load((folder / "config.yaml").read_text())
        status = json.loads((folder / "run.json").read_text())["status"]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, yaml.YAMLError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder} is damaged ({error}): delete it to train this run again") from error
    if not isinstance(kept, dict):
        raise UserError(f"{folder / 'config.yaml'} holds no recipe: delete {folder} to train this run again")
    asked = dataclasses.asdict(recipe)
    defaults = {each.name: each.default for each in dataclasses.fields(recipe)}
    older = {name: defaults[name] for name in asked if name not in kept}  # a field that came after that run
    kept = older | kept
    differing = [name for name in asked if kept[name] != asked[name]]
    if differing:
        changes = ", ".join(f"{name} {kept[name]!r} there, {asked[name]!r} asked for" for name in differing)
        raise UserError(f"{folder} holds a run of another configuration ({changes}): choose another --out")
    return str(status)


def run_facts(
    recipe: Recipe | StyleRecipe, norm: str, seed: int, command: str, settings: Settings, network: nn.Module
) -> dict[str, Any]:
    """What ``run.json`` says of any training: what it is, and everything that its figures can depend on but data."""
    return {
        "recipe": recipe.name,
        "norm": norm,
        "seed": seed,
        "command": command,
        "settings": dataclasses.asdict(settings),
        "parameters": sum(each.numel() for each in network.parameters() if each.requires_grad),
        "gates": sum(gate.numel() for gate in gate_parameters(network) if gate.requires_grad),
        "versions": describe_versions(),
        "machine": describe_machine(),
    }


def trainer(epochs: int, settings: Settings, folder: Path, callbacks: list[Callback]) -> Trainer:
    """Lightning's trainer on one device, with a checkpoint after every epoch."""
    saving = ModelCheckpoint(
        (folder / LAST_CHECKPOINT).parent,
        filename=LAST_CHECKPOINT.stem,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    return Trainer(
        accelerator="gpu" if settings.device == "cuda" else "cpu",
        devices=1,
        precision="bf16-mixed" if settings.precision == "bfloat16" else "32-true",
        max_epochs=epochs,
        logger=TensorBoardLogger(folder, name="", version="tensorboard", default_hp_metric=False),
        callbacks=[*callbacks, saving],
        plugins=[AtomicCheckpointIO()],
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )


def resumable(checkpoint: Path) -> Path | None:
    """The checkpoint to go on from; a damaged one is named here, before anything is built on it."""
    if not checkpoint.exists():
        return None
    load_safely(checkpoint)
    return checkpoint


@contextmanager
def sole_use(folder: Path) -> Iterator[None]:
    """Keep a second process out of a run's folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=0)
        lock.acquire()
    except Timeout as error:
        raise UserError(f"another process is training {folder}: wait for it, or choose another --out") from error
    except OSError as error:
        reason = error.strerror or error
        raise UserError(
            f"cannot write to {folder} ({reason}): choose a folder that you may write to with --out"
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Turn SIGINT and SIGTERM into `Interrupted`, wherever the training is."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return

    def stop(signal_number: int, frame: FrameType | None) -> None:
        signal.signal(signal_number, signal.SIG_IGN)  # one stop is enough
        raise Interrupted(signal_number)

    before = {each: signal.signal(each, stop) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def without_hints() -> Iterator[None]:
    """Silence Lightning's hints."""
    loggers = [logging.getLogger(name) for name in QUIET]
    levels = [each.level for each in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning\.")
        for each in loggers:
            each.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for each, level in zip(loggers, levels, strict=True):
                each.setLevel(level)
