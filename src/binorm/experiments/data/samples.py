"""Sample pictures of a data set, as one grid a set."""

from pathlib import Path

import torch
from PIL import Image

from binorm.experiments.atomic import replacing
from binorm.experiments.data.dataset import Dataset, ImageSet

ROWS, COLUMNS = 3, 10


def write_samples(folder: Path, dataset: Dataset) -> None:
    """Write ``train.png`` and one file for each evaluation set into ``folder``: a column a class, at twice the size."""
    for name, images in {"train": dataset.train, **dataset.evaluation}.items():
        path = folder / f"{name}.png"
        if not path.exists():
            grid = Image.fromarray(_grid(images, len(dataset.classes)).numpy())
            with replacing(path) as file:
                grid.resize((2 * grid.width, 2 * grid.height), Image.Resampling.NEAREST).save(file, "PNG")


def _grid(images: ImageSet, classes: int) -> torch.Tensor:
    """(rows * H, columns * W, 3): the first pictures of each of the first classes, black where there are fewer."""
    _, height, width, _ = images.images.shape
    columns = min(classes, COLUMNS)
    grid = torch.zeros(ROWS, columns, height, width, 3, dtype=torch.uint8)
    for column in range(columns):
        picked = images.images[(images.labels == column).nonzero()[:ROWS, 0]]
        grid[: len(picked), column] = picked
    return grid.permute(0, 2, 1, 3, 4).reshape(ROWS * height, columns * width, 3)
