"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009): the published pickles, or pictures as ``{train,test}/<class>/<file>``."""

import io
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy
import torch

from binorm.experiments.common.errors import UserError
from binorm.experiments.data.dataset import Dataset, ImageSet
from binorm.experiments.data.readers.cache import Splits, cached
from binorm.experiments.data.readers.file_tree import FileTree, open_tree
from binorm.experiments.data.readers.image_folder import (
    DecodedSplit,
    Labelled,
    find_pictures,
    label_files,
    read_pictures,
)
from binorm.experiments.data.verification import Examined, examine_arrays, examine_files

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_FINE_CLASSES = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
    caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
    flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
    motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
    poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
    squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm
    """
CIFAR100_CLASSES = tuple(_FINE_CLASSES.split())
SIZE = (32, 32)
# The paper normalizes both sets by CIFAR-10's statistics.
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


@dataclass(frozen=True)
class _Kind:
    name: str
    title: str
    classes: tuple[str, ...]
    label_key: bytes
    batches: dict[str, tuple[str, ...]]


_CIFAR10 = _Kind(
    "cifar10",
    "CIFAR-10",
    CIFAR10_CLASSES,
    b"labels",
    {"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)},
)
_CIFAR100 = _Kind("cifar100", "CIFAR-100", CIFAR100_CLASSES, b"fine_labels", {"train": ("train",), "test": ("test",)})


def load_cifar10(path: Path) -> Dataset:
    """Read CIFAR-10 from a folder, zip or tar file, in either layout; the first time decodes, later ones are cached.

    Raises:
        UserError: if there is nothing, or something else, at ``path``.
    """
    return _load(_CIFAR10, path)


def load_cifar100(path: Path) -> Dataset:
    """Read CIFAR-100 with its 100 fine classes, as `load_cifar10` reads its sister.

    Raises:
        UserError: if there is nothing, or something else, at ``path``.
    """
    return _load(_CIFAR100, path)


def examine(path: Path, name: str) -> Iterator[Examined]:
    """Every picture of ``cifar10`` or ``cifar100`` at ``path``, decoded anew."""
    kind = {each.name: each for each in (_CIFAR10, _CIFAR100)}[name]
    with open_tree(path) as tree:
        if _published(kind, tree):
            for split, decoded in _read(kind, tree).items():
                yield from examine_arrays(split, decoded.images)
        else:
            yield from examine_files(tree, _files(kind, tree))


def _load(kind: _Kind, path: Path) -> Dataset:
    with open_tree(path) as tree:
        splits = cached(f"{kind.name}-{tree.fingerprint}", lambda: _read(kind, tree))
    return Dataset(
        name=kind.name,
        source=path.name,
        classes=kind.classes,
        train=splits["train"].images,
        evaluation={"test": splits["test"].images},
        mean=MEAN,
        std=STD,
        skipped=splits["train"].skipped,
    )


def _read(kind: _Kind, tree: FileTree) -> Splits:
    published = _published(kind, tree)
    if published:
        return {split: _read_batches(kind, tree, published, files) for split, files in kind.batches.items()}
    files = _files(kind, tree)
    return {split: read_pictures(tree, files[split], SIZE, split == "train") for split in files}


def _published(kind: _Kind, tree: FileTree) -> dict[str, str]:
    """Where the published batches are, by file name; empty if there are none of this kind."""
    names = {PurePosixPath(name).name: name for name in tree.names}
    return {file: names[file] for files in kind.batches.values() for file in files if file in names}


def _files(kind: _Kind, tree: FileTree) -> Labelled:
    other = _CIFAR100 if kind is _CIFAR10 else _CIFAR10
    found = set(find_pictures(tree, "train"))
    if found == set(other.classes) or (not found and _published(other, tree)):
        raise UserError(f"{tree.path} holds {other.title}, not {kind.title}: choose the data set {other.name}")
    return {split: label_files(tree, split, kind.classes) for split in ("train", "test")}


def _read_batches(kind: _Kind, tree: FileTree, published: dict[str, str], files: tuple[str, ...]) -> DecodedSplit:
    if absent := [file for file in files if file not in published]:
        raise UserError(f"{tree.path} has {kind.title}'s published batches, but not {', '.join(absent)}")
    batches = [_read_batch(kind, tree, published[file]) for file in files]
    images = torch.cat([batch.images for batch in batches])
    return DecodedSplit(ImageSet(images, torch.cat([batch.labels for batch in batches])), ())


def _read_batch(kind: _Kind, tree: FileTree, name: str) -> ImageSet:
    """One published file: b"data" holds rows of 1,024 red, then green, then blue bytes."""
    try:
        batch = _ArrayUnpickler(io.BytesIO(tree.read(name)), encoding="bytes").load()
        labels = torch.tensor(batch[kind.label_key], dtype=torch.int64)
        pixels = numpy.asarray(batch[b"data"], dtype=numpy.uint8).reshape(len(labels), 3, *SIZE)
    except (pickle.UnpicklingError, EOFError, LookupError, TypeError, ValueError, AttributeError, *_HOSTILE) as error:
        raise UserError(
            f"{name} in {tree.path} is not a whole {kind.title} batch ({error}): download it again"
        ) from error
    last = len(kind.classes) - 1
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) <= last:
        raise UserError(f"{name} in {tree.path} has labels outside 0..{last}: is it another data set?")
    return ImageSet(torch.from_numpy(pixels.transpose(0, 2, 3, 1).copy()), labels)


_HOSTILE = (OverflowError, MemoryError, SystemError)  # what numbers that nobody published raise


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
