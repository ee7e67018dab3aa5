"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009): the published pickles, or pictures as ``{train,test}/<class>/<file>``."""

import io
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy
import torch

from binorm.experiments.common.errors import UserError
from binorm.experiments.data.dataset import Dataset, ImageSet
from binorm.experiments.data.readers.cache import Splits, cached
from binorm.experiments.data.readers.entry import Entry
from binorm.experiments.data.readers.examination import Examined, examine_arrays, examine_files
from binorm.experiments.data.readers.image_folder import (
    DecodedSplit,
    Labelled,
    find_pictures,
    label_files,
    read_pictures,
)
from binorm.experiments.data.trees.file_tree import FileTree, open_tree
from binorm.experiments.data.trees.folder_walk import PassedOver

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
_HOSTILE = (OverflowError, MemoryError, SystemError)  # what numbers that nobody published raise


@dataclass(frozen=True, kw_only=True)
class Cifar(Entry):
    """One of the two sets.

    Attributes:
        names: of the classes.
        label_key: of the labels in a published batch.
        batches: the files of the published batches, by split.
    """

    names: tuple[str, ...]
    label_key: bytes
    batches: dict[str, tuple[str, ...]]
    pictures: Mapping[str, int] = field(default_factory=lambda: {"train": 50_000, "test": 10_000})
    needs: str = "the folder, zip or tar file with the published Python batches or with {train,test}/<class>/ pictures"
    url: str = "https://www.cs.toronto.edu/~kriz/cifar.html"
    resizes: bool = False
    uniform: bool = True
    # The paper normalizes both sets by CIFAR-10's statistics.
    mean: tuple[float, float, float] = (0.4914, 0.4822, 0.4465)
    std: tuple[float, float, float] = (0.2023, 0.1994, 0.2010)

    @property
    def published_name(self) -> str:
        """Such as CIFAR-10."""
        return self.name.replace("cifar", "CIFAR-")

    def read(self, path: Path, size: int) -> Dataset:
        """From a folder, zip or tar file, in either layout."""
        with open_tree(path) as tree:
            splits = cached(f"{self.name}-{tree.fingerprint}", lambda: _read(self, tree))
            left_out = self._left_out(tree)
        return self.in_memory(path, self.names, splits, left_out)

    def passed_over(self, path: Path) -> PassedOver:
        """See `Entry.passed_over`."""
        with open_tree(path) as tree:
            return self._left_out(tree)

    def _left_out(self, tree: FileTree) -> PassedOver:
        if _published(self, tree):
            return {}
        used = [file for labelled in _files(self, tree).values() for file, _ in labelled]
        return tree.left_out(used, "{train,test}/<class>/")

    def examine(self, path: Path) -> Iterator[Examined]:
        """Every picture at ``path``, decoded anew."""
        with open_tree(path) as tree:
            if _published(self, tree):
                for split, decoded in _read(self, tree).items():
                    yield from examine_arrays(split, decoded.images)
            else:
                yield from examine_files(tree, _files(self, tree))


CIFAR10 = Cifar(
    name="cifar10",
    title="objects, 32x32",
    classes=10,
    usual_names=("cifar-10-batches-py", "cifar-10-python.tar.gz", "cifar10", "cifar10.zip"),
    names=CIFAR10_CLASSES,
    label_key=b"labels",
    batches={"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)},
)
CIFAR100 = Cifar(
    name="cifar100",
    title="objects, fine classes, 32x32",
    classes=100,
    usual_names=("cifar-100-python", "cifar-100-python.tar.gz", "cifar100", "cifar100.zip"),
    names=CIFAR100_CLASSES,
    label_key=b"fine_labels",
    batches={"train": ("train",), "test": ("test",)},
)


def _read(cifar: Cifar, tree: FileTree) -> Splits:
    published = _published(cifar, tree)
    if published:
        return {split: _read_batches(cifar, tree, published, files) for split, files in cifar.batches.items()}
    files = _files(cifar, tree)
    return {split: read_pictures(tree, files[split], SIZE, split == "train") for split in files}


def _published(cifar: Cifar, tree: FileTree) -> dict[str, str]:
    """Where the published batches are, by file name; empty if there are none of this cifar."""
    names = {PurePosixPath(name).name: name for name in tree.names}
    return {file: names[file] for files in cifar.batches.values() for file in files if file in names}


def _files(cifar: Cifar, tree: FileTree) -> Labelled:
    other = CIFAR100 if cifar is CIFAR10 else CIFAR10
    found = set(find_pictures(tree, "train"))
    if found == set(other.names) or (not found and _published(other, tree)):
        raise UserError(
            f"{tree.path} holds {other.published_name}, not {cifar.published_name}: choose the data set {other.name}"
        )
    return {split: label_files(tree, split, cifar.names) for split in ("train", "test")}


def _read_batches(cifar: Cifar, tree: FileTree, published: dict[str, str], files: tuple[str, ...]) -> DecodedSplit:
    if absent := [file for file in files if file not in published]:
        raise UserError(f"{tree.path} has {cifar.published_name}'s published batches, but not {', '.join(absent)}")
    batches = [_read_batch(cifar, tree, published[file]) for file in files]
    images = torch.cat([batch.images for batch in batches])
    return DecodedSplit(ImageSet(images, torch.cat([batch.labels for batch in batches])), ())


def _read_batch(cifar: Cifar, tree: FileTree, name: str) -> ImageSet:
    """One published file: b"data" holds rows of 1,024 red, then green, then blue bytes."""
    try:
        batch = _ArrayUnpickler(io.BytesIO(tree.read(name)), encoding="bytes").load()
        labels = torch.tensor(batch[cifar.label_key], dtype=torch.int64)
        pixels = numpy.asarray(batch[b"data"], dtype=numpy.uint8).reshape(len(labels), 3, *SIZE)
    except (pickle.UnpicklingError, EOFError, LookupError, TypeError, ValueError, AttributeError, *_HOSTILE) as error:
        raise UserError(
            f"{name} in {tree.path} is not a whole {cifar.published_name} batch ({error}): download it again"
        ) from error
    last = len(cifar.names) - 1
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) <= last:
        raise UserError(f"{name} in {tree.path} has labels outside 0..{last}: is it another data set?")
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
