"""USPS as arrays in a NumPy archive: ``usps.npz``."""

import io
from pathlib import Path

import numpy
import torch

from binorm.experiments.common.errors import UserError
from binorm.experiments.data.dataset import ImageSet
from binorm.experiments.data.trees.file_tree import FileTree, open_tree

SIDE = 16
CLASSES = 10


def read(file: Path) -> dict[str, ImageSet]:
    """The training and test digits, in three equal colours.

    Args:
        file: a NumPy archive (a zip file of arrays) with ``train_images`` and ``test_images``, uint8, (N, 16, 16), and
            ``train_labels`` and ``test_labels``, uint8, (N,), 0 to 9.

    Returns:
        The pictures of ``train`` and ``test``, (N, 16, 16, 3).

    Raises:
        UserError: if an array is absent, damaged, or of another type or shape.
    """
    splits = {}
    with open_tree(file) as tree:
        for split in ("train", "test"):
            grey, labels = _array(tree, f"{split}_images", (SIDE, SIDE)), _array(tree, f"{split}_labels", ())
            if not 0 < len(grey) == len(labels) or labels.max() >= CLASSES:
                raise UserError(
                    f"{split} in {file} has {len(grey)} pictures and {len(labels)} labels, the largest "
                    f"{labels.max(initial=0)}: expected as many labels as pictures, from 0 to {CLASSES - 1}"
                )
            pictures = torch.from_numpy(numpy.repeat(grey[..., None], 3, axis=-1))
            splits[split] = ImageSet(pictures, torch.from_numpy(labels.astype(numpy.int64)))
    return splits


def _array(tree: FileTree, name: str, shape: tuple[int, ...]) -> numpy.ndarray:
    """One array, read without whatever its pickle could start."""
    if f"{name}.npy" not in tree.names:
        raise UserError(f"{tree.path} has no {name}: expected train_images, train_labels, test_images and test_labels")
    try:
        array: numpy.ndarray = numpy.load(io.BytesIO(tree.read(f"{name}.npy")), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise UserError(f"{name} in {tree.path} cannot be read ({error}): get it again") from error
    if array.dtype != numpy.uint8 or array.ndim != 1 + len(shape) or array.shape[1:] != shape:
        expected = ", ".join(("N", *map(str, shape)))
        raise UserError(f"{name} in {tree.path} is {array.dtype} of shape {array.shape}, expected uint8 ({expected})")
    return array
