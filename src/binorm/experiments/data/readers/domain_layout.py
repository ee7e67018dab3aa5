"""Finding the domains of a data set among the files of a folder or archive: ``<domain>/<class>/<picture>``.

A split may lie above the domains, between a domain and its classes, or below the classes; see `splits`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.picture_names import is_picture
from binorm.experiments.data.domains import choose, few
from binorm.experiments.data.readers.image_folder import Labelled
from binorm.experiments.data.trees.classes import check_class_names, check_no_class_is_lost
from binorm.experiments.data.trees.file_tree import FileTree, no_pictures
from binorm.experiments.data.trees.folder_walk import PassedOver
from binorm.experiments.data.trees.splits import COPY, TEST, TRAIN, UNSPLIT, VAL, Parts, Placed, place, refuse_splits

EXPECTED = "<domain>/<class>/<picture>.jpg or .png"
SPLITS = (TRAIN, TEST)
VALIDATION_PART = "pictures of a validation part, beside train and test"
SAME_LEVEL = "have splits at the same level in all domains, or in none"
ONE_DOMAIN = "for pictures of one domain give --dataset folder, else a folder for each domain"


@dataclass(frozen=True, kw_only=True)
class TreeLayout:
    """How the tree of a set of domains may look.

    Attributes:
        name: of the set.
        folders: names of each domain's folder; case, blanks and underscores do not matter. Empty for a tree whose
            domains are found.
        layout: what the published tree has, for people.
        between: folders that may lie between a domain and its classes besides the usual ones, and the split that each
            has, as in `splits`.
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
        classes: the names of this domain's classes, in alphabetical order.
        files: by split, with labels among ``classes``; `UNSPLIT` where there is no published split.
    """

    classes: tuple[str, ...]
    files: Labelled

    def __len__(self) -> int:
        return sum(len(labelled) for labelled in self.files.values())

    @property
    def names(self) -> list[str]:
        """Of all its files."""
        return [file for labelled in self.files.values() for file, _ in labelled]


@dataclass(frozen=True)
class FoundDomains:
    """The domains of a tree, by name, and what is not taken of it, by reason."""

    domains: dict[str, DomainFiles]
    left_out: PassedOver


def find_domains(tree: FileTree, spec: TreeLayout, only: Sequence[str] | None = None) -> FoundDomains:
    """The domains of a set in a tree, in the published order; in alphabetical order in an own tree.

    Args:
        tree: where the pictures are.
        spec: which set.
        only: the domains that are wanted, of which some may be absent; None for all.

    Raises:
        UserError: if there are none, for unknown ones, where pictures belong to no class, where a class or domain has
            no picture, for splits taken for classes or domains, and where a published split is not whole.
    """
    files = [name for name in tree.names if is_picture(name)]
    if not files:
        raise no_pictures(tree, EXPECTED)
    pictures = place(files, spec.between)
    top, folders = _known_folders(tree, spec, pictures) if spec.folders else _own_folders(tree, pictures)
    chosen = choose(spec.name, tuple(spec.folders or dict.fromkeys(folders.values())), only)
    depth = len(top) + 1
    below: dict[str, list[Placed]] = {domain: [] for domain in folders.values()}
    for each in pictures:
        if each.parts[: depth - 1] == top and len(each.parts) > depth and each.parts[depth - 1] in folders:
            below[folders[each.parts[depth - 1]]].append(each)
    found, validation = {}, []
    for domain in (domain for domain in below if domain in chosen):
        splits = _splits(tree, domain, below[domain], depth)
        validation += [each.file for each in splits.pop(VAL, {}).values()]
        found[domain] = _domain_files(tree, spec, domain, splits, depth)
    _check_splits(tree, spec, found)
    others = [each.file for domain in below if domain not in chosen for each in below[domain]]
    used = [*(file for domain in found.values() for file in domain.names), *validation, *others]
    left_out = tree.left_out(used, spec.layout.removesuffix(" pictures"))
    return FoundDomains(found, left_out | ({VALIDATION_PART: validation} if validation else {}))


def _known_folders(tree: FileTree, spec: TreeLayout, pictures: Sequence[Placed]) -> tuple[Parts, dict[str, str]]:
    """The folder with the most domains in it; and its folders' domains.

    Raises:
        UserError: where there is none, or more than one.
    """
    known = {_plain(folder): domain for domain, own in spec.folders.items() for folder in own}
    inside: dict[Parts, dict[str, str]] = {}
    folders = {each.parts[:-1] for each in pictures}
    for where in sorted({folder[: depth + 1] for folder in folders for depth in range(len(folder))}):
        if domain := known.get(_plain(where[-1])):
            inside.setdefault(where[:-1], {}).setdefault(domain, where[-1])
    if not inside:
        raise UserError(
            f"no folder in {tree.path} is a domain of {spec.name}: expected {EXPECTED} with the domains "
            f"{', '.join(spec.folders)}. For domains of your own give --dataset domains"
        )
    most = max(len(domains) for domains in inside.values())
    tops = sorted((where for where in inside if len(inside[where]) == most), key=len)
    if most > 1 and len(tops) > 1:
        names = " and ".join("/".join((str(tree.path), *where)) for where in tops[:2])
        raise UserError(f"{names} both hold domains of {spec.name}: give one of them to --data")
    top = tops[0]
    return top, {inside[top][domain]: domain for domain in spec.folders if domain in inside[top]}


def _plain(folder: str) -> str:
    return folder.lower().replace(" ", "").replace("_", "").replace("-", "")


def _own_folders(tree: FileTree, pictures: Sequence[Placed]) -> tuple[Parts, dict[str, str]]:
    """The innermost folder of all pictures; and its folders, each a domain by its own name.

    Raises:
        UserError: for a picture in no domain, for one domain alone, for a split beside domains, and for a domain
            without pictures.
    """
    top = _common_folder(each.parts[:-1] for each in pictures)
    where = "/".join((str(tree.path), *top))
    if stray := [each for each in pictures if len(each.parts) == len(top) + 1]:
        raise UserError(f"{stray[0].file} in {tree.path} lies in no domain: expected {EXPECTED}")
    names = sorted({each.parts[len(top)] for each in pictures})
    refuse_splits("domain", names, where, ONE_DOMAIN)
    if all(len(each.parts) == len(top) + 2 for each in pictures):
        raise UserError(
            f"{where} is a single domain, with the classes {few(names)}: expected {EXPECTED} with two domains or "
            "more; for one domain give --dataset folder"
        )
    present = {each.folder(len(top)) for each in pictures}
    parents = {folder.rpartition("/")[0] for folder in present}
    empty = sorted(each for each in tree.folders if each.rpartition("/")[0] in parents and each not in present)
    if empty and not any(folder.startswith(f"{empty[0]}/") for folder in present):
        raise UserError(
            f"the domain {empty[0]} in {tree.path} has no pictures: expected {empty[0]}/<class>/<picture>.jpg or .png, "
            "or no such folder"
        )
    return top, {name: name for name in names}


def _common_folder(folders: Iterable[Parts]) -> Parts:
    distinct = set(folders)
    first, last = min(distinct), max(distinct)
    depth = next((depth for depth, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), None)
    return first[: min(len(first), len(last)) if depth is None else depth]


def _splits(tree: FileTree, domain: str, pictures: Sequence[Placed], depth: int) -> dict[str, dict[str, Placed]]:
    """By split, a domain's pictures by ``<class>/<picture>``; what counts as its test part is called so.

    Raises:
        UserError: for a picture in no class.
    """
    splits: dict[str, dict[str, Placed]] = {}
    for each in pictures:
        if len(each.parts) < depth + 2:
            folder, _, name = each.file.rpartition("/")
            raise UserError(
                f"{each.file} in {tree.path} belongs to the domain {domain}, but to no class: expected "
                f"{folder}/<class>/{name}; {ONE_DOMAIN}"
            )
        splits.setdefault(each.split, {})["/".join(each.parts[depth:])] = each
    copies = splits.pop(COPY, None)
    if copies and TRAIN not in splits:  # without what they are copies of
        splits[TRAIN] = copies
    if TEST not in splits and VAL in splits:
        splits[TEST] = splits.pop(VAL)
    return splits


def _domain_files(
    tree: FileTree, spec: TreeLayout, domain: str, splits: dict[str, dict[str, Placed]], depth: int
) -> DomainFiles:
    if spec.listed and UNSPLIT in splits and (lists := _split_lists(tree, domain)):
        splits = {split: _listed(tree, file, splits[UNSPLIT]) for split, file in lists.items()}
    names = {each.file: _class_name(spec, each.parts[depth]) for files in splits.values() for each in files.values()}
    classes = tuple(sorted(set(names.values())))
    labels = {name: label for label, name in enumerate(classes)}
    check_class_names(tree, classes)
    pictures = [each for files in splits.values() for each in files.values()]
    nested = set(classes) - {_class_name(spec, each.parts[depth]) for each in pictures if len(each.parts) == depth + 2}
    refuse_splits("class", classes, f"the domain {domain} of {tree.path}", SAME_LEVEL, nested)
    if not spec.listed:  # lists may leave classes out
        check_no_class_is_lost(tree, {each.folder(depth) for files in splits.values() for each in files.values()})
    files = {
        split: [(places[where].file, labels[names[places[where].file]]) for where in sorted(places)]
        for split, places in sorted(splits.items(), key=lambda pair: (UNSPLIT, *SPLITS).index(pair[0]))
    }
    return DomainFiles(classes, files)


def _check_splits(tree: FileTree, spec: TreeLayout, found: Mapping[str, DomainFiles]) -> None:
    """Raise a `UserError` where domains have parts of a split alone, or some have a split and others none."""
    parts = {domain: set(files.files) for domain, files in found.items()}
    for domain, splits in parts.items():
        if splits not in ({UNSPLIT}, set(SPLITS)):
            raise UserError(
                f"{domain} in {tree.path} has pictures in folders of {few(sorted(splits))} alone, of the splits train "
                f"and test (or val): expected {spec.layout}, with both parts or with none"
            )
    split = [domain for domain in parts if UNSPLIT not in parts[domain]]
    if split and len(split) < len(parts):
        without = next(domain for domain in parts if domain not in split)
        raise UserError(
            f"{tree.path} has a split of {split[0]}, but none of {without}: add its folders or lists, or take away "
            "those of every domain"
        )


def _class_name(spec: TreeLayout, folder: str) -> str:
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


def _listed(tree: FileTree, name: str, places: Mapping[str, Placed]) -> dict[str, Placed]:
    """Those of a domain's pictures that a list names in lines of ``<domain>/<class>/<picture> <label>``."""
    lines = [line for line in tree.read(name).decode("utf-8", "replace").splitlines() if line.strip()]
    named = [line.rsplit(maxsplit=1)[0].partition("/")[2] for line in lines]
    if absent := [where for where in named if where not in places]:
        raise UserError(
            f"{name} in {tree.path} lists {len(named):,} pictures, of which {len(absent):,} are not there, such as "
            f"{absent[0]!r}: expected lines such as 'clipart/ant/clipart_001_000001.jpg 6', and every picture unpacked"
        )
    if not named:
        raise UserError(f"{name} in {tree.path} lists no pictures: get it again")
    return {where: places[where] for where in named}
