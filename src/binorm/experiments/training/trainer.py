"""Lightning's trainer as every run uses it: checkpoints to go on from, an end on a signal, and no hints."""

import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger

from binorm.experiments.common.errors import Interrupted
from binorm.experiments.common.run_files import LAST_CHECKPOINT
from binorm.experiments.common.tensors import load_safely
from binorm.experiments.common.text import printable
from binorm.experiments.runs.checkpoint import AtomicCheckpointIO
from binorm.experiments.training.settings import Settings

# Their hints are about loaders, loggers and hardware: choices made here on purpose.
QUIET = ("lightning.pytorch", "lightning.fabric")


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
        logger=_tensorboard(folder),
        callbacks=[*callbacks, saving],
        plugins=[AtomicCheckpointIO()],
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )


def _tensorboard(folder: Path) -> TensorBoardLogger | bool:
    """TensorBoard's log in a run's folder; none where the folder's name is no UTF-8, which TensorBoard cannot write."""
    if str(folder) == str(folder).encode(errors="replace").decode():
        return TensorBoardLogger(folder, name="", version="tensorboard", default_hp_metric=False)
    warnings.warn(f"TensorBoard cannot write to {printable(str(folder))}: the run goes without its log", stacklevel=2)
    return False


def resumable(checkpoint: Path) -> Path | None:
    """The checkpoint to go on from; a damaged one is named here, before anything is built on it."""
    if not checkpoint.exists():
        return None
    load_safely(checkpoint)
    return checkpoint


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
