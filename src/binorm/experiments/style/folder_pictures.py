"""The pictures of a folder as people have it, and what else is there."""

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from binorm.experiments.common.picture_names import is_hidden, is_picture, kind_of_stranger

HIDDEN = "hidden pictures, and hidden or system folders"
DANGLING = "links to nothing"
OTHERS = "other files"  # such as lie beside pictures everywhere: worth a word where there is nothing else
VIDEOS = "videos, to be given by their own names"


class FolderPictures:
    """Everything below a folder, looked at once; links are followed, each folder is entered once.

    Args:
        root: the folder.
        results: a folder that is passed by, if it lies below.

    Attributes:
        pictures: by name; those that are links follow behind.
        faults: what cannot be read and why, in sentences.
        left_out: names of what else is there, by reason.
    """

    def __init__(self, root: Path, results: Path) -> None:
        self.pictures: list[Path] = []
        self.faults: list[str] = []
        self.left_out: dict[str, list[str]] = {}
        self._links: list[Path] = []
        self._entered = {os.path.realpath(results)} - {os.path.realpath(root)}
        self._enter(root)
        self.pictures.sort()
        while self._links:  # when everything has its own name
            self._follow(self._links.pop(0))

    def _enter(self, root: Path) -> None:
        waiting = [root]
        while waiting:
            folder = waiting.pop()
            if (place := os.path.realpath(folder)) in self._entered:
                continue
            self._entered.add(place)
            try:
                inside = sorted(folder.iterdir())
            except OSError as error:
                self._cannot_read(folder, error)
                continue
            for path in inside:
                self._look_at(path, waiting)

    def _look_at(self, path: Path, folders: list[Path]) -> None:
        """Take what is a picture, and put what is to be entered later on among ``folders``."""
        try:
            mode = path.lstat().st_mode
        except OSError as error:
            self._cannot_read(path, error)
            return
        if is_hidden(path.name):
            self._pass_by(path, stat.S_ISDIR(mode))
        elif stat.S_ISLNK(mode):
            self._links.append(path)
        elif stat.S_ISDIR(mode):
            folders.append(path)
        elif stat.S_ISREG(mode):
            self._take(path)

    def _follow(self, link: Path) -> None:
        try:
            mode = link.stat().st_mode
        except OSError:  # it leads nowhere, or to itself
            self._leave_out(DANGLING, link)
            return
        if stat.S_ISDIR(mode):
            self._enter(link)
        elif stat.S_ISREG(mode):
            self._take(link)

    def _take(self, path: Path) -> None:
        kind = kind_of_stranger(path.name)
        if is_picture(path.name):
            self.pictures.append(path)
        else:
            self._leave_out({"": OTHERS, "videos": VIDEOS}.get(kind, kind), path)

    def _pass_by(self, path: Path, is_folder: bool) -> None:
        """Count what is hidden, unless it is nothing to draw: folders may hold any number of copies."""
        name = path.name.lstrip(".")
        if is_folder or (is_picture(name) and not path.name.startswith("._")):  # what macOS keeps of a file elsewhere
            self._leave_out(HIDDEN, path)

    def _cannot_read(self, path: Path, error: OSError) -> None:
        self.faults.append(f"cannot read {path}: {error.strerror}")

    def _leave_out(self, reason: str, path: Path) -> None:
        self.left_out.setdefault(reason, []).append(str(path))


def by_reason(left_out: Mapping[str, Sequence[str]], examples: int = 3) -> str:
    """``"links to nothing: 5 (a.png, b.png, c.png, …); videos: 1 (d.mp4)"``."""
    texts = []
    for reason, names in left_out.items():
        shown = [*names[:examples], *["…"] * (len(names) > examples)]
        texts.append(f"{reason}: {len(names):,} ({', '.join(shown)})")
    return "; ".join(texts)
