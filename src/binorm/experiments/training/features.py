"""What a trained network makes of the images of each domain: the features that its classifier sees."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from binorm.experiments.common.files import write_bytes_atomically
from binorm.experiments.common.run_files import FEATURES_FILE
from binorm.experiments.common.text import printable
from binorm.experiments.data.batches.augmentation import resized
from binorm.experiments.data.batches.normalization import Normalizer
from binorm.experiments.data.dataset import Dataset, ImageSet
from binorm.experiments.models.head import FeatureTap
from binorm.experiments.recipes.domains import DomainRecipe
from binorm.experiments.training.settings import Settings

IMAGES = 300  # of each domain: enough to see how they lie
CHUNK = 100


def write_features(
    folder: Path,
    tap: FeatureTap,
    statistics_of: Callable[[str], AbstractContextManager[None]],
    recipe: DomainRecipe,
    dataset: Dataset,
    settings: Settings,
) -> None:
    """Write the features of some images of every evaluation set, and in adaptation of the source, with their labels.

    The same images for every norm, method and seed. ``<set>.features`` is float16, (n, D), ``<set>.labels`` int64.
    """
    tensors: dict[str, Tensor] = {}
    tap.network.eval()
    for name, images in _picked(dataset, recipe.task).items():
        with statistics_of(name):
            found = _features(images, tap, recipe.image_size, dataset, settings).half().cpu()
        tensors[f"{printable(name)}.features"] = found
        tensors[f"{printable(name)}.labels"] = images.labels
    names = list(dict.fromkeys(key.rpartition(".")[0] for key in tensors))
    about = {"binorm": json.dumps({"classes": list(dataset.classes), "domains": names})}
    write_bytes_atomically(folder / FEATURES_FILE, save(tensors, about))


def _picked(dataset: Dataset, task: str) -> dict[str, ImageSet]:
    """Some images of each evaluation set, and in adaptation before them of each source."""
    picked = {}
    if task == "adaptation" and isinstance(dataset.train, ImageSet) and dataset.train_domains is not None:
        for number, domain in enumerate(dataset.domains):
            picked[domain] = _draw(dataset.train, (dataset.train_domains == number).nonzero()[:, 0])
    for name, images in dataset.evaluation.items():
        if isinstance(images, ImageSet):
            picked[name] = _draw(images, torch.arange(len(images)))
    return picked


def _draw(images: ImageSet, places: Tensor) -> ImageSet:
    """Up to `IMAGES` of the images at ``places``, drawn from a fixed seed."""
    chosen = places[torch.randperm(len(places), generator=torch.Generator().manual_seed(0))[:IMAGES]]
    return ImageSet(images.images[chosen], images.labels[chosen])


def _features(picked: ImageSet, tap: FeatureTap, size: int, dataset: Dataset, settings: Settings) -> Tensor:
    """(n, D), of images at ``size``, or their own where that is 0."""
    device = torch.device(settings.device)
    images = resized(picked.images, (size, size)) if size else picked.images
    normalize = Normalizer(dataset, device)
    found = []
    with torch.inference_mode(), settings.autocast():
        for chunk in torch.split(images, CHUNK):
            found.append(tap(normalize(chunk.to(device)))[0].float())
    return torch.cat(found)
