"""Writes down what happens in a run, epoch by epoch, so that a killed run loses at most the epoch it was in."""

import csv
import io
import json
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from binorm import gate_summary, named_gates
from binorm.experiments.common.files import write_text_atomically
from binorm.experiments.common.machine import EnergyCounter
from binorm.experiments.common.run_files import CONFUSION_FILE, GATES_FILE, METRICS_FILE
from binorm.experiments.training.task import Training

LOOKED_AT = 100  # steps after which the counter of energy is read


class Recorder(Callback):
    """Keeps one row of metrics and the state of the learned gates for each epoch, in the checkpoint and as files.

    The files are written whole from the kept rows, so that after a resume they hold each epoch once.
    """

    def __init__(self, folder: Path, training: Training) -> None:
        self.folder, self.training = folder, training
        self.rows: list[dict[str, float]] = []
        self.gate_history: list[dict[str, Any]] = []
        self.confusions: list[list[list[int]]] = []
        self._epochs = 0
        self._epoch_started = self._seconds = self._learning_rate = 0.0
        self._energy = EnergyCounter()
        self._joules: float | None = None

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"rows": self.rows, "gate_history": self.gate_history, "confusions": self.confusions}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on after the last kept epoch."""
        self.rows, self.gate_history = state_dict["rows"], state_dict["gate_history"]
        self.confusions = state_dict.get("confusions", [])

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note where the gates start."""
        self._epochs = trainer.max_epochs or 0
        if not self.gate_history:
            self._note_gates(0)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock; note the learning rate that the epoch starts with."""
        self._learning_rate = trainer.optimizers[0].param_groups[0]["lr"]
        self._seconds, self._epoch_started = 0.0, time.perf_counter()
        self._energy = EnergyCounter()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the clock: speed and energy are those of training alone."""
        self._seconds = time.perf_counter() - self._epoch_started
        self._joules = self._energy.joules()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *step: Any) -> None:
        """Look at the counter of energy before it can go round."""
        if trainer.global_step % LOOKED_AT == 0:
            self._energy.joules()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep this epoch and write the files."""
        whole = time.perf_counter() - self._epoch_started
        seconds = self._seconds or whole  # no evaluation has stopped the clock
        joules = self._joules if self._seconds else self._energy.joules()
        energy = {} if joules is None else {"joules": round(joules, 1)}
        evaluation = {"evaluation_seconds": round(whole - seconds, 3)} if self.training.evaluation else {}
        objective, epochs = self.training.objective, trainer.current_epoch + 1
        self.rows.append(
            {
                objective.recipe.UNIT: objective.position(epochs),
                "learning_rate": round(self._learning_rate, 12),
                "seconds": round(seconds, 3),
                **evaluation,
                **energy,
                "images_per_second": round(self.training.images / seconds, 2),
                **{name: round(value, objective.digits) for name, value in objective.metrics().items()},
            }
        )
        self._note_gates(epochs)
        self.confusions = objective.confusions()
        write_text_atomically(self.folder / METRICS_FILE, _as_csv(self.rows))

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the learned gates themselves, and the last epoch's confusions."""
        if self.confusions:
            sets = dict(zip(self.training.evaluation_names, self.confusions, strict=True))
            content = json.dumps({"classes": list(self.training.classes), "sets": sets})
            write_text_atomically(self.folder / CONFUSION_FILE, content)
        if gates := _learned_gates(self.training.network):
            content = json.dumps({"layers": gates, "history": self.gate_history})
            write_text_atomically(self.folder / GATES_FILE, content)

    def seconds(self) -> float:
        """Of all epochs so far, evaluation included."""
        return round(sum(row["seconds"] + row.get("evaluation_seconds", 0.0) for row in self.rows), 1)

    def summary(self) -> str:
        """The last epoch in words."""
        objective, row = self.training.objective, self.rows[-1]
        unit = objective.recipe.UNIT
        done = f"{unit} {row[unit]}/{objective.position(self._epochs)}"
        return f"{done}  {objective.summary(row)}"

    def _note_gates(self, epoch: int) -> None:
        if layers := _gate_layers(self.training.network):
            self.gate_history.append({"epoch": epoch, "layers": layers})


def _gate_layers(network: nn.Module) -> list[dict[str, Any]]:
    """Mean and histogram of the learned gates of each layer."""
    learned = {name.removesuffix(".gate") for name, gate in named_gates(network) if gate.requires_grad}
    return [
        {"name": each.name, "mean": round(each.mean, 6), "histogram": list(each.histogram)}
        for each in gate_summary(network)
        if each.name in learned
    ]


def _learned_gates(network: nn.Module) -> list[dict[str, Any]]:
    return [
        {"name": name.removesuffix(".gate"), "gates": [round(value, 6) for value in gate.tolist()]}
        for name, gate in named_gates(network)
        if gate.requires_grad
    ]


def _as_csv(rows: list[dict[str, float]]) -> str:
    """A table with a heading."""
    text = io.StringIO()
    # A run may go on where energy is counted, or is no longer.
    columns = dict.fromkeys(name for row in rows for name in row)
    writer = csv.DictWriter(text, columns, restval="nan", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
