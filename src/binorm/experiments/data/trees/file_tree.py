"""One view of a folder, a zip and a tar file: names of files and their bytes, as people have them.

Each file is there once, nothing hidden is there, and names have slashes and one Unicode form, whatever packed them.
What is passed over is kept by reason, for whoever reads the tree to tell.
"""

import hashlib
import os
import unicodedata
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.picture_names import is_picture, kind_of_stranger
from binorm.experiments.data.trees.archives import DAMAGE, Archive, check_size, open_archive, zip_archive
from binorm.experiments.data.trees.folder_walk import MAX_FILE_BYTES, PassedOver, by_reason, walk_folder

Place = tuple[str, ...]
"""A file's place in a tree: its folders, then its name."""


class DamagedFileError(UserError):
    """One file of an archive is damaged; others may be whole."""


@dataclass(frozen=True)
class FileTree:
    """The files below one place.

    Attributes:
        path: the folder or archive.
        names: of all files, relative to it, with slashes, in Unicode's form NFC, sorted.
        stamps: what changes whenever a file does, by name: its size in bytes comes first.
        folders: names of all folders, empty ones as well.
        passed_over: names of what is not among ``names``, by reason.
        fingerprint: changes whenever the files do, as far as names, sizes and times tell.
    """

    path: Path
    names: tuple[str, ...]
    stamps: Mapping[str, tuple[int, ...]]
    folders: frozenset[str]
    passed_over: PassedOver
    _read: Callable[[str], bytes]
    _archive_stamp: tuple[int, ...] = ()
    _original: Mapping[str, str] = field(default_factory=dict)  # names that are another way in the file system

    @property
    def fingerprint(self) -> str:
        """See above."""
        return self.fingerprint_of(self.names)

    def fingerprint_of(self, names: Collection[str]) -> str:
        """As ``fingerprint``, of some of the files; an archive changes as a whole."""
        facts = self._archive_stamp or [(name, *self.stamps[name]) for name in names]
        return hashlib.sha256(repr((str(self.path.resolve()), facts)).encode()).hexdigest()[:32]

    def read(self, name: str) -> bytes:
        """The bytes of one file.

        Raises:
            DamagedFileError: if the archive holds it damaged.
            UserError: if it cannot be read or is larger than `MAX_FILE_BYTES`.
        """
        try:
            return self._read(self._original.get(name, name))
        except DAMAGE as error:
            raise DamagedFileError(f"cannot read {name} in {self.path}: {error}") from error
        except OSError as error:
            raise UserError(f"cannot read {name} in {self.path}: {error}") from error

    def location(self, name: str) -> Path:
        """Where a folder's file is, from the root of the file system."""
        return self.path.absolute() / self._original.get(name, name)

    def left_out(self, used: Collection[str], layout: str, part: str = "") -> PassedOver:
        """What whoever took the files ``used`` passed over, by reason.

        Files that often lie beside pictures, such as texts and tables, are not worth a word.

        Args:
            used: names.
            layout: where pictures are expected, for people.
            part: the folder that was looked into; empty for the whole tree.
        """
        below, taken = f"{part}/" if part else "", frozenset(used)
        found = {
            reason: [name for name in names if name.startswith(below)] for reason, names in self.passed_over.items()
        }
        for name in self.names:
            if name.startswith(below) and name not in taken:
                reason = f"pictures outside {layout}" if is_picture(name) else kind_of_stranger(name)
                if reason:
                    found.setdefault(reason, []).append(name)
        return {reason: names for reason, names in found.items() if names}


@contextmanager
def open_tree(path: Path) -> Iterator[FileTree]:
    """Open a folder, ``.zip``, ``.tar`` or ``.tar.gz`` for reading, as long as the context lasts.

    Raises:
        UserError: if there is no such place, or it is neither a folder nor an archive that can be read.
    """
    try:
        if path.is_dir():
            yield _folder(path)
        else:
            with open_archive(path) as archive:
                yield _from_archive(path, archive)
    except (OSError, *DAMAGE) as error:
        raise UserError(f"cannot read {path}: {error}") from error


def lasting_tree(path: Path) -> FileTree:
    """As `open_tree`, for as long as the tree lives, of what can be read in any order from several threads.

    Raises:
        UserError: as `open_tree` does, and for a tar file.
    """
    try:
        if path.is_dir():
            return _folder(path)
        if zipfile.is_zipfile(path):
            return _from_archive(path, zip_archive(path, zipfile.ZipFile(path)))
        with open_archive(path):
            raise UserError(f"{path} is a tar file, from which pictures cannot be read in any order: unpack it")
    except (OSError, *DAMAGE) as error:
        raise UserError(f"cannot read {path}: {error}") from error


def loose_files(folder: Path, names: Sequence[str]) -> FileTree:
    """Some files of a folder that are known by name, without a look at what else is in it.

    Raises:
        UserError: for one that is not there.
    """
    stamps = {}
    for name in sorted(names):
        try:
            stat = (folder / name).stat()
        except OSError as error:
            raise UserError(f"cannot read {name} in {folder}: {error}") from error
        stamps[name] = (stat.st_size, stat.st_mtime_ns)
    return FileTree(folder, tuple(stamps), stamps, frozenset(), {}, folder_reader(folder))


def no_pictures(tree: FileTree, expected: str, split: str = "") -> UserError:
    """What to say of a tree in which nothing is a picture that is expected, of a split or at all: what there is."""
    there = tree.left_out((), expected)
    archives = [name for name in tree.names if PurePosixPath(name).suffix.lower() in (".zip", ".tar", ".gz", ".tgz")]
    if archives and not there.get(f"pictures outside {expected}"):
        return UserError(f"{tree.path} holds archives, such as {archives[0]}, instead of pictures: unpack them first")
    found = f" There are {by_reason(there)}." if there else ""
    if there.get(f"pictures outside {expected}"):
        found += " For pictures of your own there are --dataset folder and --dataset domains"
    what = f"no pictures for {split}" if split else "no pictures"
    return UserError(f"there are {what} in {tree.path} where they are expected: {expected}.{found}")


def remarks_on(left_out: Mapping[str, list[str]]) -> tuple[str, ...]:
    """What is to be said of files that are not taken, in one sentence; none where there are none."""
    return (f"left out: {by_reason(left_out)}",) if left_out else ()


def _folder(path: Path) -> FileTree:
    walk = walk_folder(path)
    stamps, original = _renamed(walk.stamps)
    folders = frozenset(unicodedata.normalize("NFC", each) for each in walk.folders)
    read = folder_reader(path)
    return FileTree(path, tuple(sorted(stamps)), stamps, folders, walk.passed_over, read, (), original)


def _from_archive(path: Path, archive: Archive) -> FileTree:
    stamps, original = _renamed(archive.sizes)
    stat = path.stat()
    return FileTree(
        path=path,
        names=tuple(sorted(stamps)),
        stamps=stamps,
        folders=frozenset(unicodedata.normalize("NFC", each) for each in archive.folders),
        passed_over=archive.passed_over,
        _read=archive.read,
        _archive_stamp=(stat.st_size, stat.st_mtime_ns),
        _original=original,
    )


def _renamed(stamps: Mapping[str, tuple[int, ...]]) -> tuple[dict[str, tuple[int, ...]], dict[str, str]]:
    """Files by their names in form NFC, and the names that were others; two that become one are told apart."""
    named: dict[str, tuple[int, ...]] = {}
    original: dict[str, str] = {}
    for name in sorted(stamps):
        new = unicodedata.normalize("NFC", name)
        while new in named or (new != name and new in stamps):
            place = PurePosixPath(new)
            new = str(place.with_name(f"{place.stem}~{place.suffix}"))
        named[new] = stamps[name]
        if new != name:
            original[new] = name
    return named, original


def folder_reader(folder: Path) -> Callable[[str], bytes]:
    """A function that reads a file by its name below ``folder``."""

    def read(name: str) -> bytes:
        with (folder / name).open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
            check_size(max(len(data), os.fstat(file.fileno()).st_size))
        return data

    return read
