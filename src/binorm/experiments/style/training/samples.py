"""Two photographs that every training stylizes, so that networks can be compared by eye.

They come with scikit-learn (``china.jpg`` and ``flower.jpg``, CC BY 2.0), so no data set has to be shown for it.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image
from torch import Tensor, nn

from binorm.experiments.common.files import replacing
from binorm.experiments.style.network import network_input, network_output

NAMES = ("china", "flower")


def sample_photographs() -> dict[str, numpy.ndarray]:
    """By name, uint8, (427, 640, 3)."""
    from sklearn.datasets import load_sample_image

    return {name: numpy.asarray(load_sample_image(f"{name}.jpg")) for name in NAMES}


def write_style_samples(folder: Path, network: nn.Module) -> None:
    """Write ``<name>.png`` and ``<name>-stylized.png`` of each sample into ``folder``."""
    for name, photograph, stylized in _stylized(network):
        for file_name, pixels in ((f"{name}.png", photograph), (f"{name}-stylized.png", stylized)):
            with replacing(folder / file_name) as file:
                Image.fromarray(pixels).save(file, "PNG")


def log_samples(trainer: Trainer, network: nn.Module, step: int) -> None:
    """Show the stylized samples in TensorBoard."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            for name, _, stylized in _stylized(network):
                logger.experiment.add_image(name, stylized, step, dataformats="HWC")


def _stylized(network: nn.Module) -> Iterator[tuple[str, numpy.ndarray, numpy.ndarray]]:
    """Each sample's name, its pixels and its stylized pixels; leaves the network's mode as it was."""
    device, training = next(network.parameters()).device, network.training
    network.eval()
    try:
        for name, photograph in sample_photographs().items():
            with torch.no_grad():
                stylized: Tensor = network(network_input(photograph).to(device))
            yield name, photograph, network_output(stylized.float().cpu())
    finally:
        network.train(training)
