"""What data are: a fingerprint that belongs to a run, and which pictures of an evaluation set were trained on."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from binorm.experiments.common.text import counted, printable
from binorm.experiments.data.alike import DIGEST, digests
from binorm.experiments.data.dataset import Dataset, EncodedSet, ImageSet

EXAMPLES = 5  # names that a remark lists


@dataclass(frozen=True)
class Identity:
    """Of the data of one run.

    Attributes:
        fingerprint: hexadecimal; equal where classes, pictures, labels and their order are, wherever they lie. Of
            pictures that stay encoded it is that of their names, sizes in bytes and labels. Unlabelled pictures do not
            enter it, so that methods with and without them are of the same data.
        target: as ``fingerprint``, of the unlabelled pictures; empty where there are none.
        duplicates: for each evaluation set, how many of its pictures are, pixel for pixel, among those that are trained
            on with their labels; None where pictures stay encoded, so that nobody looked.
    """

    fingerprint: str
    target: str
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
    target = hashlib.blake2b(digest_size=DIGEST)
    if dataset.target is not None:
        target.update(b"".join(digests(dataset.target.images)))
    return Identity(whole.hexdigest(), target.hexdigest() if dataset.target else "", duplicates)


def data_facts(dataset: Dataset, found: Identity) -> dict[str, Any]:
    """What ``run.json`` says of a run's data: name, source, sizes, classes, identity and whatever is peculiar."""
    return {
        "name": dataset.name,
        "source": printable(dataset.source),
        "train": len(dataset.train),
        "evaluation": {name: len(images) for name, images in dataset.evaluation.items()},
        "classes": list(dataset.classes),
        "fingerprint": found.fingerprint,
        **({"target_fingerprint": found.target} if found.target else {}),
        "duplicates": dict(found.duplicates),
        "remarks": list(dataset.remarks),
    }


def remarks_on_data(dataset: Dataset, found: Identity) -> tuple[str, ...]:
    """What a user should know before training: what is broken, left out or peculiar, and what is tested on as well."""
    remarks = []
    if dataset.skipped:
        names = ", ".join(map(printable, dataset.skipped[:EXAMPLES]))
        more = ", …" if len(dataset.skipped) > EXAMPLES else ""
        verb = "is" if len(dataset.skipped) == 1 else "are"
        remarks.append(f"{counted(len(dataset.skipped), 'broken training picture')} {verb} left out: {names}{more}")
    remarks += dataset.remarks
    for name, count in found.duplicates.items():
        if count:
            verb = "is" if count == 1 else "are"
            shown = f"{count:,} of the {len(dataset.evaluation[name]):,} pictures of {name}"
            remarks.append(f"{shown} {verb} among the training pictures, pixel for pixel")
    return tuple(remarks)


def _add(whole: "hashlib.blake2b", name: str, pictures: ImageSet | EncodedSet) -> Sequence[bytes] | None:
    """Take in one set; returns its pictures' digests, or None where they stay encoded."""
    whole.update(repr((name, len(pictures))).encode())
    if not isinstance(pictures, ImageSet):
        whole.update(pictures.fingerprint.encode())
        return None
    found = digests(pictures.images)
    whole.update(repr(tuple(pictures.images.shape[1:])).encode())
    whole.update(b"".join(found))
    whole.update(pictures.labels.numpy().tobytes())
    return found
