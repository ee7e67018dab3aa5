"""What 'binorm stylize' is given: files by name or pattern, and folders; and what is passed over in those."""

import glob
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.picture_names import PICTURE_SUFFIXES
from binorm.experiments.data.trees.folder_walk import REPEATED, by_reason
from binorm.experiments.style.folder_pictures import OTHERS, folder_pictures


class GivenFile(NamedTuple):
    """A file to stylize."""

    source: Path
    folder: Path = Path()  # where the result belongs, below the folder of all results
    found: bool = False  # in a folder, and not given by its own name


@dataclass
class Inputs:
    """Files to stylize, each once, and what becomes of everything else that was given.

    Attributes:
        files: in the order of the command line, those of a folder by name.
        faults: what cannot be stylized and why, in sentences.
        left_out: names of what was passed over in folders, by reason.
    """

    files: list[GivenFile] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    _places: dict[object, str] = field(default_factory=dict)  # where each file was met first

    def add(self, given: Path, results: Path) -> None:
        """Take a file or the pictures of a folder; see `find_inputs`.

        Raises:
            UserError: if there is nothing to take.
        """
        try:
            mode = given.stat().st_mode
        except OSError as error:
            raise UserError(_why_absent(given, error)) from error
        if stat.S_ISDIR(mode):
            self._add_folder(given, results)
        elif stat.S_ISREG(mode):
            self._take(GivenFile(given))
        else:
            raise UserError(f"{given} is neither a file nor a folder")

    def _add_folder(self, given: Path, results: Path) -> None:
        inside = folder_pictures(given, results)
        self.faults += inside.faults
        if not inside.pictures and not inside.faults:
            there = f"what is there are {by_reason(inside.left_out)}" if inside.left_out else "it is empty"
            raise UserError(f"{given} holds no picture ({', '.join(sorted(PICTURE_SUFFIXES))}): {there}")
        for picture in inside.pictures:
            self._take(GivenFile(picture, picture.relative_to(given).parent, found=True))
        for reason, names in inside.left_out.items():
            if reason != OTHERS:
                self.left_out[reason] = list(dict.fromkeys([*self.left_out.get(reason, ()), *names]))

    def _take(self, file: GivenFile) -> None:
        """Add a file unless it is there already, under this name or another."""
        place = str(Path(os.path.realpath(file.source.parent)) / file.source.name)
        try:
            status = file.source.stat()
            identity: object = (status.st_dev, status.st_ino) if status.st_ino else place
        except OSError:  # to be told when it is opened
            identity = place
        if identity not in self._places:
            self._places[identity] = place
            self.files.append(file)
        elif self._places[identity] != place:
            self.left_out.setdefault(REPEATED, []).append(str(file.source))


def find_inputs(given: Sequence[str], results: Path) -> Inputs:
    """The files that the words of a command line stand for; what is wrong with one of them keeps none of the others.

    Of folders, the pictures are taken with those of their sub-folders; no hidden ones, and none of the folder
    ``results`` if that is such a sub-folder. Links are followed, and each real file is taken once.
    """
    inputs = Inputs()
    for word in given:
        try:
            for path in _paths(word):
                inputs.add(path, results)
        except UserError as error:
            inputs.faults.append(str(error))
    return inputs


def _paths(word: str) -> list[Path]:
    """The paths that a word stands for: itself, with ``~`` for the home folder, or as a pattern."""
    if os.path.lexists(word):
        return [Path(word)]
    if not word.strip():
        raise UserError(f"expected the name of a file or folder (got {word!r})")
    word = os.path.expanduser(word)  # noqa: PTH111 - Path's own fails where there is no such home
    if os.path.lexists(word) or not glob.has_magic(word):
        return [Path(word)]
    matches = sorted(glob.glob(word, recursive=True))  # noqa: PTH207 - of absolute patterns too
    if not matches:
        raise UserError(f"there is no file or folder {word}, and none of which it is a pattern")
    return [Path(each) for each in matches]


def _why_absent(path: Path, error: OSError) -> str:
    if os.path.islink(path):  # noqa: PTH114 - Path's own fails below a folder that cannot be read
        return f"{path} is a link to what is not there"
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return f"there is no file or folder {path}"
    return f"cannot read {path}: {error.strerror}"
