"""Every image of a copy, decoded to its last pixel: what there is to say of each."""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from binorm.experiments.common.decoding import in_rgb
from binorm.experiments.common.errors import UserError
from binorm.experiments.common.images import BrokenImageError, open_image
from binorm.experiments.data.dataset import Dataset, EncodedSet, ImageSet
from binorm.experiments.data.readers.image_folder import Labelled
from binorm.experiments.data.trees.file_tree import FileTree


class Examined(NamedTuple):
    """One picture.

    Attributes:
        split: such as train.
        name: its file, or its place in an array.
        label: its class.
        digest: equal for equal bytes.
        size: width and height in pixels; (0, 0) where it is broken.
        fault: why it cannot be decoded; empty where it can.
    """

    split: str
    name: str
    label: int
    digest: bytes
    size: tuple[int, int]
    fault: str = ""


def examine_files(tree: FileTree, files: Labelled) -> Iterator[Examined]:
    """Decode every listed file."""
    for split, labelled in files.items():
        for name, label in labelled:
            try:
                data = tree.read(name)
            except UserError as error:
                yield Examined(split, name, label, b"", (0, 0), str(error))
            else:
                yield examine_bytes(split, name, label, data)


def examine_bytes(split: str, name: str, label: int, data: bytes) -> Examined:
    """Decode one encoded picture to its last pixel."""
    try:
        with open_image(data) as picture:
            return Examined(split, name, label, digest(data), in_rgb(picture).size)
    except BrokenImageError as error:
        return Examined(split, name, label, digest(data), (0, 0), str(error))


def examine_dataset(dataset: Dataset) -> Iterator[Examined]:
    """Every picture of a loaded data set, from memory or from its files."""
    for split, pictures in {"train": dataset.train, **dataset.evaluation}.items():
        if isinstance(pictures, ImageSet):
            yield from examine_arrays(split, pictures)
        else:
            yield from _examine_encoded(split, pictures)


def examine_arrays(split: str, pictures: ImageSet) -> Iterator[Examined]:
    """Every picture of a set in memory."""
    for index, (pixels, label) in enumerate(zip(pictures.images.numpy(), pictures.labels.tolist(), strict=True)):
        yield Examined(split, f"{split}[{index}]", label, digest(pixels.tobytes()), (pixels.shape[1], pixels.shape[0]))


def _examine_encoded(split: str, pictures: EncodedSet) -> Iterator[Examined]:
    for picture in pictures.pictures(None):
        try:
            data = picture.read()
        except Exception as error:  # folders, zips and shards fail in ways of their own
            yield Examined(split, picture.name, picture.label, b"", (0, 0), str(error) or type(error).__name__)
        else:
            yield examine_bytes(split, picture.name, picture.label, data)


def digest(data: bytes) -> bytes:
    """16 bytes that tell contents apart."""
    return hashlib.blake2b(data, digest_size=16).digest()
