"""Characters in natural scenes: ICDAR 2003 and 2005 (Lucas et al. 2003, 2005) and Chars74K (de Campos et al. 2009).

62 classes: digits, capitals, small letters. Pictures have any shape; all are brought to one square size, 32x32 pixels
unless asked otherwise, which stretches narrow letters. The paper names neither its splits nor its sizes, so these are
ours.
"""

import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from xml.parsers import expat

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.picture_names import is_picture
from binorm.experiments.data.dataset import Dataset
from binorm.experiments.data.readers.cache import Splits, cached
from binorm.experiments.data.readers.entry import Entry
from binorm.experiments.data.readers.examination import Examined, examine_files
from binorm.experiments.data.readers.image_folder import Labelled, label_files, read_pictures
from binorm.experiments.data.trees.file_tree import FileTree, open_tree
from binorm.experiments.data.trees.folder_walk import PassedOver

SIZE = 32
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


@dataclass(frozen=True, kw_only=True)
class Characters(Entry):
    """One set, of which a ``subset`` may be taken: one of `SUBSETS`, as the paper trains each kind by itself.

    Attributes:
        files: finds the labelled pictures of a tree, by split.
        subset: the kind of characters; empty for all.
    """

    files: Callable[[FileTree], Labelled]
    subset: str = ""
    size: int = SIZE

    def read(self, path: Path, size: int) -> Dataset:
        """From a folder, zip or tar file, in either layout."""
        with open_tree(path) as tree:
            splits = cached(f"{self.name}-{size}-{tree.fingerprint}", lambda: self._decode(tree, size))
            left_out = self._left_out(tree)
        first, last = SUBSETS[self.subset]
        return self.in_memory(path, CHARACTERS[first:last], splits, left_out)

    def passed_over(self, path: Path) -> PassedOver:
        """See `Entry.passed_over`; characters of other kinds are not counted."""
        with open_tree(path) as tree:
            return self._left_out(tree)

    def _left_out(self, tree: FileTree) -> PassedOver:
        used = [file for labelled in self.files(tree).values() for file, _ in labelled]
        return tree.left_out(used, "the folders of letters and digits")

    def _decode(self, tree: FileTree, size: int) -> Splits:
        chosen = _of_kind(tree, self.files(tree), self.subset)
        return {
            split: read_pictures(tree, chosen[split], (size, size), split == "train", resize=True) for split in chosen
        }

    def examine(self, path: Path) -> Iterator[Examined]:
        """Every picture that `read` would take from ``path``, decoded at its own size."""
        with open_tree(path) as tree:
            yield from examine_files(tree, _of_kind(tree, self.files(tree), self.subset))


def _of_kind(tree: FileTree, files: Labelled, subset: str) -> Labelled:
    first, last = SUBSETS[subset]
    chosen = {
        split: [(file, label - first) for file, label in labelled if first <= label < last]
        for split, labelled in files.items()
    }
    for split, labelled in chosen.items():
        if not labelled:
            raise UserError(f"{tree.path} has no characters of the kind {subset.strip('-')} in {split}")
    return chosen


def icdar_files(tree: FileTree) -> Labelled:
    """The pictures of ICDAR 2003 or 2005 in a tree: ``char.xml`` beside them, or ``{train,test}/<kind>_<char>/``.

    Raises:
        UserError: if a split is absent or its tags do not belong to its pictures.
    """
    tag_files = [name for name in tree.names if PurePosixPath(name).name == "char.xml"]
    if not tag_files:
        return {split: label_files(tree, split, FOLDERS, optional=FOLDERS) for split in ("train", "test")}
    found: Labelled = {"train": [], "test": []}
    for split, labelled in found.items():
        for name in tag_files:
            if _split_of(name) == split:
                labelled += _read_tags(tree, name)
        if not labelled:
            raise UserError(
                f"{tree.path} has {', '.join(tag_files)}, but none for {split}: expected char.xml below a folder "
                f"with {split} in its name, as in Trial{split.title()}/char.xml"
            )
    return found


def _split_of(name: str) -> str:
    """Which split the innermost folder that names one names; empty if none does."""
    for folder in reversed(PurePosixPath(name).parent.parts):
        named = [split for split in ("train", "test") if split in folder.lower()]
        if len(named) == 1:
            return named[0]
    return ""


def _read_tags(tree: FileTree, name: str) -> list[tuple[str, int]]:
    """``<image file="char/1/1.jpg" tag="S"/>``: pictures by their place beside the tag file."""
    labels = {character: label for label, character in enumerate(CHARACTERS)}
    folder = PurePosixPath(name).parent
    tagged = _parse_tags(tree, name)
    wanted = [(str(folder / file), labels[tag]) for file, tag in tagged if tag in labels]
    if not wanted:
        raise UserError(f'{name} in {tree.path} tags no letter or digit: expected <image file="..." tag="A"/>')
    present = set(tree.names)  # so a place outside the tree is absent, whatever a tag file says
    if absent := [file for file, _ in wanted if file not in present]:
        raise UserError(
            f"{name} in {tree.path} names {len(tagged)} pictures, of which {len(absent)} are not there, such as "
            f"{absent[0]}: unpack the whole archive"
        )
    return wanted


def _parse_tags(tree: FileTree, name: str) -> list[tuple[str, str]]:
    """(file, tag) of each image element."""
    tagged: list[tuple[str, str]] = []

    def start(element: str, attributes: dict[str, str]) -> None:
        if element == "image":
            tagged.append((attributes.get("file", ""), attributes.get("tag", "")))

    def refuse(*_: Any) -> None:
        raise UserError(f"{name} in {tree.path} defines entities, which no tag file needs: download it again")

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(tree.read(name), True)
    except (expat.ExpatError, LookupError, ValueError) as error:  # the latter two for odd encodings
        raise UserError(f"{name} in {tree.path} is not XML ({error}): download it again") from error
    return tagged


def chars74k_files(tree: FileTree) -> Labelled:
    """The pictures of Chars74K in a tree, as ``GoodImg/Bmp/Sample001`` or as ``good/<kind>_<char>/``.

    The last quarter of each class, by file number, is the test set (at least one picture).

    Raises:
        UserError: if classes are absent or unknown.
    """
    samples = [f"Sample{number:03}" for number in range(1, len(CHARACTERS) + 1)]
    published = [name for name in tree.names if {"GoodImg", "Bmp"} <= set(name.split("/")) and is_picture(name)]
    if published:
        folders = {PurePosixPath(name).parent.name for name in published}
        if unexpected := sorted(folders ^ set(samples)):
            raise UserError(
                f"GoodImg/Bmp in {tree.path} should have the folders Sample001 to Sample062; "
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


_ICDAR_NEEDS = (
    "the folder, zip or tar file with TrialTrain/char.xml and TrialTest/char.xml beside their pictures, or with "
    "{train,test}/{digit,upper,lower}_<character>/ pictures"
)
# The published training set has no z. Tags other than letters and digits are left out.
ICDAR2003 = Characters(
    name="icdar2003",
    title="single characters in scenes: digits, capitals, small letters",
    pictures={"train": 6_113, "test": 5_379},
    classes=62,
    needs=_ICDAR_NEEDS,
    url="http://www.iapr-tc11.org/mediawiki/index.php/ICDAR_2003_Robust_Reading_Competitions",
    usual_names=("icdar2003", "icdar2003.zip"),
    files=icdar_files,
)
ICDAR2005 = tuple(
    Characters(
        name=f"icdar2005{subset}",
        title=f"single characters in scenes{f', {subset[1:]} alone' if subset else ''}",
        pictures={},
        classes=last - first,
        needs=_ICDAR_NEEDS,
        url="http://www.iapr-tc11.org/mediawiki/index.php/ICDAR_2005_Robust_Reading_Competitions",
        usual_names=("icdar2005", "icdar2005.zip"),
        files=icdar_files,
        subset=subset,
    )
    for subset, (first, last) in SUBSETS.items()
)
CHARS74K = Characters(
    name="chars74k",
    title="single characters in photographs: digits, capitals, small letters; split by us",
    pictures={"train": 5_772, "test": 1_933},
    classes=62,
    needs="the folder, zip or tar file with English/Img/GoodImg/, or with good/{digit,upper,lower}_<character>/",
    url="https://info-ee.surrey.ac.uk/CVSSP/demos/chars74k/",
    usual_names=("chars74k", "chars74k.zip", "EnglishImg.tgz", "English"),
    files=chars74k_files,
)
