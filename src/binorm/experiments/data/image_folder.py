"""Pictures as ``<split>/<class>/<file>``, at any depth below a folder or in an archive."""

import io
import warnings
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy
import torch
from PIL import Image, UnidentifiedImageError

from binorm.experiments.data.dataset import ImageSet
from binorm.experiments.data.file_tree import FileTree
from binorm.experiments.errors import UserError

EXTENSIONS = {".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".webp"}


class BrokenPictureError(Exception):
    """A file that should be a picture and cannot be decoded; the message says why."""


@dataclass(frozen=True)
class DecodedSplit:
    """One split in memory, with the names of the files that could not be decoded."""

    images: ImageSet
    skipped: tuple[str, ...]


def find_pictures(tree: FileTree, split: str) -> dict[str, list[str]]:
    """The files of one split by class name: every ``.../<split>/<class>/<picture>`` of the tree."""
    found: dict[str, list[str]] = {}
    for name in tree.names:
        parts = PurePosixPath(name).parts
        if len(parts) >= 3 and parts[-3] == split and PurePosixPath(name).suffix.lower() in EXTENSIONS:
            found.setdefault(parts[-2], []).append(name)
    return found


def read_split(
    tree: FileTree, split: str, classes: tuple[str, ...], size: tuple[int, int], skip_broken: bool
) -> DecodedSplit:
    """Decode a split whole.

    Args:
        tree: where the pictures are.
        split: the folder's name, such as ``train``.
        classes: the class folders that must be there, and no others, in the order of their labels.
        size: width and height that every picture must have, in pixels.
        skip_broken: leave out pictures that cannot be decoded and name them, instead of raising.

    Raises:
        UserError: for a missing split, other classes, a picture of another size, a broken picture (unless skipped),
            and a split in which nothing could be decoded.
    """
    found = find_pictures(tree, split)
    _check_classes(tree, split, classes, set(found))
    images, labels, skipped = [], [], []
    for label, name in enumerate(classes):
        for file in found[name]:
            try:
                images.append(_decode(tree.read(file), size))
                labels.append(label)
            except BrokenPictureError as error:
                if not skip_broken:
                    raise UserError(
                        f"{file} in {tree.path} is broken ({error}): evaluation needs every picture, so replace it"
                    ) from error
                skipped.append(file)
            except _WrongSizeError as error:
                raise UserError(f"{file} in {tree.path} is {error} pixels, expected {size[0]}x{size[1]}") from error
    if not images:
        raise UserError(f"none of the {len(skipped)} pictures of {split} in {tree.path} can be decoded")
    stacked = torch.from_numpy(numpy.stack(images))
    return DecodedSplit(ImageSet(stacked, torch.tensor(labels)), tuple(skipped))


class _WrongSizeError(Exception):
    pass


def _check_classes(tree: FileTree, split: str, classes: tuple[str, ...], found: set[str]) -> None:
    if not found:
        raise UserError(f"no pictures for {split} in {tree.path}: expected {split}/<class>/<picture>.png or .jpg")
    missing, unexpected = sorted(set(classes) - found), sorted(found - set(classes))
    if missing or unexpected:
        wrong = [f"without {', '.join(missing)}"] if missing else []
        wrong += [f"with the unknown {', '.join(unexpected)}"] if unexpected else []
        raise UserError(
            f"{split} in {tree.path} has the wrong classes: {' and '.join(wrong)}; expected {', '.join(classes)}"
        )


def _decode(data: bytes, size: tuple[int, int]) -> numpy.ndarray:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as picture:
                if picture.size != size:  # known from the header: nothing large is ever decoded
                    raise _WrongSizeError(f"{picture.size[0]}x{picture.size[1]}")
                return numpy.asarray(picture.convert("RGB"))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombWarning) as error:
        reason = "not a picture" if isinstance(error, UnidentifiedImageError) else str(error)
        raise BrokenPictureError(reason) from error
