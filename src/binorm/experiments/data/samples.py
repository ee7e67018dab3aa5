"""Sample pictures of a data set, as one grid a set."""

from pathlib import Path

import numpy
import torch
from PIL import Image

from binorm.experiments.common.files import replacing
from binorm.experiments.common.images import BrokenImageError
from binorm.experiments.data.batches.transforms import CentreCrop
from binorm.experiments.data.dataset import Dataset, EncodedSet, ImageSet

ROWS, COLUMNS = 3, 10
ENCODED_SIZE = 64  # of pictures that come in any size


def write_samples(folder: Path, dataset: Dataset) -> None:
    """Write ``train.png`` and one file for each evaluation set into ``folder``: a column a class, at twice the size."""
    for name, images in {"train": dataset.train, **dataset.evaluation}.items():
        path = folder / f"{name}.png"
        if not path.exists():
            columns = min(len(dataset.classes), COLUMNS)
            pixels = _kept(images, columns) if isinstance(images, ImageSet) else _decoded(images, columns)
            grid = Image.fromarray(_grid(pixels).numpy())
            with replacing(path) as file:
                grid.resize((2 * grid.width, 2 * grid.height), Image.Resampling.NEAREST).save(file, "PNG")


def _kept(images: ImageSet, columns: int) -> list[torch.Tensor]:
    """The first pictures of each of the first classes, (up to ROWS, H, W, 3)."""
    return [images.images[(images.labels == column).nonzero()[:ROWS, 0]] for column in range(columns)]


def _decoded(images: EncodedSet, columns: int) -> list[torch.Tensor]:
    """Like `_kept`, the middles of the pictures at `ENCODED_SIZE`; black where one cannot be decoded."""
    crop = CentreCrop(ENCODED_SIZE, ENCODED_SIZE)
    decoded = [torch.zeros(ROWS, ENCODED_SIZE, ENCODED_SIZE, 3, dtype=torch.uint8) for _ in range(columns)]
    for column, pictures in images.examples(columns, ROWS).items():
        for row, picture in enumerate(pictures):
            try:
                decoded[column][row] = torch.from_numpy(numpy.array(crop(picture.read())))
            except BrokenImageError:
                continue
    return decoded


def _grid(pictures: list[torch.Tensor]) -> torch.Tensor:
    """(rows * H, columns * W, 3): a column for each class, black where there are fewer pictures than rows."""
    _, height, width, _ = pictures[0].shape
    grid = torch.zeros(ROWS, len(pictures), height, width, 3, dtype=torch.uint8)
    for column, picked in enumerate(pictures):
        grid[: len(picked), column] = picked
    return grid.permute(0, 2, 1, 3, 4).reshape(ROWS * height, len(pictures) * width, 3)
