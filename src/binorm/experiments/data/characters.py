"""Characters in natural scenes: ICDAR 2003 and 2005 (Lucas et al. 2003, 2005) and Chars74K (de Campos et al. 2009).

62 classes: digits, capitals, small letters. Pictures have any shape; all are brought to 32x32 pixels, which stretches
narrow letters. The paper names neither its splits nor its sizes, so these are ours.
"""

import string
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

from binorm.experiments.data.cache import Splits, cached
from binorm.experiments.data.dataset import Dataset
from binorm.experiments.data.file_tree import FileTree, open_tree
from binorm.experiments.data.image_folder import is_picture, label_files, read_pictures
from binorm.experiments.errors import UserError

SIZE = (32, 32)
FOLDERS = (
    *(f"digit_{each}" for each in string.digits),
    *(f"upper_{each}" for each in string.ascii_uppercase),
    *(f"lower_{each}" for each in string.ascii_lowercase),
)
CHARACTERS = tuple(folder[-1] for folder in FOLDERS)
SUBSETS = {"": (0, 62), "-digits": (0, 10), "-upper": (10, 36), "-lower": (36, 62)}
# Files of a class lie beside each other in the order of the photographs they were cut from, so letters of one sign stay
# on one side of a split by number, and a random split would show the test's signs in training.
CHARS74K_TEST_SHARE = 0.25

Labelled = dict[str, list[tuple[str, int]]]


def load_icdar2003(path: Path | None) -> Dataset:
    """TrialTrain and TrialTest, as published (``char.xml`` beside its pictures) or as ``{train,test}/<kind>_<char>/``.

    The published training set has no z. Tags other than letters and digits are left out.

    Raises:
        UserError: if there is nothing, or something else, at ``path``.
    """
    return _load("icdar2003", path, "", _find_icdar)


def load_icdar2005(path: Path | None, subset: str = "") -> Dataset:
    """ICDAR 2005 in the layouts of 2003; ``subset`` is one of `SUBSETS`: the paper trains each kind by itself.

    Raises:
        UserError: if there is nothing, or something else, at ``path``.
    """
    return _load(f"icdar2005{subset}", path, subset, _find_icdar)


def load_chars74k(path: Path | None) -> Dataset:
    """The good natural pictures of Chars74K, as published (``GoodImg/Bmp/Sample001``) or as ``good/<kind>_<char>/``.

    The last quarter of each class, by file number, is the test set (at least one picture).

    Raises:
        UserError: if there is nothing, or something else, at ``path``.
    """
    return _load("chars74k", path, "", _find_chars74k)


def _load(name: str, path: Path | None, subset: str, find: Callable[[FileTree], Labelled]) -> Dataset:
    if path is None:
        raise UserError(f"{name} needs --data: 'binorm data {name}' says what and where to get it")
    with open_tree(path) as tree:
        splits = cached(f"{name}-{tree.fingerprint}", lambda: _read(tree, find(tree), subset))
    first, last = SUBSETS[subset]
    return Dataset(
        name=name,
        source=path.name,
        classes=CHARACTERS[first:last],
        train=splits["train"].images,
        evaluation={"test": splits["test"].images},
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        skipped=splits["train"].skipped,
    )


def _read(tree: FileTree, files: Labelled, subset: str) -> Splits:
    first, last = SUBSETS[subset]
    chosen = {
        split: [(file, label - first) for file, label in labelled if first <= label < last]
        for split, labelled in files.items()
    }
    for split, labelled in chosen.items():
        if not labelled:
            raise UserError(f"{tree.path} has no characters of the kind {subset.strip('-')} in {split}")
    return {split: read_pictures(tree, chosen[split], SIZE, split == "train", resize=True) for split in chosen}


def _find_icdar(tree: FileTree) -> Labelled:
    tag_files = [name for name in tree.names if PurePosixPath(name).name == "char.xml"]
    if not tag_files:
        return {split: label_files(tree, split, FOLDERS, optional=FOLDERS) for split in ("train", "test")}
    found: Labelled = {"train": [], "test": []}
    for split, labelled in found.items():
        for name in tag_files:
            if split in name.lower():
                labelled += _read_tags(tree, name)
        if not labelled:
            raise UserError(
                f"{tree.path} has {', '.join(tag_files)}, but none for {split}: expected char.xml below a folder "
                f"with {split} in its name, as in Trial{split.title()}/char.xml"
            )
    return found


def _read_tags(tree: FileTree, name: str) -> list[tuple[str, int]]:
    """``<image file="char/1/1.jpg" tag="S"/>``: pictures by their place beside the tag file."""
    content = tree.read(name)
    if b"<!ENTITY" in content:
        raise UserError(f"{name} in {tree.path} defines entities, which no tag file needs: download it again")
    try:
        images = list(ElementTree.fromstring(content).iter("image"))  # noqa: S314 - entities are refused above
    except ElementTree.ParseError as error:
        raise UserError(f"{name} in {tree.path} is not XML ({error}): download it again") from error
    labels = {character: label for label, character in enumerate(CHARACTERS)}
    tagged = [(image.get("file") or "", image.get("tag") or "") for image in images]
    wanted = [(str(PurePosixPath(name).parent / file), labels[tag]) for file, tag in tagged if tag in labels]
    present = set(tree.names)
    absent = [file for file, _ in wanted if file not in present]
    if absent or not wanted:
        example = f", such as {absent[0]}" if absent else ""
        raise UserError(
            f"{name} in {tree.path} names {len(images)} pictures, of which {len(absent)} are not there{example}: "
            "unpack the whole archive"
        )
    return wanted


def _find_chars74k(tree: FileTree) -> Labelled:
    samples = [f"Sample{number:03}" for number in range(1, len(CHARACTERS) + 1)]
    published = [name for name in tree.names if "GoodImg" in PurePosixPath(name).parts and is_picture(name)]
    if published:
        folders = {PurePosixPath(name).parent.name for name in published}
        if unexpected := sorted(folders ^ set(samples)):
            raise UserError(
                f"GoodImg in {tree.path} should have the folders Sample001 to Sample062; "
                f"missing or unknown: {', '.join(unexpected[:12])}"
            )
        labelled = [(name, samples.index(PurePosixPath(name).parent.name)) for name in published]
    else:
        labelled = label_files(tree, "good", FOLDERS)
    found: Labelled = {"train": [], "test": []}
    for label in range(len(CHARACTERS)):
        files = sorted(file for file, each in labelled if each == label)
        kept = len(files) - max(1, round(CHARS74K_TEST_SHARE * len(files)))
        found["train"] += [(file, label) for file in files[:kept]]
        found["test"] += [(file, label) for file in files[kept:]]
    return found
