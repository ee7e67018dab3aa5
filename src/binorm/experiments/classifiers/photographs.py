"""Photographs for a classifier, from a folder or archive as people have it, with labels where its folders say them."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import torch
from torch import Tensor

from binorm.experiments.classifiers.classifier import Classifier
from binorm.experiments.classifiers.imagenet import imagenet_classes, imagenet_synsets
from binorm.experiments.common.errors import UserError, nearest
from binorm.experiments.common.images import BrokenImageError
from binorm.experiments.common.picture_names import is_picture
from binorm.experiments.common.text import counted
from binorm.experiments.common.threads import in_threads
from binorm.experiments.data.processes import default_threads
from binorm.experiments.data.trees.file_tree import FileTree, open_tree

AHEAD = 64
NAMED = 3


@dataclass(frozen=True)
class Photographs:
    """Pictures as a classifier's network takes them, not yet normalized.

    Attributes:
        pictures: uint8, (N, 3, H, W), RGB.
        labels: int64, (N,), places in the classifier's classes; None where the folders do not say them.
        names: of the files.
        source: where they lie.
        broken: what cannot be decoded and why, in sentences.
        left_out: names of what else is there, by reason.
    """

    pictures: Tensor
    labels: Tensor | None
    names: tuple[str, ...]
    source: Path
    broken: tuple[str, ...] = ()
    left_out: Mapping[str, Sequence[str]] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def subset(self, places: Sequence[int]) -> "Photographs":
        """Some of them, in that order."""
        chosen = torch.as_tensor(places, dtype=torch.long)
        labels = None if self.labels is None else self.labels[chosen]
        return Photographs(self.pictures[chosen], labels, tuple(self.names[place] for place in places), self.source)


def read_photographs(path: Path, classifier: Classifier, most: int = 0) -> Photographs:
    """Decode the pictures below a folder or in an archive.

    A picture's label is the class that its folder is called as, whatever lies above. Folders of ImageNet's classes may
    have their synsets' names (``n01440764``), and without folders these may begin the files' names.

    Args:
        path: a folder, zip or tar file.
        classifier: says the pixels and the classes.
        most: how many pictures to take at most, spread evenly over all by name; 0 for all.

    Raises:
        UserError: where there are none, none can be decoded, or some folders are called as classes and others are not.
    """
    with open_tree(path) as tree:
        names = [name for name in tree.names if is_picture(name)]
        if not names:
            raise no_photographs(path)
        labels = labels_of(names, classifier.classes, path)
        if most and len(names) > most:
            names = [names[place * len(names) // most] for place in range(most)]
        pixels, broken = {}, []
        for name, outcome in decode_all(tree, names, classifier):
            if isinstance(outcome, Tensor):
                pixels[name] = outcome
            else:
                broken.append(outcome)
        left_out = tree.left_out([name for name in tree.names if is_picture(name)], "the pictures")
    if not pixels:
        raise none_decoded(path, broken)
    kept = tuple(pixels)
    label_of = None if labels is None else torch.tensor([labels[name] for name in kept])
    return Photographs(torch.stack(list(pixels.values())), label_of, kept, path, tuple(broken), left_out)


def decode_all(
    tree: FileTree, names: Sequence[str], classifier: Classifier
) -> Generator[tuple[str, Tensor | str], None, None]:
    """Each picture's name and its pixels, uint8, (3, H, W); or a sentence that says why it has none.

    Close it to leave early. No more than `AHEAD` pictures wait to be taken.
    """

    def decode(name: str) -> tuple[str, Tensor | str]:
        try:
            return name, classifier.preprocessing.read(tree.read(name))
        except (BrokenImageError, UserError) as error:
            return name, str(error) if name in str(error) else f"{name} ({error})"

    with closing(in_threads(decode, names, default_threads(), AHEAD)) as outcomes:
        yield from outcomes


def no_photographs(path: Path) -> UserError:
    """What to say of a place without pictures."""
    return UserError(f"there are no pictures in {path}: expected .jpg, .png or others in a folder or archive")


def none_decoded(path: Path, broken: Sequence[str]) -> UserError:
    """What to say where every picture is broken."""
    return UserError(f"none of the {counted(len(broken), 'picture')} in {path} can be used, such as {broken[0]}")


def labels_of(names: Sequence[str], classes: tuple[str, ...], path: Path) -> dict[str, int] | None:
    """The place of each picture's class; None where no folder is called as one.

    Raises:
        UserError: where some folders are called as classes and others are not.
    """
    places = {name: place for place, name in enumerate(classes)}
    synsets = imagenet_synsets() if classes == imagenet_classes() else ()
    places |= {name: place for place, name in enumerate(synsets)}
    folders = {name: PurePosixPath(name).parent.name for name in names}
    found = {name: places[folder] for name, folder in folders.items() if folder in places}
    if len(found) == len(names):
        return found
    if found:
        unknown = sorted({folder for folder in folders.values() if folder not in places})
        shown = ", ".join(repr(each) for each in unknown[:NAMED])
        raise UserError(
            f"{path} has folders of known classes and others: {shown}{nearest(unknown[0], places)} Rename or remove "
            "these, or take the pictures out of their class folders to do without labels"
        )
    begun = {name: places.get(PurePosixPath(name).name.partition("_")[0], -1) for name in names} if synsets else {}
    return begun if begun and min(begun.values()) >= 0 else None


def require_labels(photographs: Photographs, classifier: Classifier) -> Tensor:
    """The labels.

    Raises:
        UserError: where the folders do not say them.
    """
    if photographs.labels is not None:
        return photographs.labels
    folder = PurePosixPath(photographs.names[0]).parent.name
    seen = f"such as {photographs.names[0]}"
    near = nearest(folder, dict.fromkeys(classifier.classes)) if folder else "."
    raise UserError(
        f"the pictures in {photographs.source} have no labels ({seen}){near} Put them into folders that are "
        f"called as the network's {len(classifier.classes)} classes ({', '.join(classifier.classes[:NAMED])}, ...)"
    )
