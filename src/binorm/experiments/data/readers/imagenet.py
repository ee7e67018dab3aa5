"""ImageNet (Russakovsky et al. 2015) and whatever has its layout: an image folder, or WebDataset shards of one."""

import csv
import io
import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.images import IMAGENET_MEAN, IMAGENET_STD
from binorm.experiments.common.picture_names import is_picture
from binorm.experiments.data.dataset import Dataset, EncodedSet
from binorm.experiments.data.domains import few
from binorm.experiments.data.readers.encoded import EncodedFiles
from binorm.experiments.data.readers.entry import Entry
from binorm.experiments.data.readers.file_tree import DAMAGE, folder_reader, zip_reader
from binorm.experiments.data.readers.shards import looks_like_shards, read_shards

SPLITS = ("train", "val")
SOLUTION_FILE = "LOC_val_solution.csv"  # the labels of the flat val folder, published beside the pictures

Labelled = dict[str, list[str]]  # the pictures of each class


@dataclass(frozen=True, kw_only=True)
class ImageNet(Entry):
    """ImageNet, or a set with its layout and any number of classes; the pictures stay encoded."""

    def read(self, path: Path, size: int) -> Dataset:
        """From a folder or zip of pictures, or from shards.

        Args:
            path: a folder or zip with ``train/<class>/<picture>`` and ``val/<class>/<picture>``, at any depth and with
                the same classes in both, or with the flat published ``val`` and `SOLUTION_FILE`; or a folder of shards,
                as `binorm.experiments.data.readers.shards.write_shards` makes them.
            size: of no effect: pictures are brought to a recipe's size when they are decoded.
        """
        if not path.exists():
            raise UserError(f"there is no data at {path}: check --data")
        sets: Mapping[str, EncodedSet]
        classes, sets = read_shards(path) if looks_like_shards(path) else _read_files(path)
        return Dataset(
            name=self.name,
            source=path.name,
            classes=classes,
            train=sets["train"],
            evaluation={"val": sets["val"]},
            mean=self.mean,
            std=self.std,
        )


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


def _read_files(path: Path) -> tuple[tuple[str, ...], dict[str, EncodedFiles]]:
    """The classes of an image folder and its two splits."""
    names, read = _list(path)
    found = {split: _by_class(path, names, split, read) for split in SPLITS}
    classes = tuple(sorted(found["train"]))
    if set(classes) != set(found["val"]):
        only = {split: sorted(found[split].keys() - found[other].keys()) for split, other in (SPLITS, SPLITS[::-1])}
        differing = " and ".join(f"{few(only[split], 6)} only in {split}" for split in SPLITS if only[split])
        raise UserError(f"train and val in {path} should have the same classes, but {differing}")
    sets = {}
    for split in SPLITS:
        files = [file for name in classes for file in found[split][name]]
        labels = numpy.repeat(numpy.arange(len(classes)), [len(found[split][name]) for name in classes])
        sets[split] = EncodedFiles(path, files, labels, read)
    return classes, sets


def _list(path: Path) -> tuple[list[str], Callable[[str], bytes]]:
    """The pictures and the solution file below a folder or in a zip, sorted, and how to read them."""

    def stop(error: OSError) -> None:
        raise UserError(f"cannot read {error.filename}: {error.strerror}") from error

    if path.is_dir():
        read = folder_reader(path)
        names = []
        for folder, _, files in os.walk(path, onerror=stop, followlinks=True):
            below = Path(folder).relative_to(path).as_posix()
            names += [f"{below}/{file}" if below != "." else file for file in files if _is_wanted(file)]
    else:
        try:
            archive = zipfile.ZipFile(path)  # stays open: pictures are read from it for as long as the set lives
        except (zipfile.BadZipFile, OSError) as error:
            raise UserError(f"{path} is neither a folder nor a whole zip (extract tar files first): {error}") from error
        read = zip_reader(archive)
        names = [name for name in archive.namelist() if _is_wanted(name.rpartition("/")[2])]
    return sorted(names), read


def _is_wanted(file: str) -> bool:
    return not file.startswith(".") and (is_picture(file) or file == SOLUTION_FILE)


def _by_class(path: Path, names: Sequence[str], split: str, read: Callable[[str], bytes]) -> Labelled:
    """The pictures of one split by class name."""
    found: Labelled = {}
    flat, above = [], set()
    for name in names:
        *parents, file = name.split("/")
        if len(parents) >= 2 and parents[-2] == split:
            found.setdefault(parents[-1], []).append(name)
            above.add("/".join(parents[:-2]) or ".")
        elif parents and parents[-1] == split and is_picture(file):
            flat.append(name)
    if len(above) > 1:
        raise UserError(f"{path} has several folders {split}, in {few(sorted(above), 6)}: give one of them to --data")
    if found and flat:
        raise UserError(f"{flat[0]} in {path} lies outside the class folders of {split}: move it into one")
    if flat:
        return _sort_flat(path, flat, [name for name in names if name.rpartition("/")[2] == SOLUTION_FILE], read)
    if not found:
        raise UserError(f"no pictures for {split} in {path}: expected {split}/<class>/<picture>.JPEG, at any depth")
    return found


def _sort_flat(path: Path, flat: Sequence[str], solutions: Sequence[str], read: Callable[[str], bytes]) -> Labelled:
    """The pictures of a flat folder by class, as the published solution file has it."""
    if not solutions:
        raise UserError(
            f"{path} has pictures without class folders, such as {flat[0]}: sort them into {Path(flat[0]).parent}"
            f"/<class>/, or put {SOLUTION_FILE} (published with ImageNet on Kaggle) into {path}"
        )
    try:
        rows = list(csv.DictReader(io.StringIO(read(solutions[0]).decode())))
        classes = {row["ImageId"]: row["PredictionString"].split()[0] for row in rows}
    except (OSError, KeyError, IndexError, AttributeError, UnicodeDecodeError, csv.Error, *DAMAGE) as error:
        raise UserError(
            f"{solutions[0]} in {path} should have the columns ImageId and PredictionString: {error!r}"
        ) from error
    found: Labelled = {}
    for name in flat:
        if Path(name).stem not in classes:
            raise UserError(f"{solutions[0]} in {path} does not name the class of {name}")
        found.setdefault(classes[Path(name).stem], []).append(name)
    return found
