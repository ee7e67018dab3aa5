"""The files of a folder as people have it: each file once, whatever links there are, and nothing hidden."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from binorm.experiments.common.picture_names import is_hidden, is_picture
from binorm.experiments.common.text import printable

MAX_FILE_BYTES = 256 * 2**20  # no picture and no published batch is near this; a bomb is beyond it
HIDDEN = "hidden pictures and those in hidden or system folders"
DANGLING = "links to nothing"
REPEATED = "files that are there under another name already"

PassedOver = dict[str, list[str]]
"""Names of what is not taken, by the reason."""


@dataclass
class Walk:
    """What is below a folder.

    Attributes:
        root: the folder.
        stamps: size in bytes and time of change of every file, by its name relative to the root, with slashes.
        folders: names of all folders, empty ones as well.
        passed_over: hidden pictures, links to nothing, and further names of files that are taken already.
        unreadable: folders that cannot be listed, and why; None where that is an error.
    """

    root: Path
    stamps: dict[str, tuple[int, int]] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    passed_over: PassedOver = field(default_factory=dict)
    unreadable: list[tuple[str, OSError]] | None = None
    _seen: set[tuple[int, int]] = field(default_factory=set)  # device and number of files and folders

    def pass_over(self, reason: str, name: str) -> None:
        """Note that a file is not taken."""
        self.passed_over.setdefault(reason, []).append(name)

    def is_new(self, stat: os.stat_result) -> bool:
        """Whether a file or folder has not been met under another name; it is met now."""
        identity = (stat.st_dev, stat.st_ino)
        if identity in self._seen and stat.st_ino:
            return False
        self._seen.add(identity)
        return True


def walk_folder(root: Path, besides: Path | None = None, keep_going: bool = False) -> Walk:
    """Every file below ``root``, by its own name rather than by a link's where it has both.

    Links to files and folders are followed; a link to what was met already adds nothing, so that loops end.

    Args:
        root: a folder.
        besides: a folder that is passed by, if it lies below.
        keep_going: note folders that cannot be listed instead of raising.

    Raises:
        OSError: if a folder that is not hidden cannot be listed: it would be left out silently.
    """
    walk = Walk(root, unreadable=[] if keep_going else None)
    links: list[str] = []
    if besides is not None and besides.is_dir():
        walk.is_new(besides.stat())
    walk.is_new(root.stat())
    _enter(walk, "", links)
    while links:
        _follow(walk, links.pop(0), links)
    return walk


def by_reason(passed_over: Mapping[str, Sequence[str]], examples: int = 3) -> str:
    """``"links to nothing (5, such as a.png, b.png); videos (1, such as c.mp4)"``."""
    texts = []
    for reason, names in passed_over.items():
        shown = ", ".join(map(printable, sorted(set(names))[:examples]))
        texts.append(f"{reason} ({len(names):,}, such as {shown})")
    return "; ".join(texts)


def _enter(walk: Walk, folder: str, links: list[str]) -> None:
    """Take in a folder and what lies below it; ``links`` gets what is to be followed when everything else is known."""
    waiting = [folder]
    while waiting:
        inside = waiting.pop()
        try:
            with os.scandir(walk.root / inside) as listed:
                entries = sorted(listed, key=lambda each: each.name)
        except OSError as error:
            if walk.unreadable is None:
                raise
            walk.unreadable.append((inside, error))
            continue
        for entry in entries:
            name = f"{inside}/{entry.name}" if inside else entry.name
            if is_hidden(entry.name):
                _count_hidden(walk, name)
            elif entry.is_symlink():
                links.append(name)
            elif entry.is_dir(follow_symlinks=False):
                walk.folders.add(name)
                if walk.is_new(entry.stat(follow_symlinks=False)):
                    waiting.append(name)
            elif entry.is_file(follow_symlinks=False):
                _take(walk, name, entry.stat(follow_symlinks=False))


def _follow(walk: Walk, name: str, links: list[str]) -> None:
    target = walk.root / name
    try:
        stat = target.stat()
    except OSError:  # it leads nowhere, to itself, or where nobody may look
        walk.pass_over(DANGLING, name)
        return
    if target.is_dir():
        if walk.is_new(stat):
            walk.folders.add(name)
            _enter(walk, name, links)
        else:
            walk.pass_over(REPEATED, name)
    elif target.is_file():
        _take(walk, name, stat)


def _take(walk: Walk, name: str, stat: os.stat_result) -> None:
    if walk.is_new(stat):
        walk.stamps[name] = (stat.st_size, stat.st_mtime_ns)
    elif is_picture(name):
        walk.pass_over(REPEATED, name)


def _count_hidden(walk: Walk, name: str) -> None:
    """Pictures by their names; what may not be looked into has none."""
    path = walk.root / name
    if path.is_dir():
        found = [] if path.is_symlink() else os.walk(path)
        files = [(Path(folder) / each).relative_to(walk.root).as_posix() for folder, _, ends in found for each in ends]
    else:
        files = [name]
    for each in sorted(files):
        if is_picture(each.rpartition("/")[2].lstrip(".")):
            walk.pass_over(HIDDEN, each)
