"""What a trained network makes of the pictures of each domain: the features that its classifier sees."""

import json
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from binorm.experiments.common.files import write_bytes_atomically
from binorm.experiments.common.run_files import FEATURES_FILE
from binorm.experiments.data.batches.augmentation import resized
from binorm.experiments.data.batches.normalization import Normalizer
from binorm.experiments.data.dataset import Dataset, ImageSet
from binorm.experiments.training.settings import Settings
from binorm.experiments.training.tasks.domains import DomainClassification

PICTURES = 300  # of each domain: enough to see how they lie
CHUNK = 100


def write_features(folder: Path, module: DomainClassification, dataset: Dataset, settings: Settings) -> None:
    """Write the features of some pictures of every evaluation set, and in adaptation of the source, with their labels.

    The same pictures for every norm, method and seed. ``<set>.features`` is float16, (n, D), ``<set>.labels`` int64.
    """
    tensors: dict[str, Tensor] = {}
    module.eval()
    for name, images in _picked(dataset, module.recipe.task).items():
        tensors[f"{name}.features"] = _features(name, images, module, dataset, settings).half().cpu()
        tensors[f"{name}.labels"] = images.labels
    names = list(dict.fromkeys(key.rpartition(".")[0] for key in tensors))
    about = {"binorm": json.dumps({"classes": list(dataset.classes), "domains": names})}
    write_bytes_atomically(folder / FEATURES_FILE, save(tensors, about))


def _picked(dataset: Dataset, task: str) -> dict[str, ImageSet]:
    """Some pictures of each evaluation set, and in adaptation before them of each source."""
    picked = {}
    if task == "adaptation" and isinstance(dataset.train, ImageSet) and dataset.train_domains is not None:
        for number, domain in enumerate(dataset.domains):
            picked[domain] = _draw(dataset.train, (dataset.train_domains == number).nonzero()[:, 0])
    for name, images in dataset.evaluation.items():
        if isinstance(images, ImageSet):
            picked[name] = _draw(images, torch.arange(len(images)))
    return picked


def _draw(images: ImageSet, places: Tensor) -> ImageSet:
    """Up to `PICTURES` of the pictures at ``places``, drawn from a fixed seed."""
    chosen = places[torch.randperm(len(places), generator=torch.Generator().manual_seed(0))[:PICTURES]]
    return ImageSet(images.images[chosen], images.labels[chosen])


def _features(
    name: str, picked: ImageSet, module: DomainClassification, dataset: Dataset, settings: Settings
) -> Tensor:
    device = torch.device(settings.device)
    size = module.recipe.image_size
    images = resized(picked.images, (size, size)) if size else picked.images
    normalize = Normalizer(dataset, device)
    found = []
    with (
        torch.inference_mode(),
        torch.autocast(device.type, torch.bfloat16, settings.precision == "bfloat16"),
        module.statistics_of(name),
    ):
        for chunk in torch.split(images, CHUNK):
            found.append(module.tap(normalize(chunk.to(device)))[0].float())
    return torch.cat(found)
