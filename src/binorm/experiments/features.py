"""What a trained network makes of the pictures of each domain: the features that its classifier sees."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from binorm.experiments.atomic import write_bytes_atomically
from binorm.experiments.data.augmentation import resized
from binorm.experiments.data.dataset import Dataset, ImageSet
from binorm.experiments.data.normalization import Normalizer
from binorm.experiments.machine import Settings
from binorm.experiments.tasks.domains import DomainClassification

FEATURES_FILE = "features.safetensors"
PICTURES = 300  # of each domain: enough to see how they lie
CHUNK = 100


def write_features(folder: Path, module: DomainClassification, dataset: Dataset, settings: Settings) -> None:
    """Write the features of some pictures of every evaluation set, and in adaptation of the source, with their labels.

    The same pictures for every norm, method and seed. ``<set>.features`` is float16, (n, D), ``<set>.labels`` int64.
    """
    tensors: dict[str, Tensor] = {}
    module.eval()
    for name, images in _sets(dataset, module.recipe.target).items():
        picked = ImageSet(images.images[(places := _drawn(len(images)))], images.labels[places])
        tensors[f"{name}.features"] = _features(name, picked, module, dataset, settings).half().cpu()
        tensors[f"{name}.labels"] = picked.labels
    names = list(dict.fromkeys(key.rpartition(".")[0] for key in tensors))
    about = {"binorm": json.dumps({"classes": list(dataset.classes), "domains": names})}
    write_bytes_atomically(folder / FEATURES_FILE, save(tensors, about))


def _sets(dataset: Dataset, target: str) -> Mapping[str, ImageSet]:
    sets = {name: images for name, images in dataset.evaluation.items() if isinstance(images, ImageSet)}
    if target and len(dataset.domains) == 1 and isinstance(dataset.train, ImageSet):
        sets = {dataset.domains[0]: dataset.train, **sets}
    return sets


def _drawn(length: int) -> Tensor:
    return torch.randperm(length, generator=torch.Generator().manual_seed(0))[:PICTURES]


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
