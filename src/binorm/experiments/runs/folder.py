"""What every training has in common: a folder of its own, checkpoints to go on from, and an end on a signal."""

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout
from torch import nn

from binorm import gate_parameters
from binorm.experiments.common.errors import UserError
from binorm.experiments.common.machine import describe_machine, describe_versions
from binorm.experiments.recipes.base import Recipe
from binorm.experiments.recipes.stylization import StyleRecipe
from binorm.experiments.training.settings import Settings


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
