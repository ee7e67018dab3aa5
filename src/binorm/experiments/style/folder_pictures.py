"""The pictures of a folder as people have it, and what else is there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from binorm.experiments.common.picture_names import is_picture, kind_of_stranger
from binorm.experiments.data.trees.folder_walk import walk_folder

OTHERS = "other files"  # such as lie beside pictures everywhere: worth a word where there is nothing else
VIDEOS = "videos, to be given by their own names"


@dataclass(frozen=True)
class FolderPictures:
    """What is below a folder.

    Attributes:
        pictures: by name.
        faults: what cannot be read and why, in sentences.
        left_out: names of what else is there, by reason.
    """

    pictures: Sequence[Path]
    faults: Sequence[str]
    left_out: Mapping[str, Sequence[str]]


def folder_pictures(root: Path, results: Path) -> FolderPictures:
    """Everything below a folder, but for the folder ``results`` if it lies there; see `walk_folder`."""
    walk = walk_folder(root, results, keep_going=True)
    left_out = {reason: [str(root / name) for name in names] for reason, names in walk.passed_over.items()}
    for name in sorted(walk.stamps):
        if not is_picture(name):
            kind = kind_of_stranger(name)
            left_out.setdefault({"": OTHERS, "videos": VIDEOS}.get(kind, kind), []).append(str(root / name))
    pictures = [root / name for name in sorted(walk.stamps) if is_picture(name)]
    faults = [f"cannot read {root / name}: {error.strerror}" for name, error in walk.unreadable or ()]
    return FolderPictures(pictures, faults, left_out)
