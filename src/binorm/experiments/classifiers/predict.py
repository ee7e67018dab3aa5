"""What a classifier says of pictures, a batch at a time, however many there are."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from binorm.experiments.classifiers.classifier import Classifier
from binorm.experiments.classifiers.photographs import decode_all, labels_of, no_photographs, none_decoded
from binorm.experiments.common.errors import UserError
from binorm.experiments.common.picture_names import is_picture
from binorm.experiments.data.trees.file_tree import FileTree, loose_files, open_tree


@dataclass(frozen=True)
class Guess:
    """A class and the share of certainty, from 0 to 1, that the network gives it."""

    name: str
    confidence: float


@dataclass(frozen=True)
class Prediction:
    """What the network says of one picture.

    Attributes:
        picture: the name of its file.
        guesses: the most certain first.
        true: its class, where its folder says it.
    """

    picture: str
    guesses: tuple[Guess, ...]
    true: str | None

    @property
    def wrong(self) -> bool:
        """Whether the first guess is known to be another class than the picture's."""
        return self.true not in (None, self.guesses[0].name)


@dataclass(frozen=True)
class Predictions:
    """Of the pictures of one place.

    Attributes:
        pictures: those that the network could say something of, by name.
        source: where they lie.
        broken: what is wrong with the others, in sentences.
        left_out: names of what else is there, by reason.
    """

    pictures: tuple[Prediction, ...]
    source: Path
    broken: tuple[str, ...]
    left_out: Mapping[str, Sequence[str]]

    @property
    def labelled(self) -> bool:
        """Whether the folders say the classes."""
        return self.pictures[0].true is not None

    def accuracy(self, first: int = 1) -> float | None:
        """The share whose class is among the ``first`` guesses, from 0 to 1; None where it is not known."""
        if not self.labelled:
            return None
        hits = [each.true in [guess.name for guess in each.guesses[:first]] for each in self.pictures]
        return sum(hits) / len(hits)


def predict(
    classifier: Classifier,
    path: Path,
    batch_size: int = 32,
    top: int = 2,
    show: Callable[[int, int], None] = lambda done, total: None,
) -> Predictions:
    """Classify the pictures of a folder or archive, or one picture; no more than some batches are in memory.

    Args:
        classifier: says how pictures are read, and what the classes are called.
        path: a folder, zip or tar file, or a picture.
        batch_size: how many the network sees at once.
        top: how many guesses to keep.
        show: told how many of how many pictures are done.

    Raises:
        UserError: for numbers below 1; where there are no pictures, or none of which the network can say something;
            where some folders are called as classes and others are not.
    """
    if min(batch_size, top) < 1:
        raise UserError(f"batch size and number of guesses should be at least 1 (got {batch_size} and {top})")
    with _tree(path) as tree:
        names = [name for name in tree.names if is_picture(name)]
        if not names:
            raise no_photographs(path)
        labels = labels_of(names, classifier.classes, path)
        known: list[Prediction] = []
        broken: list[str] = []
        for batch, faults in _batches(tree, names, classifier, batch_size):
            broken += faults
            for name, guesses in _guesses(classifier, batch, top):
                if guesses:
                    true = None if labels is None else classifier.classes[labels[name]]
                    known.append(Prediction(name, guesses, true))
                else:
                    broken.append(f"{name} (the network's outputs are not numbers: its weights may be damaged)")
            show(len(known) + len(broken), len(names))
        left_out = tree.left_out(names, "the pictures")
    if not known:
        raise none_decoded(path, broken)
    return Predictions(tuple(known), path, tuple(broken), left_out)


def pixels_of(classifier: Classifier, path: Path, names: Sequence[str]) -> dict[str, Tensor]:
    """Some pictures once more, as the network saw them: uint8, (3, H, W), by name."""
    with _tree(path) as tree, closing(decode_all(tree, names, classifier)) as outcomes:
        return {name: outcome for name, outcome in outcomes if isinstance(outcome, Tensor)}


@contextmanager
def _tree(path: Path) -> Iterator[FileTree]:
    """A folder or archive; or one picture, as if nothing lay beside it."""
    if path.is_file() and is_picture(path.name):
        yield loose_files(path.parent, [path.name])
    else:
        with open_tree(path) as tree:
            yield tree


def _batches(
    tree: FileTree, names: Sequence[str], classifier: Classifier, batch_size: int
) -> Iterator[tuple[dict[str, Tensor], list[str]]]:
    """Pictures by name, and what was wrong with others met on the way."""
    batch: dict[str, Tensor] = {}
    faults: list[str] = []
    with closing(decode_all(tree, names, classifier)) as outcomes:
        for name, outcome in outcomes:
            if isinstance(outcome, Tensor):
                batch[name] = outcome
            else:
                faults.append(outcome)
            if len(batch) + len(faults) >= batch_size:
                yield batch, faults
                batch, faults = {}, []
    if batch or faults:
        yield batch, faults


@torch.inference_mode()
def _guesses(classifier: Classifier, batch: Mapping[str, Tensor], top: int) -> Iterator[tuple[str, tuple[Guess, ...]]]:
    """Each picture's name and guesses; no guesses where the network gives no numbers."""
    if not batch:
        return
    logits = classifier(classifier.preprocessing.normalize(torch.stack(list(batch.values()))))
    confidences, places = logits.double().softmax(1).topk(min(top, len(classifier.classes)))
    for name, row, indices in zip(batch, confidences.tolist(), places.tolist(), strict=True):
        finite = all(value == value for value in row)
        pairs = zip(indices, row, strict=True)
        yield name, tuple(Guess(classifier.classes[place], value) for place, value in pairs) if finite else ()
