"""CIFAR-10 (Krizhevsky 2009): the published pickles, or pictures as ``{train,test}/<class>/<file>``."""

import io
import pickle
from pathlib import Path, PurePosixPath
from typing import Any

import numpy
import torch

from binorm.experiments.data.cache import Splits, cached
from binorm.experiments.data.dataset import Dataset, ImageSet
from binorm.experiments.data.file_tree import FileTree, open_tree
from binorm.experiments.data.image_folder import DecodedSplit, label_files, read_pictures
from binorm.experiments.errors import UserError

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIZE = (32, 32)
BATCH_FILES = {"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)}


def load_cifar10(path: Path | None) -> Dataset:
    """Read CIFAR-10 from a folder, zip or tar file, in either layout; the first time decodes, later ones are cached.

    Raises:
        UserError: if there is nothing, or something else, at ``path``.
    """
    if path is None:
        raise UserError(
            "cifar10 needs --data: the folder, zip or tar file with the published batches "
            "(https://www.cs.toronto.edu/~kriz/cifar.html) or with train/<class>/ and test/<class>/ pictures"
        )
    with open_tree(path) as tree:
        splits = cached(f"cifar10-{tree.fingerprint}", lambda: _read(tree))
    return Dataset(
        name="cifar10",
        source=path.name,
        classes=CIFAR10_CLASSES,
        train=splits["train"].images,
        evaluation={"test": splits["test"].images},
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2023, 0.1994, 0.2010),
        skipped=splits["train"].skipped,
    )


def _read(tree: FileTree) -> Splits:
    published = {PurePosixPath(name).name: name for name in tree.names}
    if any(file in published for files in BATCH_FILES.values() for file in files):
        return {split: _read_batches(tree, published, files) for split, files in BATCH_FILES.items()}
    return {
        split: read_pictures(tree, label_files(tree, split, CIFAR10_CLASSES), SIZE, split == "train")
        for split in ("train", "test")
    }


def _read_batches(tree: FileTree, published: dict[str, str], files: tuple[str, ...]) -> DecodedSplit:
    if absent := [file for file in files if file not in published]:
        raise UserError(f"{tree.path} has CIFAR-10's published batches, but not {', '.join(absent)}")
    batches = [_read_batch(tree, published[file]) for file in files]
    images = torch.cat([batch.images for batch in batches])
    return DecodedSplit(ImageSet(images, torch.cat([batch.labels for batch in batches])), ())


def _read_batch(tree: FileTree, name: str) -> ImageSet:
    """One published file: b"data" holds rows of 1,024 red, then green, then blue bytes."""
    try:
        batch = _ArrayUnpickler(io.BytesIO(tree.read(name)), encoding="bytes").load()
        labels = torch.tensor(batch[b"labels"], dtype=torch.int64)
        pixels = numpy.asarray(batch[b"data"], dtype=numpy.uint8).reshape(len(labels), 3, *SIZE)
    except (pickle.UnpicklingError, EOFError, KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{name} in {tree.path} is not a whole CIFAR-10 batch ({error}): download it again") from error
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < len(CIFAR10_CLASSES):
        raise UserError(f"{name} in {tree.path} has labels outside 0..9: is it CIFAR-100?")
    return ImageSet(torch.from_numpy(pixels.transpose(0, 2, 3, 1).copy()), labels)


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles plain values and NumPy arrays; a file that asks for anything else is refused, not run."""

    ALLOWED = frozenset(
        {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}
        | {(f"numpy.{core}.multiarray", "_reconstruct") for core in ("core", "_core")}
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no data set needs")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)
