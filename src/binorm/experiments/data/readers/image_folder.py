"""Decoding many labelled pictures into memory, such as those of ``<split>/<class>/<file>`` in a folder or archive."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy
import torch
from PIL import Image

from binorm.experiments.common.decoding import in_rgb
from binorm.experiments.common.errors import UserError
from binorm.experiments.common.images import BrokenImageError, open_image
from binorm.experiments.common.picture_names import is_picture
from binorm.experiments.data.dataset import ImageSet
from binorm.experiments.data.domains import few
from binorm.experiments.data.trees.file_tree import DamagedFileError, FileTree, no_pictures

MAX_MEMORY_BYTES = 8 * 2**30  # of one split's decoded pictures

Labelled = dict[str, list[tuple[str, int]]]
"""Names of files with their labels, by split."""


@dataclass(frozen=True)
class DecodedSplit:
    """One split in memory, with the names of the files that could not be decoded."""

    images: ImageSet
    skipped: tuple[str, ...]


def check_memory(count: int, size: tuple[int, int]) -> None:
    """Refuse what would not fit.

    Raises:
        UserError: if ``count`` pictures of ``size`` (width, height) pixels take more than `MAX_MEMORY_BYTES`.
    """
    needed = 3 * count * size[0] * size[1]
    if needed > MAX_MEMORY_BYTES:
        largest = int((MAX_MEMORY_BYTES / (3 * count)) ** 0.5)
        raise UserError(
            f"{count:,} pictures of {size[0]}x{size[1]} pixels take {needed / 2**30:.1f} GiB in memory, more than the "
            f"{MAX_MEMORY_BYTES / 2**30:.1f} GiB allowed: choose an --image_size of at most {largest}"
        )


def find_pictures(tree: FileTree, split: str) -> dict[str, list[str]]:
    """The files of one split by class name: every ``.../<split>/<class>/<picture>`` of the tree."""
    found: dict[str, list[str]] = {}
    for name in tree.names:
        parts = PurePosixPath(name).parts
        if len(parts) >= 3 and parts[-3] == split and is_picture(name):
            found.setdefault(parts[-2], []).append(name)
    return found


def label_files(
    tree: FileTree, split: str, classes: Sequence[str], optional: Collection[str] = ()
) -> list[tuple[str, int]]:
    """The pictures of a split with their labels, class by class.

    Args:
        tree: where the pictures are.
        split: the folder's name, such as ``train``.
        classes: the class folders that must be there, and no others, in the order of their labels.
        optional: those of them that a split may do without.

    Raises:
        UserError: for a missing split and for other classes.
    """
    found = find_pictures(tree, split)
    if not found:
        raise no_pictures(tree, f"{split}/<class>/<picture>.png or .jpg", split)
    missing, unexpected = sorted(set(classes) - set(found) - set(optional)), sorted(set(found) - set(classes))
    if missing or unexpected:
        wrong = [f"without {few(missing)}"] if missing else []
        wrong += [f"with the unknown {few(unexpected)}"] if unexpected else []
        raise UserError(
            f"{split} in {tree.path} has the wrong classes: {' and '.join(wrong)}; expected {few(classes)}. "
            "For pictures of your own give --dataset folder"
        )
    return [(file, label) for label, name in enumerate(classes) for file in found.get(name, ())]


def read_pictures(
    tree: FileTree, files: Sequence[tuple[str, int]], size: tuple[int, int], skip_broken: bool, resize: bool = False
) -> DecodedSplit:
    """Decode labelled pictures whole.

    Args:
        tree: where the pictures are.
        files: names and labels.
        size: width and height that every picture has, in pixels.
        skip_broken: leave out pictures that cannot be decoded and name them, instead of raising.
        resize: bring pictures of any other size to ``size``, whatever their shape; without it they are an error.

    Raises:
        UserError: for a picture of another size, a broken picture (unless skipped), where nothing could be decoded, and
            for more than fits into memory.
    """
    check_memory(len(files), size)
    images = numpy.empty((len(files), size[1], size[0], 3), dtype=numpy.uint8)
    labels: list[int] = []
    skipped = []
    for file, label in files:
        try:
            images[len(labels)] = decode(tree.read(file), size, resize)
            labels.append(label)
        except (BrokenImageError, DamagedFileError) as error:
            if not skip_broken:
                raise UserError(
                    f"{file} in {tree.path} is broken ({error}): evaluation needs every picture, so replace it"
                ) from error
            skipped.append(file)
        except WrongSizeError as error:
            raise UserError(f"{file} in {tree.path} is {error} pixels, expected {size[0]}x{size[1]}") from error
    if not labels:
        if not skipped:
            raise UserError(f"there are no pictures to read in {tree.path}: check --data")
        raise UserError(f"none of the {len(skipped)} pictures in {tree.path} can be decoded, such as {skipped[0]}")
    return DecodedSplit(ImageSet(torch.from_numpy(images[: len(labels)]), torch.tensor(labels)), tuple(skipped))


class WrongSizeError(Exception):
    """A picture's size, which is not the one that its data set has."""


def decode(
    data: bytes,
    size: tuple[int, int],
    resize: bool = False,
    resampling: Image.Resampling = Image.Resampling.BILINEAR,
) -> numpy.ndarray:
    """The pixels of one encoded picture, upright, uint8, (height, width, 3).

    Raises:
        BrokenImageError: if it cannot be decoded.
        WrongSizeError: if it has another size and ``resize`` is False.
    """
    with open_image(data) as image:
        own = image.size
        if resize or own in (size, size[::-1]):  # known from the header: nothing large is ever decoded without need
            pixels = in_rgb(image)
            own = pixels.size
            if own == size:
                return numpy.asarray(pixels)
            if resize:
                return numpy.asarray(pixels.resize(size, resampling))
    raise WrongSizeError(f"{own[0]}x{own[1]}")
