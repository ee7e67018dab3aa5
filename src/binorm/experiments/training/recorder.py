"""Writes down what happens in a run, epoch by epoch, so that a killed run loses at most the epoch it was in."""

import csv
import io
import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from binorm import gate_summary, named_gates
from binorm.experiments.common.files import write_text_atomically
from binorm.experiments.common.run_files import CONFUSION_FILE, GATES_FILE, METRICS_FILE
from binorm.experiments.training.tasks.domains import DomainClassification


class Recorder(Callback):
    """Keeps one row of metrics and the state of the learned gates for each epoch, in the checkpoint and as files.

    The files are written whole from the kept rows, so that after a resume they hold each epoch once.
    """

    def __init__(
        self,
        folder: Path,
        network: nn.Module,
        evaluation: Iterable[str],
        pictures_per_epoch: int,
        classes: Sequence[str] = (),
    ) -> None:
        self.folder, self.network = folder, network
        self.evaluation, self.classes = tuple(evaluation), tuple(classes)
        self.confusions: list[list[list[int]]] = []
        self.metric_names = [f"{name}_{what}" for name in ("train", *self.evaluation) for what in ("loss", "accuracy")]
        self.pictures_per_epoch = pictures_per_epoch
        self.rows: list[dict[str, float]] = []
        self.gate_history: list[dict[str, Any]] = []
        self.epochs: int | None = None
        self._epoch_started = self._seconds = self._learning_rate = 0.0

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"rows": self.rows, "gate_history": self.gate_history, "confusions": self.confusions}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on after the last kept epoch."""
        self.rows, self.gate_history = state_dict["rows"], state_dict["gate_history"]
        self.confusions = state_dict.get("confusions", [])

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note where the gates start."""
        if not self.gate_history:
            self._note_gates(0)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock; note the learning rate that the epoch starts with."""
        self.epochs = trainer.max_epochs
        self._learning_rate = trainer.optimizers[0].param_groups[0]["lr"]
        self._epoch_started = time.perf_counter()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the clock: the speed is that of training alone."""
        self._seconds = time.perf_counter() - self._epoch_started

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep this epoch and write the files."""
        metrics = {name: trainer.callback_metrics[name].item() for name in self.metric_names}
        metrics |= {name: 100 * value for name, value in metrics.items() if name.endswith("_accuracy")}
        self.rows.append(
            {
                "epoch": trainer.current_epoch + 1,
                "learning_rate": round(self._learning_rate, 12),
                "seconds": round(self._seconds, 3),
                "evaluation_seconds": round(time.perf_counter() - self._epoch_started - self._seconds, 3),
                "images_per_second": round(self.pictures_per_epoch / self._seconds, 1),
                **{name: round(value, 6) for name, value in metrics.items()},
            }
        )
        self._note_gates(trainer.current_epoch + 1)
        if isinstance(pl_module, DomainClassification):
            self.confusions = pl_module.confusions.tolist()
        write_text_atomically(self.folder / METRICS_FILE, as_csv(self.rows))

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the learned gates themselves, and the last epoch's confusions."""
        if self.confusions:
            sets = dict(zip(self.evaluation, self.confusions, strict=True))
            confusion = {"classes": list(self.classes), "sets": sets}
            write_text_atomically(self.folder / CONFUSION_FILE, json.dumps(confusion))
        write_gates(self.folder, self.network, self.gate_history)

    def last_line(self) -> str:
        """The last epoch in words."""
        row = self.rows[-1]
        percents = {name.removesuffix("_accuracy"): value for name, value in row.items() if name.endswith("_accuracy")}
        accuracies = "  ".join(f"{name} {value:.1f} %" for name, value in percents.items())
        return f"epoch {row['epoch']}/{self.epochs}  loss {row['train_loss']:.3f}  {accuracies}"

    def _note_gates(self, epoch: int) -> None:
        if layers := gate_layers(self.network):
            self.gate_history.append({"epoch": epoch, "layers": layers})


def gate_layers(network: nn.Module) -> list[dict[str, Any]]:
    """Mean and histogram of the learned gates of each layer."""
    learned = {name.removesuffix(".gate") for name, gate in named_gates(network) if gate.requires_grad}
    return [
        {"name": each.name, "mean": round(each.mean, 6), "histogram": list(each.histogram)}
        for each in gate_summary(network)
        if each.name in learned
    ]


def write_gates(folder: Path, network: nn.Module, history: list[dict[str, Any]]) -> None:
    """Write the learned gates, if any, and where they stood before."""
    layers = [
        {"name": name.removesuffix(".gate"), "gates": [round(value, 6) for value in gate.tolist()]}
        for name, gate in named_gates(network)
        if gate.requires_grad
    ]
    if layers:
        write_text_atomically(folder / GATES_FILE, json.dumps({"layers": layers, "history": history}))


def as_csv(rows: list[dict[str, float]]) -> str:
    """A table with a heading."""
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
