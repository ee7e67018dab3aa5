"""What data are: a fingerprint that belongs to a run, and which pictures of an evaluation set were trained on."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from binorm.experiments.data.alike import DIGEST, digests
from binorm.experiments.data.dataset import Dataset, EncodedSet, ImageSet


@dataclass(frozen=True)
class Identity:
    """Of the data of one run.

    Attributes:
        fingerprint: hexadecimal; equal where classes, pictures, labels and their order are, wherever they lie. Of
            pictures that stay encoded it is that of their names, sizes in bytes and labels. Unlabelled pictures do not
            enter it, so that methods with and without them are of the same data.
        duplicates: for each evaluation set, how many of its pictures are, pixel for pixel, among those that are trained
            on with their labels; None where pictures stay encoded, so that nobody looked.
    """

    fingerprint: str
    duplicates: Mapping[str, int | None]


def identity(dataset: Dataset) -> Identity:
    """See `Identity`; reads every pixel that is in memory once."""
    whole = hashlib.blake2b(repr(dataset.classes).encode(), digest_size=DIGEST)
    trained = _add(whole, "train", dataset.train)
    duplicates: dict[str, int | None] = {}
    for name, pictures in dataset.evaluation.items():
        found = _add(whole, name, pictures)
        known = None if trained is None else set(trained)
        duplicates[name] = None if found is None or known is None else sum(each in known for each in found)
    return Identity(whole.hexdigest(), duplicates)


def _add(whole: "hashlib.blake2b", name: str, pictures: ImageSet | EncodedSet) -> Sequence[bytes] | None:
    """Take in one set; returns its pictures' digests, or None where they stay encoded."""
    whole.update(f"{name} {len(pictures)}".encode())
    if not isinstance(pictures, ImageSet):
        whole.update(pictures.fingerprint.encode())
        return None
    found = digests(pictures.images)
    whole.update(repr(tuple(pictures.images.shape[1:])).encode())
    whole.update(b"".join(found))
    whole.update(pictures.labels.numpy().tobytes())
    return found
