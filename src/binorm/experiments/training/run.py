"""One run: a recipe, a norm and a seed become one folder with everything there is to say about it."""

import dataclasses
import gc
import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from binorm import gate_parameters
from binorm.experiments.common.errors import DivergenceError
from binorm.experiments.common.files import write_text_atomically
from binorm.experiments.common.machine import describe_machine, describe_versions
from binorm.experiments.common.run_files import CONFIG_FILE, LAST_CHECKPOINT, RUN_FILE
from binorm.experiments.recipes.base import Recipe
from binorm.experiments.runs.folder import check_same_data, is_open, run_folder, run_label, sole_use
from binorm.experiments.training.cuda_graphs import CudaGraphs
from binorm.experiments.training.progress import ProgressDisplay
from binorm.experiments.training.recorder import Recorder
from binorm.experiments.training.settings import Settings
from binorm.experiments.training.task import Task, Training
from binorm.experiments.training.trainer import resumable, stopping_on_signals, trainer, without_hints


def run(
    task: Task[Any], recipe: Recipe, norm: str, seed: int, out: Path, command: str, display: ProgressDisplay
) -> Path:
    """Train one network, or finish what an interrupted call began, to the same result; return its folder.

    A finished or diverged run is left as it is.

    Args:
        task: of the recipe's kind.
        recipe: of a single run.
        norm: a norm's name.
        seed: of the weights and of everything drawn.
        out: the folder of all runs.
        command: the command line, for the record.
        display: shows how it goes.

    Raises:
        UserError: for whatever the user can mend; `DivergenceError`, which is one, after noting it in the folder.
        Interrupted: on SIGINT or SIGTERM; the last finished epoch is kept.
    """
    folder = run_folder(out, recipe, norm, seed)
    with sole_use(folder):
        opened = is_open(folder, recipe)  # another setting, such as image_size, is named as what it is
        check_same_data(folder, partial(task.data, recipe))
        if not opened:
            return folder
        try:
            settings = task.settings(recipe, task.size(recipe)[1])
            training = task.training(recipe, norm, seed, settings)
            facts = _facts(recipe, norm, seed, command, settings, training.network)
            _train(recipe, training, settings, facts, folder, display, run_label(recipe, norm, seed))
        finally:
            gc.collect()  # trainer and network know each other, and their few objects hold much memory
    return folder


def _train(
    recipe: Recipe,
    training: Training,
    settings: Settings,
    facts: dict[str, Any],
    folder: Path,
    display: ProgressDisplay,
    label: str,
) -> None:
    recorder = Recorder(folder, training)
    graphs = [CudaGraphs(training, settings)] if settings.graphs else []

    def note(status: str, reason: str | None = None) -> None:
        standing = {"status": status, "reason": reason, "started": started, "seconds": recorder.seconds()}
        text = json.dumps(facts | standing | training.facts(), indent=2)
        write_text_atomically(folder / RUN_FILE, text + "\n")

    started = datetime.now(UTC).isoformat(timespec="seconds")
    write_text_atomically(folder / CONFIG_FILE, yaml.safe_dump(dataclasses.asdict(recipe), sort_keys=False))
    note("running")
    training.begin(folder)
    if settings.compiled:
        torch.compiler.reset()  # graphs of earlier runs would count towards the limit of recompilations
        training.compile()
    try:
        with stopping_on_signals(), without_hints():
            fitting = trainer(recipe.num_epochs, settings, folder, [recorder, display.run(label, recorder), *graphs])
            fitting.fit(
                training.objective,
                training.batches,
                list(training.evaluation) or None,
                ckpt_path=resumable(folder / LAST_CHECKPOINT),
                weights_only=True,
            )
    except DivergenceError as error:
        note("diverged", str(error))
        raise
    training.save(folder, facts["command"])
    note("finished")


def _facts(
    recipe: Recipe, norm: str, seed: int, command: str, settings: Settings, network: nn.Module
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
