"""Accuracy of a trained network on the evaluation sets of its data."""

from pathlib import Path

import torch
from rich import box
from rich.table import Table

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.run_files import weights_of
from binorm.experiments.common.tensors import load_state_dict
from binorm.experiments.data.batches.batches import evaluation_batches
from binorm.experiments.runs.checkpoint import load_network
from binorm.experiments.training.protocols import Loader
from binorm.experiments.training.settings import choose_settings


def evaluate(checkpoint: Path, data_path: Path | None) -> Table:
    """Top-1 accuracy in percent and cross-entropy on each evaluation set, as a table for the terminal.

    A network with running statistics for each domain is evaluated with those of the set's domain.

    Raises:
        UserError: for an unusable checkpoint or data, and for data with other classes than the network's.
    """
    network, trained = load_network(checkpoint)
    recipe = trained.recipe
    dataset = Loader(data_path).dataset(recipe)
    if dataset.classes != trained.classes:
        raise UserError(f"{checkpoint} knows the classes {', '.join(trained.classes)}; the data has others")
    settings = choose_settings(recipe, 0)
    device = torch.device(settings.device)
    network.to(device).to(memory_format=torch.channels_last).eval()
    table = Table(
        title=f"{recipe.title}: {trained.norm}, seed {trained.seed} ({settings.precision})", box=box.SIMPLE_HEAD
    )
    for heading in ("evaluation set", "pictures", "top-1 %", "loss"):
        table.add_column(heading, justify="left" if heading == "evaluation set" else "right")
    for name, images in dataset.evaluation.items():
        if weights_of(checkpoint, name).exists():  # its running statistics are its own
            network.load_state_dict(load_state_dict(weights_of(checkpoint, name)))
        correct, loss = 0, 0.0
        for pictures, labels, count in evaluation_batches(images, dataset, recipe, device):
            with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, settings.precision == "bfloat16"):
                logits = network(pictures)[:count].float()
            correct += int((logits.argmax(1) == labels[:count]).sum())
            loss += torch.nn.functional.cross_entropy(logits, labels[:count], reduction="sum").item()
        table.add_row(name, f"{len(images):,}", f"{100 * correct / len(images):.2f}", f"{loss / len(images):.4f}")
    return table
