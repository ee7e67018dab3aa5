"""Writes down what happens while a style is learned, period by period."""

import time
from pathlib import Path
from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from binorm.experiments.common.files import write_text_atomically
from binorm.experiments.common.run_files import METRICS_FILE
from binorm.experiments.style.training.samples import log_samples
from binorm.experiments.training.recorder import as_csv, gate_layers, write_gates
from binorm.experiments.training.tasks.stylization import Stylization


class StyleRecorder(Callback):
    """Keeps one row of mean losses and the state of the gates for each period, in the checkpoint and as files.

    TensorBoard gets the same losses, and sample pictures ten times in a training.
    """

    def __init__(self, folder: Path, network: nn.Module, period: int, pictures_per_period: int) -> None:
        self.folder, self.network, self.period = folder, network, period
        self.pictures_per_epoch = pictures_per_period
        self.rows: list[dict[str, float]] = []
        self.gate_history: list[dict[str, Any]] = []
        self._started, self._periods = 0.0, 0

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"rows": self.rows, "gate_history": self.gate_history}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on after the last kept period."""
        self.rows, self.gate_history = state_dict["rows"], state_dict["gate_history"]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note where the gates start."""
        self._periods = trainer.max_epochs or 0
        if not self.gate_history:
            self._note_gates(0)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._started = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep this period and write the files."""
        seconds = time.perf_counter() - self._started
        means = cast(Stylization, pl_module).means()
        periods = trainer.current_epoch + 1
        self.rows.append(
            {
                "step": periods * self.period,
                "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
                "seconds": round(seconds, 3),
                "images_per_second": round(self.pictures_per_epoch / seconds, 2),
                **{name: round(value, 8) for name, value in means.items()},
            }
        )
        pl_module.log_dict(dict(means))
        self._note_gates(periods)
        write_text_atomically(self.folder / METRICS_FILE, as_csv(self.rows))
        if periods % max(1, self._periods // 10) == 0:
            log_samples(trainer, self.network, periods * self.period)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the learned gates themselves."""
        write_gates(self.folder, self.network, self.gate_history)

    def last_line(self) -> str:
        """The last period in words."""
        row = self.rows[-1]
        last = self._periods * self.period
        return f"step {row['step']}/{last}  content {row['content']:.4f}  style {row['style']:.4f}"

    def _note_gates(self, period: int) -> None:
        if layers := gate_layers(self.network):
            self.gate_history.append({"epoch": period, "layers": layers})
