"""Pictures of one's own: ``{train,val,test}/<class>/`` or ``<class>/`` pictures, in a folder, zip or tar file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.images import IMAGENET_MEAN, IMAGENET_STD
from binorm.experiments.common.picture_names import is_picture
from binorm.experiments.data.dataset import TEST_SHARE, Dataset, hold_out
from binorm.experiments.data.domains import few
from binorm.experiments.data.readers.cache import Splits, cached
from binorm.experiments.data.readers.entry import OWN_SPLIT, Entry
from binorm.experiments.data.readers.examination import Examined, examine_files
from binorm.experiments.data.readers.image_folder import Labelled, read_pictures
from binorm.experiments.data.trees.classes import check_class_names, check_no_class_is_lost
from binorm.experiments.data.trees.file_tree import FileTree, no_pictures, open_tree
from binorm.experiments.data.trees.folder_walk import PassedOver
from binorm.experiments.data.trees.splits import COPY, TEST, TRAIN, UNSPLIT, VAL, Placed, place, refuse_splits, split_of
from binorm.experiments.recipes.base import VALIDATION

EXPECTED = "{train,test}/<class>/<picture>.jpg or .png, or <class>/<picture>.jpg or .png"


@dataclass(frozen=True, kw_only=True)
class OwnFolder(Entry):
    """Any labelled pictures, brought whole to one square size.

    ``train`` is trained on and ``test`` evaluated; with ``val`` instead of ``test``, that is. Where there are both,
    ``val`` is the evaluation set ``validation``, to choose by. Without split folders `TEST_SHARE` of each class, drawn
    with a fixed seed, is the test set. What lies below a class's folder, at any depth, belongs to the class.
    """

    def read(self, path: Path, size: int) -> Dataset:
        """From a folder, zip or tar file."""
        with open_tree(path) as tree:
            classes, files = _find(tree)
            left_out = _left_out(tree, files)
            names = [file for labelled in files.values() for file, _ in labelled]

            def decode() -> Splits:
                return {
                    split: read_pictures(tree, labelled, (size, size), split in (TRAIN, UNSPLIT), resize=True)
                    for split, labelled in files.items()
                }

            splits = cached(f"folder-{size}-{tree.fingerprint_of(names)}", decode)
        if UNSPLIT in splits:
            whole = self.in_memory(path, classes, {TRAIN: splits[UNSPLIT]}, left_out)
            parts = hold_out(whole, TEST_SHARE)
            return replace(parts, evaluation={TEST: parts.evaluation[VALIDATION]})
        return self.in_memory(path, classes, splits, left_out)

    def examine(self, path: Path) -> Iterator[Examined]:
        """Every picture at ``path``, decoded at its own size."""
        with open_tree(path) as tree:
            yield from examine_files(tree, _find(tree)[1])

    def passed_over(self, path: Path) -> PassedOver:
        """See `Entry.passed_over`."""
        with open_tree(path) as tree:
            return _left_out(tree, _find(tree)[1])


OWN_FOLDER = OwnFolder(
    name="folder",
    title="any pictures of your own, in a folder for each class",
    pictures={},
    classes=0,
    needs=f"the folder, zip or tar file with {EXPECTED}",
    usual_names=("folder", "folder.zip"),
    size=64,
    split=f"the folders train, val and test where there are such, else {OWN_SPLIT}",
    mean=IMAGENET_MEAN,
    std=IMAGENET_STD,
)


def _find(tree: FileTree) -> tuple[tuple[str, ...], Labelled]:
    """The classes in alphabetical order, and the labelled files of each split, training first.

    Raises:
        UserError: for no pictures, one in no class, splits or domains taken for classes, classes that one split alone
            has, and a training part without an evaluation part.
    """
    files = [name for name in tree.names if is_picture(name)]
    if not files:
        raise no_pictures(tree, EXPECTED)
    pictures = place(files, {})
    depth = _class_depth(pictures)
    if stray := [each for each in pictures if len(each.parts) < depth + 2]:
        if len(stray) == len(pictures):
            raise UserError(
                f"all pictures in {tree.path} lie in one folder, such as {stray[0].file}: there are no two classes to "
                f"tell apart. Expected {EXPECTED}"
            )
        raise UserError(f"{stray[0].file} in {tree.path} lies in no class: expected {EXPECTED}")
    classes = tuple(sorted({each.parts[depth] for each in pictures}))
    check_class_names(tree, classes)
    nested = set(classes) - {each.parts[depth] for each in pictures if len(each.parts) == depth + 2}
    refuse_splits("class", classes, str(tree.path), f"expected {EXPECTED}", nested)
    for name in nested:
        inside = sorted({each.parts[depth + 1] for each in pictures if each.parts[depth] == name})
        if all(split_of(each) not in (None, UNSPLIT) for each in inside):
            raise UserError(
                f"{name} in {tree.path} holds the splits {few(inside)}, and other folders beside it do not: expected "
                f"{EXPECTED}"
            )
    _refuse_domains(tree, pictures, depth, classes)
    check_no_class_is_lost(tree, {each.folder(depth) for each in pictures})
    found: Labelled = {}
    for each in pictures:
        found.setdefault(each.split, []).append((each.file, classes.index(each.parts[depth])))
    return classes, _evaluated(tree, found, classes)


def _class_depth(pictures: Sequence[Placed]) -> int:
    """How many folders all pictures have in common."""
    folders = [each.parts[:-1] for each in pictures]
    shared = 0
    while all(len(folder) > shared for folder in folders) and len({folder[shared] for folder in folders}) == 1:
        shared += 1
    return shared


def _refuse_domains(tree: FileTree, pictures: Sequence[Placed], depth: int, classes: Sequence[str]) -> None:
    """Raise a `UserError` where every class holds the same folders, and all pictures are in those."""
    inside: dict[str, set[str]] = {}
    for each in pictures:
        if len(each.parts) < depth + 3:
            return
        inside.setdefault(each.parts[depth], set()).add(each.parts[depth + 1])
    folders = inside[classes[0]]
    if len(folders) > 1 and len(classes) > 1 and all(each == folders for each in inside.values()):
        raise UserError(
            f"{few(classes, 4)} in {tree.path} each hold the folders {few(sorted(folders), 4)}: they look like "
            "domains, for which there is --dataset domains. If they are classes, put the pictures right into them"
        )


def _evaluated(tree: FileTree, found: Labelled, classes: Sequence[str]) -> Labelled:
    """The splits by the names that they are evaluated under, training first."""
    found.pop(COPY, None)
    if UNSPLIT in found:
        if len(found) > 1:
            raise UserError(f"{found[UNSPLIT][0][0]} in {tree.path} lies in no split, others do: expected {EXPECTED}")
        return found
    if TRAIN not in found or len(found) < 2:
        raise UserError(f"{tree.path} has pictures of {few(sorted(found))} alone: expected {EXPECTED}")
    trained = {label for _, label in found[TRAIN]}
    for split, labelled in found.items():
        if unknown := sorted({classes[label] for _, label in labelled} - {classes[label] for label in trained}):
            raise UserError(f"{split} in {tree.path} has the classes {few(unknown, 6)}, which train has not")
    names = {TEST: TEST, VAL: VALIDATION} if TEST in found else {VAL: VAL}
    return {TRAIN: found[TRAIN], **{name: found[split] for split, name in names.items() if split in found}}


def _left_out(tree: FileTree, files: Labelled) -> PassedOver:
    return tree.left_out([file for labelled in files.values() for file, _ in labelled], "{train,test}/<class>/")
