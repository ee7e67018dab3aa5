"""Accuracy and loss of a trained network on the evaluation sets of its data."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.tensors import weights_path
from binorm.experiments.data.batches.batches import evaluation_batches
from binorm.experiments.data.identity import data_facts
from binorm.experiments.runs.checkpoint import Trained, load_network, load_statistics
from binorm.experiments.runs.folder import other_data
from binorm.experiments.training.protocols import Loader
from binorm.experiments.training.settings import choose_settings


@dataclass(frozen=True)
class SetScore:
    """What a network reaches on one evaluation set.

    Attributes:
        name: of the set.
        images: how many there are.
        top1: accuracy in percent.
        loss: the mean cross-entropy.
    """

    name: str
    images: int
    top1: float
    loss: float


@dataclass(frozen=True)
class Evaluation:
    """What a trained network reaches.

    Attributes:
        trained: what it is.
        precision: that it was evaluated in.
        scores: in the order of the sets.
        other_data: what is different about the data that it was trained and tested on; empty where they are the same.
    """

    trained: Trained
    precision: str
    scores: tuple[SetScore, ...]
    other_data: str


def evaluate(checkpoint: Path, data_path: Path | None) -> Evaluation:
    """Top-1 accuracy and cross-entropy on each evaluation set.

    A network with running statistics for each domain is evaluated with those of the set's domain.

    Raises:
        UserError: for an unusable checkpoint or data, and for data with other classes than the network's.
    """
    network, trained = load_network(checkpoint)
    loader = Loader(data_path)
    dataset = loader.dataset(trained.recipe)
    if dataset.classes != trained.classes:
        raise UserError(f"{checkpoint} knows the classes {', '.join(trained.classes)}; the data has others")
    settings = choose_settings(trained.recipe, 0)
    device = torch.device(settings.device)
    network.to(device).to(memory_format=torch.channels_last).eval()

    def logits_of(batch: Tensor) -> Tensor:
        with torch.inference_mode(), settings.autocast():
            logits: Tensor = network(batch).float()
        return logits

    scores = []
    for name, images in dataset.evaluation.items():
        load_statistics(network, checkpoint, name)
        correct, loss = 0, 0.0
        for batch, labels, count in evaluation_batches(images, dataset, trained.recipe, device):
            logits = logits_of(batch)[:count]
            correct += int((logits.argmax(1) == labels[:count]).sum())
            loss += functional.cross_entropy(logits, labels[:count], reduction="sum").item()
        scores.append(SetScore(name, len(images), 100 * correct / len(images), loss / len(images)))
    facts = data_facts(dataset, loader.identity(trained.recipe))
    return Evaluation(trained, settings.precision, tuple(scores), other_data(weights_path(checkpoint).parent, facts))
