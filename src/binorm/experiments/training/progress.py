"""What a person sees while runs train: live bars in a terminal, one line an epoch elsewhere."""

import time
from types import TracebackType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column

from binorm.experiments.training.recorder import Recorder

REFRESH_SECONDS = 0.25


class ProgressDisplay:
    """Progress over several runs, of ``steps`` training steps in all; a context manager."""

    def __init__(self, console: Console, runs: int, steps: int) -> None:
        self.console = console
        self._bars = Progress(
            TextColumn("{task.description}", table_column=Column(min_width=12, no_wrap=True)),
            BarColumn(bar_width=12, table_column=Column(min_width=6)),
            TimeRemainingColumn(table_column=Column(min_width=7, no_wrap=True)),
            TextColumn("left  {task.fields[what]}", table_column=Column(no_wrap=True)),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._all: TaskID | None = None
        if runs > 1:
            self._all = self._bars.add_task("all runs", total=steps, what="")
        self._started = time.perf_counter()
        self._steps, self._total = 0, steps

    def __enter__(self) -> "ProgressDisplay":
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bars.stop()

    def run(self, label: str, recorder: Recorder) -> Callback:
        """The callback that shows one run."""
        return _RunProgress(self, label, recorder)

    def start_run(self, label: str, steps: int) -> TaskID:
        """Add the bar of one run of so many steps."""
        return self._bars.add_task(label, total=steps, what="starting")

    def update(self, run: TaskID, done: int, new: int, what: str) -> None:
        """Show that ``done`` steps of a run are done, ``new`` of them since the last call."""
        self._steps += new
        self._bars.update(run, completed=done, what=what)
        if self._all is not None:
            self._bars.update(self._all, advance=new)

    def finish_run(self, run: TaskID) -> None:
        """Take the bar of one run away."""
        self._bars.remove_task(run)

    def skip_steps(self, steps: int) -> None:
        """Count steps that an earlier, interrupted start of a run has done."""
        self._total -= steps
        if self._all is not None:
            self._bars.update(self._all, total=self._total)

    def time_left(self) -> str:
        """An estimate from the speed so far, as h:mm:ss."""
        elapsed = time.perf_counter() - self._started
        seconds = round(elapsed / max(self._steps, 1) * (self._total - self._steps))
        return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


class _RunProgress(Callback):
    def __init__(self, display: ProgressDisplay, label: str, recorder: Recorder) -> None:
        self.display, self.label, self.recorder = display, label, recorder
        self._shown_at, self._shown_step = 0.0, 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._bar = self.display.start_run(self.label, int(trainer.estimated_stepping_batches))
        self._shown_at, self._shown_step = time.perf_counter(), trainer.global_step
        self.display.skip_steps(trainer.global_step)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        now = time.perf_counter()
        if now - self._shown_at < REFRESH_SECONDS:
            return  # reading the loss waits for a GPU, and redrawing costs time
        images = self.recorder.training.images / int(trainer.num_training_batches)
        speed = (trainer.global_step - self._shown_step) * images / (now - self._shown_at)
        so_far = self.recorder.training.objective.so_far()
        self._show(trainer, f"loss {outputs['loss'].item():.3f}  {so_far}  {speed:,.0f} images/s")
        self._shown_at = now

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._show(trainer, "")
        left = "" if self.display.console.is_terminal else f"  {self.display.time_left()} left"
        speed = f"{self.recorder.rows[-1]['images_per_second']:,.0f} images/s"
        self.display.console.print(f"{self.label}  {self.recorder.summary()}  {speed}{left}")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.display.finish_run(self._bar)

    def _show(self, trainer: Trainer, what: str) -> None:
        epoch = f"{min(trainer.current_epoch + 1, trainer.max_epochs or 0)}/{trainer.max_epochs}"
        self.display.update(self._bar, trainer.global_step, trainer.global_step - self._shown_step, f"{epoch}  {what}")
        self._shown_step = trainer.global_step
