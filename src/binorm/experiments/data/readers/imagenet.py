"""ImageNet (Russakovsky et al. 2015) and whatever has its layout: an image folder, or WebDataset shards of one."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.images import IMAGENET_MEAN, IMAGENET_STD
from binorm.experiments.common.picture_names import is_picture
from binorm.experiments.data.dataset import Dataset, EncodedSet
from binorm.experiments.data.domains import few
from binorm.experiments.data.readers.encoded import EncodedFiles
from binorm.experiments.data.readers.entry import Entry
from binorm.experiments.data.readers.shards import looks_like_shards, read_shards
from binorm.experiments.data.trees.classes import check_class_names, check_no_class_is_lost
from binorm.experiments.data.trees.file_tree import FileTree, lasting_tree, no_pictures, remarks_on
from binorm.experiments.data.trees.folder_walk import PassedOver

SPLITS = ("train", "val")
SOLUTION_FILE = "LOC_val_solution.csv"  # the labels of the flat val folder, published beside the pictures

Labelled = dict[str, list[str]]  # the pictures of each class


@dataclass(frozen=True, kw_only=True)
class ImageNet(Entry):
    """ImageNet, or a set with its layout and any number of classes; the pictures stay encoded."""

    streamed: ClassVar[bool] = True

    def read(self, path: Path, size: int) -> Dataset:
        """From a folder or zip of pictures, or from shards.

        Args:
            path: a folder or zip with ``train/<class>/`` and ``val/<class>/`` pictures, wherever in it and at any depth
                below their class, with the same classes in both; or with the flat published ``val`` and
                `SOLUTION_FILE`; or a folder of shards, as `binorm.experiments.data.readers.shards.write_shards` makes
                them.
            size: of no effect: pictures are brought to a recipe's size when they are decoded.
        """
        sets: Mapping[str, EncodedSet]
        remarks: tuple[str, ...] = ()
        if looks_like_shards(path):
            classes, sets = read_shards(path)
        else:
            tree = lasting_tree(path)
            found = _find(tree)
            classes, sets = tuple(sorted(found["train"])), _encoded(tree, found)
            remarks = remarks_on(_left_out(tree, found))
        if len(classes) != self.classes:
            remarks += (f"{len(classes):,} classes: not ImageNet with its {self.classes:,}, but a set of its layout",)
        return Dataset(
            name=self.name,
            source=path.name,
            classes=classes,
            train=sets["train"],
            evaluation={"val": sets["val"]},
            mean=self.mean,
            std=self.std,
            remarks=remarks,
        )

    def passed_over(self, path: Path) -> PassedOver:
        """See `Entry.passed_over`."""
        if looks_like_shards(path):
            return {}
        tree = lasting_tree(path)
        return _left_out(tree, _find(tree))


IMAGENET = ImageNet(
    name="imagenet",
    title="ImageNet's 1,000 classes (ILSVRC 2012), decoded as needed",
    pictures={"train": 1_281_167, "val": 50_000},
    classes=1_000,
    needs="the folder or zip with {train,val}/<wnid>/ pictures, or the folder of shards",
    url="https://www.image-net.org/",
    licence="for non-commercial research, after registration",
    usual_names=("imagenet", "imagenet-shards", "imagenet.zip", "ILSVRC2012", "ILSVRC"),
    size=224,
    mean=IMAGENET_MEAN,
    std=IMAGENET_STD,
)


def _find(tree: FileTree) -> dict[str, Labelled]:
    """The pictures of both splits by class.

    Raises:
        UserError: where the splits have other classes, or a class has no picture.
    """
    found = {split: _by_class(tree, split) for split in SPLITS}
    check_class_names(tree, found["train"])
    if set(found["train"]) != set(found["val"]):
        only = {split: sorted(found[split].keys() - found[other].keys()) for split, other in (SPLITS, SPLITS[::-1])}
        differing = " and ".join(f"{few(only[split], 6)} only in {split}" for split in SPLITS if only[split])
        raise UserError(f"train and val in {tree.path} should have the same classes, but {differing}")
    return found


def _encoded(tree: FileTree, found: Mapping[str, Labelled]) -> dict[str, EncodedFiles]:
    sets, classes = {}, sorted(found["train"])
    for split, labelled in found.items():
        files = [file for name in classes for file in labelled[name]]
        labels = numpy.repeat(numpy.arange(len(classes)), [len(labelled[name]) for name in classes])
        sets[split] = EncodedFiles(tree, files, labels)
    return sets


def _left_out(tree: FileTree, found: Mapping[str, Labelled]) -> PassedOver:
    used = [file for labelled in found.values() for files in labelled.values() for file in files]
    return tree.left_out(used, "{train,val}/<class>/")


def _by_class(tree: FileTree, split: str) -> Labelled:
    """The pictures of one split by class name: those below the folder ``<split>/<class>``, at any depth."""
    found: Labelled = {}
    flat, above, folders = [], set(), set()
    for name in tree.names:
        parents = name.split("/")[:-1]
        if split not in parents or not is_picture(name):
            continue
        depth = parents.index(split)
        if depth + 1 < len(parents):
            found.setdefault(parents[depth + 1], []).append(name)
            above.add("/".join(parents[:depth]) or ".")
            folders.add("/".join(parents[: depth + 2]))
        else:
            flat.append(name)
    if len(above) > 1:
        raise UserError(
            f"{tree.path} has several folders {split}, in {few(sorted(above), 6)}: give one of them to --data"
        )
    if found and flat:
        raise UserError(f"{flat[0]} in {tree.path} lies outside the class folders of {split}: move it into one")
    if flat:
        return _sort_flat(tree, flat)
    if not found:
        raise no_pictures(tree, f"{split}/<class>/<picture>.JPEG, at any depth")
    check_no_class_is_lost(tree, folders)
    return found


def _sort_flat(tree: FileTree, flat: Sequence[str]) -> Labelled:
    """The pictures of a flat folder by class, as the published solution file has it."""
    solutions = [name for name in tree.names if name.rpartition("/")[2] == SOLUTION_FILE]
    if not solutions:
        raise UserError(
            f"{tree.path} has pictures without class folders, such as {flat[0]}: sort them into {Path(flat[0]).parent}"
            f"/<class>/, or put {SOLUTION_FILE} (published with ImageNet on Kaggle) into {tree.path}"
        )
    text = tree.read(solutions[0])
    try:
        rows = list(csv.DictReader(io.StringIO(text.decode())))
        classes = {row["ImageId"]: row["PredictionString"].split()[0] for row in rows}
    except (KeyError, IndexError, AttributeError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"{solutions[0]} in {tree.path} should have the columns ImageId and PredictionString: {error!r}"
        ) from error
    found: Labelled = {}
    for name in flat:
        if Path(name).stem not in classes:
            raise UserError(f"{solutions[0]} in {tree.path} does not name the class of {name}")
        found.setdefault(classes[Path(name).stem], []).append(name)
    return found
