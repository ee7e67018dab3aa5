"""Finding the domains of a data set among the files of a folder or archive: ``<domain>/<class>/<picture>``."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.picture_names import is_picture
from binorm.experiments.data.domains import choose, few
from binorm.experiments.data.readers.file_tree import FileTree
from binorm.experiments.data.readers.image_folder import Labelled

EXPECTED = "<domain>/<class>/<picture>.jpg or .png"
UNSPLIT = "all"
SPLITS = ("train", "test")

Parts = tuple[str, ...]
"""A file's place in a tree: its folders, then its name."""


@dataclass(frozen=True, kw_only=True)
class TreeLayout:
    """How the tree of a set of domains may look.

    Attributes:
        name: of the set.
        folders: names of each domain's folder; case, blanks and underscores do not matter. Empty for a tree whose
            domains are found.
        layout: what the published tree has, for people.
        between: folders that may lie between a domain and its classes, and the split that each has: "train", "test",
            "all" for no split, "" for copies of the others' pictures.
        numbered: names of classes whose folders may be numbers.
        listed: the published split may be in ``<domain>_train.txt`` and ``<domain>_test.txt``.
    """

    name: str
    folders: Mapping[str, tuple[str, ...]]
    layout: str = "<domain>/<class>/ pictures"
    between: Mapping[str, str] = field(default_factory=dict)
    numbered: tuple[str, ...] = ()
    listed: bool = False


@dataclass(frozen=True)
class DomainFiles:
    """The files of one domain.

    Attributes:
        folder: where they are in the tree.
        classes: the names of this domain's classes, in alphabetical order.
        files: by split, with labels among ``classes``; `UNSPLIT` where there is no published split.
    """

    folder: str
    classes: tuple[str, ...]
    files: Labelled

    def __len__(self) -> int:
        return sum(len(labelled) for labelled in self.files.values())


def find_domains(tree: FileTree, spec: TreeLayout, only: Sequence[str] | None = None) -> dict[str, DomainFiles]:
    """The domains of a set in a tree, in the published order; in alphabetical order in an own tree.

    Args:
        tree: where the pictures are.
        spec: which set.
        only: the domains that are wanted, of which some may be absent; None for all.

    Raises:
        UserError: if there are none, for unknown ones, and where pictures belong to no class or a published split is
            not whole.
    """
    pictures = [tuple(file.split("/")) for file in tree.names if is_picture(file)]
    if not pictures:
        raise UserError(f"there are no pictures in {tree.path}: expected {EXPECTED}")
    if spec.folders:
        top, folders = _known_folders(spec, {picture[:-1] for picture in pictures})
    else:
        top, folders = _own_folders(tree, pictures)
    if not folders:
        raise UserError(
            f"no folder in {tree.path} is a domain of {spec.name}: expected {EXPECTED} with the domains "
            f"{', '.join(spec.folders)}"
        )
    chosen = choose(spec.name, tuple(spec.folders or folders), only)
    depth, folders = len(top), {folder: domain for folder, domain in folders.items() if domain in chosen}
    below: dict[str, list[Parts]] = {folder: [] for folder in folders}
    for picture in pictures:
        if picture[:depth] == top and len(picture) > depth + 1 and picture[depth] in below:
            below[picture[depth]].append(picture[depth + 1 :])
    return {
        domain: _domain_files(tree, spec, domain, "/".join((*top, folder)), below[folder])
        for folder, domain in folders.items()
    }


def _known_folders(spec: TreeLayout, folders: set[Parts]) -> tuple[Parts, dict[str, str]]:
    """The folder with the most domains in it, nearest to the top; and its folders' domains."""
    known = {_plain(folder): domain for domain, own in spec.folders.items() for folder in own}
    inside: dict[Parts, dict[str, str]] = {}
    for place in sorted({folder[: depth + 1] for folder in folders for depth in range(len(folder))}):
        if domain := known.get(_plain(place[-1])):
            inside.setdefault(place[:-1], {}).setdefault(domain, place[-1])
    if not inside:
        return (), {}
    top = max(inside, key=lambda place: (len(inside[place]), -len(place)))
    return top, {inside[top][domain]: domain for domain in spec.folders if domain in inside[top]}


def _plain(folder: str) -> str:
    return folder.lower().replace(" ", "").replace("_", "").replace("-", "")


def _own_folders(tree: FileTree, pictures: Sequence[Parts]) -> tuple[Parts, dict[str, str]]:
    """The innermost folder of all pictures; and its folders, each a domain by its own name.

    Raises:
        UserError: for a picture in no domain, for one domain alone, and for a domain without pictures.
    """
    top = _common_folder(picture[:-1] for picture in pictures)
    place = "/".join((str(tree.path), *top))
    if stray := [picture for picture in pictures if len(picture) == len(top) + 1]:
        raise UserError(f"{place}/{stray[0][-1]} lies in no domain: expected {EXPECTED}")
    names = sorted({picture[len(top)] for picture in pictures})
    if all(len(picture) == len(top) + 2 for picture in pictures):
        raise UserError(
            f"{place} is a single domain, with the classes {few(names)}: expected {EXPECTED} with two domains or more"
        )
    if empty := sorted(_subfolders(tree, top) - set(names)):
        raise UserError(
            f"the domain {empty[0]} in {place} has no pictures: expected {empty[0]}/<class>/<picture>.jpg or .png, "
            "or no such folder"
        )
    return top, {name: name for name in names}


def _common_folder(folders: Iterable[Parts]) -> Parts:
    distinct = set(folders)
    first, last = min(distinct), max(distinct)
    depth = next((depth for depth, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), None)
    return first[: min(len(first), len(last)) if depth is None else depth]


def _subfolders(tree: FileTree, top: Parts) -> set[str]:
    """Of a folder in a tree, but hidden ones and macOS's; those without files only where the tree is a folder."""
    depth = len(top)
    files = [tuple(name.split("/")) for name in tree.names]
    found = {parts[depth] for parts in files if len(parts) > depth + 1 and parts[:depth] == top}
    if tree.path.is_dir():
        found |= {each.name for each in tree.path.joinpath(*top).iterdir() if each.is_dir()}
    return {each for each in found if not each.startswith(".") and each != "__MACOSX"}


def _domain_files(tree: FileTree, spec: TreeLayout, domain: str, folder: str, pictures: Sequence[Parts]) -> DomainFiles:
    splits = _splits(tree, spec, domain, folder, pictures)
    if spec.listed and UNSPLIT in splits and (lists := _split_lists(tree, domain)):
        splits = {split: _listed(tree, file, splits[UNSPLIT]) for split, file in lists.items()}
    names = {place: _class_name(spec, place) for files in splits.values() for place in files}
    classes = tuple(sorted(set(names.values())))
    labels = {name: label for label, name in enumerate(classes)}
    files = {
        split: sorted((file, labels[names[place]]) for place, file in places.items())
        for split, places in splits.items()
    }
    return DomainFiles(folder, classes, files)


def _splits(
    tree: FileTree, spec: TreeLayout, domain: str, folder: str, pictures: Sequence[Parts]
) -> dict[str, dict[str, str]]:
    """By split, the names in the tree of a domain's pictures by ``<class>/<picture>``.

    Raises:
        UserError: for a picture in no class, and for one part of a split without the other.
    """
    splits: dict[str, dict[str, str]] = {}
    for parts in pictures:
        split = spec.between.get(parts[0], UNSPLIT)
        place = parts[1:] if parts[0] in spec.between else parts
        file = "/".join((folder, *parts))
        if len(place) < 2:
            raise UserError(
                f"{file} in {tree.path} belongs to the domain {domain}, but to no class: "
                f"expected {'/'.join((folder, *parts[:-1]))}/<class>/{parts[-1]}"
            )
        splits.setdefault(split, {})["/".join(place)] = file
    splits.pop("", None)
    if set(splits) not in ({UNSPLIT}, set(SPLITS)):
        raise UserError(
            f"{folder} in {tree.path} has pictures in the folders {few(sorted({parts[0] for parts in pictures}))}: "
            f"expected {spec.layout}"
        )
    return {split: splits[split] for split in (UNSPLIT, *SPLITS) if split in splits}


def _class_name(spec: TreeLayout, place: str) -> str:
    folder = place.split("/")[0]
    if folder.isdecimal() and int(folder) < len(spec.numbered):
        return spec.numbered[int(folder)]
    return folder


def _split_lists(tree: FileTree, domain: str) -> dict[str, str]:
    """The files that list a domain's published split, by split; empty if there are none.

    Raises:
        UserError: if one of them is there without the other.
    """
    wanted = {split: f"{domain}_{split}.txt" for split in SPLITS}
    found = {split: [name for name in tree.names if name.split("/")[-1] == file] for split, file in wanted.items()}
    lists = {split: min(names, key=lambda name: name.count("/")) for split, names in found.items() if names}
    if len(lists) == 1:
        absent = next(file for split, file in wanted.items() if split not in lists)
        raise UserError(
            f"{tree.path} has {next(iter(lists.values()))} without {absent}: put it beside, or take both away for a "
            "split of our own"
        )
    return lists


def _listed(tree: FileTree, name: str, places: Mapping[str, str]) -> dict[str, str]:
    """Those of a domain's pictures that a list names in lines of ``<domain>/<class>/<picture> <label>``."""
    lines = [line for line in tree.read(name).decode("utf-8", "replace").splitlines() if line.strip()]
    named = [line.rsplit(maxsplit=1)[0].partition("/")[2] for line in lines]
    if absent := [place for place in named if place not in places]:
        raise UserError(
            f"{name} in {tree.path} lists {len(named):,} pictures, of which {len(absent):,} are not there, such as "
            f"{absent[0]!r}: expected lines such as 'clipart/ant/clipart_001_000001.jpg 6', and every picture unpacked"
        )
    if not named:
        raise UserError(f"{name} in {tree.path} lists no pictures: get it again")
    return {place: places[place] for place in named}
