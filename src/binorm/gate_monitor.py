"""Where gates stand in the course of a training with Lightning, in whatever logger it has.

Not imported with ``binorm``, which asks for it when ``binorm.GateMonitor`` is named: its class is one of Lightning's.
"""

import importlib
import sys
from typing import Any, cast

import torch
from torch import Tensor, nn

from binorm.gate_logging import GateWriter, gate_scalars, gates_by_layer, write_histograms

_PACKAGES = ("lightning.pytorch", "pytorch_lightning")  # the same, twice: each with a class Callback of its own


def _callback_classes() -> list[type]:
    """``Callback`` of the packages that are in use, or, before either is, of those that are installed."""
    found = []
    for package in [each for each in _PACKAGES if each in sys.modules] or _PACKAGES:
        try:
            found.append(importlib.import_module(package).Callback)
        except ModuleNotFoundError:
            continue
    if not found:
        raise ImportError("GateMonitor needs Lightning: pip install lightning (or pytorch-lightning)")
    return found


class GateMonitor(*_callback_classes()):  # type: ignore[misc]
    """Log where the gates stand, over all and for each layer, at the end of each epoch or every so many steps.

    The names are those of `binorm.log_gates`; every logger of the trainer gets the scalars, at the step at which
    Lightning logs the module's own metrics, and those with ``add_histogram`` (TensorBoard's) the histograms. Those over
    all gates are also in ``trainer.callback_metrics``, for ``ModelCheckpoint`` and ``EarlyStopping``. For the trainers
    of ``lightning`` and of ``pytorch_lightning``; with any strategy whose gates `binorm.log_gates` can read.

    Args:
        every_n_steps: of the optimizer; None for the end of each epoch.
        prefix: what the names start with.

    Raises:
        ImportError: without Lightning.
        ValueError: for less than one step; and, when the training starts, for a network without batch-instance norms
            and for gates without values in this process.

    Example:
        >>> trainer = lightning.Trainer(callbacks=[binorm.GateMonitor(every_n_steps=50)])
    """

    def __init__(self, every_n_steps: int | None = None, prefix: str = "gates") -> None:
        if every_n_steps is not None and every_n_steps < 1:
            raise ValueError(f"every_n_steps should be at least 1, or None for each epoch (got {every_n_steps})")
        super().__init__()
        self.every_n_steps, self.prefix = every_n_steps, prefix
        self._optimizer_steps = 0  # of which the last was seen, so that batches that only accumulate are passed over

    def on_train_start(self, trainer: Any, pl_module: nn.Module) -> None:
        """Fail now, not after an epoch, where there is nothing to log."""
        self._gates(trainer, pl_module)
        self._optimizer_steps = trainer.global_step

    def on_train_batch_end(self, trainer: Any, pl_module: nn.Module, *_: Any, **__: Any) -> None:
        """Log, if it is time."""
        if self.every_n_steps is None or trainer.global_step == self._optimizer_steps:
            return
        self._optimizer_steps = trainer.global_step
        step = _logged_step(trainer)
        if (step + 1) % self.every_n_steps == 0:
            self._log(trainer, pl_module, step)

    def on_train_epoch_end(self, trainer: Any, pl_module: nn.Module) -> None:
        """Log, at the step of the epoch's last batch as Lightning's own epoch metrics."""
        if self.every_n_steps is None:
            self._log(trainer, pl_module, max(_logged_step(trainer) - 1, 0))

    def _log(self, trainer: Any, pl_module: nn.Module, step: int) -> None:
        gates = self._gates(trainer, pl_module)
        scalars = gate_scalars(gates, self.prefix)
        for name in [each for each in scalars if each.startswith(f"{self.prefix}/")]:
            trainer.callback_metrics[name] = torch.tensor(scalars[name], device=trainer.strategy.root_device)
        if not trainer.is_global_zero:
            return
        for logger in trainer.loggers:
            logger.log_metrics(scalars, step=step)
            if hasattr(logger.experiment, "add_histogram"):
                write_histograms(cast(GateWriter, logger.experiment), gates, step, self.prefix)

    @staticmethod
    def _gates(trainer: Any, pl_module: nn.Module) -> dict[str, Tensor]:
        return gates_by_layer(pl_module, wrapped=trainer.strategy.model)


def _logged_step(trainer: Any) -> int:
    """The step at which the trainer logs this batch: it counts batches after which any optimizer stepped."""
    return cast(int, getattr(trainer.fit_loop.epoch_loop, "_batches_that_stepped", trainer.global_step))
