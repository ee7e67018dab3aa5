"""Folders that stand for a split of the data: ``train``, ``val``, ``test`` are no classes and no domains."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.text import listed

UNSPLIT, TRAIN, VAL, TEST, COPY = "all", "train", "val", "test", ""
"""What a folder on the way to a picture stands for: no split, one of three, or copies of the other splits' pictures."""

_NAMES = {
    "train": TRAIN, "training": TRAIN, "trn": TRAIN, "trainval": TRAIN,
    "val": VAL, "valid": VAL, "validation": VAL, "dev": VAL, "eval": VAL, "evaluation": VAL,
    "test": TEST, "testing": TEST, "tst": TEST, "holdout": TEST,
    "images": UNSPLIT, "image": UNSPLIT, "imgs": UNSPLIT, "img": UNSPLIT, "pictures": UNSPLIT, "photos": UNSPLIT,
}  # fmt: skip
_ENDING = re.compile(r"[ _-]?(set|data|images|imgs|img|pictures|split)$")

Parts = tuple[str, ...]
"""A file's place: its folders, then its name."""


@dataclass(frozen=True)
class Placed:
    """A picture without the folders of its split.

    Attributes:
        file: its name in the tree.
        split: `UNSPLIT`, `TRAIN`, `VAL`, `TEST` or `COPY`.
        parts: its place without those folders.
        depths: where in ``file`` each of the parts is.
    """

    file: str
    split: str
    parts: Parts
    depths: tuple[int, ...]

    def folder(self, depth: int) -> str:
        """The folder of the tree that ``parts[depth]`` is."""
        return "/".join(self.file.split("/")[: self.depths[depth] + 1])


def split_of(folder: str, names: Mapping[str, str] = _NAMES) -> str | None:
    """What a folder's name stands for if it is that of a split, or of pictures alone; None for any other name."""
    plain = folder.lower().strip()
    return names.get(plain, names.get(_ENDING.sub("", plain)))


def place(files: Sequence[str], between: Mapping[str, str]) -> list[Placed]:
    """Find the level of folders at which pictures are split, and take it out of their places.

    It is one where every folder is that of a split, beside others of that kind, whatever lies above and below it:
    ``<split>/<class>``, ``<domain>/<split>/<class>``, ``<domain>/<class>/<split>``. A class that is called ``train``,
    among others that are no splits, stays a class.

    Args:
        files: of the pictures, with slashes.
        between: what further names stand for.

    Raises:
        UserError: for splits at two levels.
    """
    names = {**_NAMES, **between}
    found = [Placed(file, UNSPLIT, parts := tuple(file.split("/")), tuple(range(len(parts)))) for file in files]
    while (level := _split_level(found, names)) is not None:
        found = [_without(each, level, names) for each in found]
    if {each.split for each in found} == {TRAIN}:  # a training part alone is all that there is to split
        return [replace(each, split=UNSPLIT) for each in found]
    return found


def _split_level(found: Sequence[Placed], names: Mapping[str, str]) -> int | None:
    deepest = max((len(each.parts) - 1 for each in found), default=0)
    for level in range(deepest):
        siblings: dict[Parts, set[str]] = {}
        for each in found:
            if len(each.parts) > level + 1:
                siblings.setdefault(each.parts[:level], set()).add(each.parts[level])
        if all(_is_split(folders, names) for folders in siblings.values()):
            return level
    return None


def _is_split(siblings: set[str], names: Mapping[str, str]) -> bool:
    """Whether folders beside each other are those of splits, or one alone that holds the pictures."""
    kinds = {split_of(folder, names) for folder in siblings}
    return None not in kinds and (UNSPLIT not in kinds or len(siblings) == 1)


def _without(placed: Placed, level: int, names: Mapping[str, str]) -> Placed:
    if len(placed.parts) <= level + 1:  # a picture above the level; whoever reads it says that it is out of place
        return placed
    split = split_of(placed.parts[level], names) or COPY
    if split != UNSPLIT and placed.split != UNSPLIT:
        raise UserError(f"{placed.file} lies in two folders of splits: expected one of train, val and test")
    parts = placed.parts[:level] + placed.parts[level + 1 :]
    depths = placed.depths[:level] + placed.depths[level + 1 :]
    return Placed(placed.file, placed.split if split == UNSPLIT else split, parts, depths)


def refuse_splits(kind: str, names: Sequence[str], place: str, way_out: str, nested: Collection[str] = ()) -> None:
    """Raise a `UserError` where classes or domains are called as splits are.

    A single class may be called ``train`` among others, if its pictures lie right in its folder.

    Args:
        kind: "class" or "domain".
        names: of all of them.
        place: where they are, for people.
        way_out: what to do, as a sentence's end.
        nested: those of the names whose pictures all lie in further folders.
    """
    splits = [name for name in names if split_of(name) not in (None, UNSPLIT)]
    meant = len(splits) == 1 and kind == "class" and split_of(splits[0]) == TRAIN and splits[0] not in nested
    if splits and not meant:
        others = [name for name in names if name not in splits]
        beside = f" beside {listed(others[:3])}" if others else ""
        raise UserError(f"{listed(splits)} in {place}{beside} are names of splits and not of a {kind}: {way_out}")
