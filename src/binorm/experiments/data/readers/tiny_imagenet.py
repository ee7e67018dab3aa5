"""Tiny ImageNet (Stanford's CS231n, 2015): 200 of ImageNet's classes, 64x64 pixels.

The published ``val`` is the evaluation set: the labels of ``test`` are not public.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.images import IMAGENET_MEAN, IMAGENET_STD
from binorm.experiments.common.picture_names import is_picture
from binorm.experiments.data.dataset import Dataset
from binorm.experiments.data.readers.cache import Splits, cached
from binorm.experiments.data.readers.entry import Entry
from binorm.experiments.data.readers.examination import Examined, examine_files
from binorm.experiments.data.readers.image_folder import Labelled, read_pictures
from binorm.experiments.data.trees.file_tree import FileTree, no_pictures, open_tree
from binorm.experiments.data.trees.folder_walk import PassedOver

SIZE = 64
CLASSES = 200


@dataclass(frozen=True, kw_only=True)
class TinyImageNet(Entry):
    """Tiny ImageNet as published, or with ``val`` sorted into folders by class as ``train`` is."""

    def read(self, path: Path, size: int) -> Dataset:
        """From ``tiny-imagenet-200``, a folder above it, or a zip or tar file of it."""

        def decode() -> Splits:
            found = files(tree)
            return {
                split: read_pictures(tree, found[split], (size, size), split == "train", resize=size != SIZE)
                for split in found
            }

        with open_tree(path) as tree:
            classes = _class_names(tree, _wnids(tree))
            splits = cached(f"tiny-imagenet-{size}-{tree.fingerprint}", decode)
            left_out = _left_out(tree)
        return self.in_memory(path, classes, splits, left_out)

    def passed_over(self, path: Path) -> PassedOver:
        """See `Entry.passed_over`; the pictures of ``test`` have no published labels and are not counted."""
        with open_tree(path) as tree:
            return _left_out(tree)

    def examine(self, path: Path) -> Iterator[Examined]:
        """Every labelled picture at ``path``, decoded anew."""
        with open_tree(path) as tree:
            yield from examine_files(tree, files(tree))


TINY_IMAGENET = TinyImageNet(
    name="tiny-imagenet",
    title="200 of ImageNet's classes, 64x64",
    pictures={"train": 100_000, "val": 10_000},
    classes=CLASSES,
    needs="the folder or zip tiny-imagenet-200, as published",
    url="http://cs231n.stanford.edu/tiny-imagenet-200.zip",
    usual_names=("tiny-imagenet-200", "tiny-imagenet-200.zip", "tiny-imagenet"),
    size=SIZE,
    uniform=True,
    mean=IMAGENET_MEAN,
    std=IMAGENET_STD,
)


def files(tree: FileTree) -> Labelled:
    """The pictures of both splits with their labels: the place of their class among the sorted WordNet ids.

    Raises:
        UserError: if classes, pictures or annotations do not belong together.
    """
    labels = {wnid: label for label, wnid in enumerate(_wnids(tree))}
    return {
        "train": [(name, labels[wnid]) for name, wnid in _in_class_folders(tree, "train")],
        "val": [(name, labels[wnid]) for name, wnid in _validation(tree, labels)],
    }


def _left_out(tree: FileTree) -> PassedOver:
    used = [file for labelled in files(tree).values() for file, _ in labelled]
    unlabelled = [name for name in tree.names if "test" in PurePosixPath(name).parts[:-1]]
    return tree.left_out([*used, *unlabelled], "train/<wnid>/images/ and val/images/")


def _wnids(tree: FileTree) -> list[str]:
    """The classes of the training folders, which are those of ``wnids.txt`` where that is there."""
    wnids = {wnid for _, wnid in _in_class_folders(tree, "train")}
    if not wnids:
        raise no_pictures(tree, "train/<wnid>/images/<picture>.JPEG", "train")
    listed = set(_read_lines(tree, "wnids.txt"))
    if listed and listed != wnids:
        example = sorted(listed ^ wnids)[0]
        raise UserError(
            f"train in {tree.path} has {len(wnids)} classes and wnids.txt {len(listed)}; not in both: {example}: "
            "unpack the whole archive"
        )
    if len(wnids) != CLASSES:
        raise UserError(f"train in {tree.path} has {len(wnids)} classes, expected {CLASSES}: is it Tiny ImageNet?")
    return sorted(wnids)


def _class_names(tree: FileTree, wnids: list[str]) -> tuple[str, ...]:
    """The first of a class's words, with its id where two classes share it; the id where there are no words."""
    words = dict(line.split("\t", 1) for line in _read_lines(tree, "words.txt") if "\t" in line)
    names = [words.get(wnid, wnid).split(",")[0].strip() for wnid in wnids]
    counts = Counter(names)
    return tuple(f"{name} ({wnid})" if counts[name] > 1 else name for name, wnid in zip(names, wnids, strict=True))


def _in_class_folders(tree: FileTree, split: str) -> list[tuple[str, str]]:
    """(file, class) of ``<split>/<wnid>/images/<picture>`` and ``<split>/<wnid>/<picture>``."""
    found = []
    for name in tree.names:
        parts = [part for part in PurePosixPath(name).parts[-4:] if part != "images"]
        if len(parts) >= 3 and parts[-3] == split and is_picture(name):
            found.append((name, parts[-2]))
    return found


def _validation(tree: FileTree, labels: dict[str, int]) -> list[tuple[str, str]]:
    annotations = _find(tree, "val_annotations.txt")
    folder = "" if annotations is None else str(PurePosixPath(annotations).parent / "images") + "/"
    pictures = {name for name in tree.names if folder and name.startswith(folder) and is_picture(name)}
    if not pictures:
        found = _in_class_folders(tree, "val")
        place = "val"
    else:
        lines = [line.split("\t") for line in _read_lines(tree, "val_annotations.txt")]
        found = [(folder + line[0], line[1] if len(line) > 1 else "") for line in lines]
        place = "val_annotations.txt"
        named = {name for name, _ in found}
        if len(named) != len(found):
            raise UserError(f"{place} in {tree.path} names {len(found) - len(named)} pictures twice: download it again")
        for text, names in (("names absent pictures", named - pictures), ("misses pictures", pictures - named)):
            if names:
                raise UserError(f"{place} in {tree.path} {text}: {len(names)}, such as {min(names)}")
    if not found:
        raise no_pictures(tree, "val/images/ and val/val_annotations.txt", "val")
    if unknown := sorted({wnid for _, wnid in found} - set(labels)):
        raise UserError(f"{place} in {tree.path} has {len(unknown)} unknown classes, such as {unknown[0]!r}")
    return found


def _find(tree: FileTree, file: str) -> str | None:
    return next((name for name in tree.names if PurePosixPath(name).name == file), None)


def _read_lines(tree: FileTree, file: str) -> list[str]:
    name = _find(tree, file)
    if name is None:
        return []
    try:
        return [line for line in tree.read(name).decode().splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise UserError(f"{name} in {tree.path} is not text ({error}): download it again") from error
