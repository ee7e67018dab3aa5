"""Digits in four domains: MNIST, MNIST-M, USPS and SVHN, in colour and at one size, with their published splits.

``--data DIR`` is a folder in which they lie side by side; a run needs only the domains that it uses.
"""

import hashlib
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy
import torch
from PIL import Image

from binorm.experiments.common.errors import UserError
from binorm.experiments.data.dataset import ImageSet
from binorm.experiments.data.domains import Domain, DomainSet, choose
from binorm.experiments.data.readers import mnist_m, usps_arrays
from binorm.experiments.data.readers.cache import Splits, cached
from binorm.experiments.data.readers.entry import DomainEntry
from binorm.experiments.data.readers.examination import Examined, examine_arrays
from binorm.experiments.data.readers.image_folder import DecodedSplit, check_memory
from binorm.experiments.data.readers.torchvision_sets import TORCHVISION_SETS
from binorm.experiments.data.trees.file_tree import open_tree

NAME = "digit-domains"
SIZE = 28
PICTURES = {
    "mnist": {"train": 60_000, "test": 10_000},
    "mnist-m": {"train": 60_000, "test": 10_000},
    "usps": {"train": 7_291, "test": 2_007},
    "svhn": {"train": 73_257, "test": 26_032},
}
PHOTOGRAPHS = ("BSR_bsds500.tgz", "BSR", "BSDS500", "photos.zip", "photos")
USPS_ARRAYS = "usps.npz"
FILES = {
    "mnist": "MNIST/raw or mnist.zip",
    "mnist-m": f"MNIST and BSDS500's photographs as {', '.join(PHOTOGRAPHS[:-1])} or {PHOTOGRAPHS[-1]}",
    "usps": f"usps.bz2 and usps.t.bz2, or {USPS_ARRAYS}",
    "svhn": "train_32x32.mat and test_32x32.mat",
}


@dataclass(frozen=True, kw_only=True)
class DigitDomains(DomainEntry):
    """MNIST and MNIST-M have 28x28 pixels, USPS 16x16 and SVHN 32x32; all are brought to one size bilinearly."""

    in_a_root: ClassVar[bool] = True

    def read_domains(self, path: Path, size: int, shared_classes: bool, only: Sequence[str] | None) -> DomainSet:
        """From the folder that has the `FILES`; every domain has the ten digits, whatever ``shared_classes``."""
        chosen = choose(NAME, tuple(PICTURES), only)
        _check_folder(path)
        places = {domain: _places(domain, path) for domain in chosen}
        if absent := [domain for domain in chosen if not places[domain]]:
            raise UserError(
                f"the digits of {absent[0]} are not at {path}: expected {FILES[absent[0]]} in that folder. "
                f"'binorm data {NAME}' says where they are published"
            )
        check_memory(sum(sum(PICTURES[domain].values()) for domain in chosen), (size, size))
        domains, skipped = {}, []
        for domain in chosen:
            splits = _read(domain, places[domain], size)
            domains[domain] = Domain(splits["train"].images, splits["test"].images)
            skipped += [file for split in splits.values() for file in split.skipped]
        return DomainSet(
            name=NAME,
            source=path.name,
            classes=tuple(string.digits),
            domains=domains,
            mean=self.mean,
            std=self.std,
            published_split=True,
            skipped=tuple(skipped),
        )

    def names_at(self, path: Path) -> tuple[str, ...]:
        """The domains whose files are in a folder."""
        _check_folder(path)
        return tuple(domain for domain in PICTURES if _places(domain, path))

    def is_present(self, path: Path) -> bool:
        """Whether a folder has two of the domains or more."""
        return path.is_dir() and len(self.names_at(path)) > 1

    def examine(self, path: Path) -> Iterator[Examined]:
        """Every digit of the domains in a folder, at its own size; splits are named as in "usps test".

        MNIST-M is made anew.
        """
        for domain in self.names_at(path):
            for each in _examine(domain, _places(domain, path)):
                yield each._replace(split=f"{domain} {each.split}", name=f"{domain} {each.name}")


DIGIT_DOMAINS = DigitDomains(
    name=NAME,
    title="digits of four kinds; MNIST-M is made here of MNIST and photographs",
    pictures={f"{domain} {split}": count for domain, splits in PICTURES.items() for split, count in splits.items()},
    classes=10,
    needs="the folder with those of these that a run uses: "
    + "; ".join(f"{domain} as {files}" for domain, files in FILES.items())
    + "; 'binorm data' with mnist, usps and svhn says where those are published, here is where the photographs are",
    url="http://www.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/BSR/BSR_bsds500.tgz",
    usual_names=("MNIST/raw", *PHOTOGRAPHS, "usps.bz2", USPS_ARRAYS),
    size=SIZE,
    std=(0.5, 0.5, 0.5),
    domains=tuple(PICTURES),
)


def _check_folder(path: Path) -> None:
    if not path.is_dir():
        expected = "; ".join(f"{domain} as {files}" for domain, files in FILES.items())
        raise UserError(f"{NAME} is read from a folder, which {path} is not: expected {expected}")


def _places(domain: str, path: Path) -> tuple[Path, ...]:
    """The folders and files below ``path`` that a domain is read from; none if it is not there."""
    if domain == "mnist-m":
        mnist, photographs = _places("mnist", path), [path / each for each in PHOTOGRAPHS if (path / each).exists()]
        return (*mnist, photographs[0]) if mnist and photographs else ()
    for root in (path, path / domain, path / f"{domain}.zip"):  # as torchvision has it, or by itself
        if TORCHVISION_SETS[domain].is_present(root):
            return (root,)
    arrays = path / USPS_ARRAYS
    return (arrays,) if domain == "usps" and arrays.exists() else ()


def _read(domain: str, places: Sequence[Path], size: int) -> Splits:
    if domain == "mnist-m":
        return _resized(_mnist_m(*places), size)
    if places[0].name == USPS_ARRAYS:
        return _resized(_unskipped(usps_arrays.read(places[0])), size)
    if domain == "mnist":  # torchvision_sets frames these for 32x32
        return _resized(_torchvision(domain, places[0], mnist_m.SIDE), size)
    return _torchvision(domain, places[0], size)


def _examine(domain: str, places: Sequence[Path]) -> Iterator[Examined]:
    if domain != "mnist-m" and places[0].name != USPS_ARRAYS:
        yield from TORCHVISION_SETS[domain].examine(places[0])
        return
    splits = _blended(*places) if domain == "mnist-m" else _unskipped(usps_arrays.read(places[0]))
    for split, decoded in splits.items():
        yield from examine_arrays(split, decoded.images)


def _torchvision(domain: str, root: Path, size: int) -> Splits:
    dataset = TORCHVISION_SETS[domain].load(root, size)
    sets = {"train": dataset.train, "test": dataset.evaluation["test"]}
    splits = _unskipped({split: pictures for split, pictures in sets.items() if isinstance(pictures, ImageSet)})
    return {**splits, "train": DecodedSplit(splits["train"].images, dataset.skipped)}


def _mnist_m(mnist: Path, photographs: Path) -> Splits:
    facts = (_stamp(mnist / "MNIST" / "raw" if mnist.is_dir() else mnist), _stamp(photographs))
    return cached(
        f"mnist-m-{hashlib.sha256(repr(facts).encode()).hexdigest()[:32]}", partial(_blended, mnist, photographs)
    )


def _stamp(place: Path) -> object:
    """Changes whenever the files at a place do; no archive is unpacked for it."""
    if place.is_dir():
        with open_tree(place) as tree:
            return tree.fingerprint
    stat = place.stat()
    return str(place.resolve()), stat.st_size, stat.st_mtime_ns


def _blended(mnist: Path, photographs: Path) -> Splits:
    with open_tree(photographs) as tree:
        backgrounds = mnist_m.read_photographs(tree)
    splits = {}
    for split, decoded in _torchvision("mnist", mnist, mnist_m.SIDE).items():
        digits = decoded.images.images[..., 0].numpy()
        pictures = torch.from_numpy(mnist_m.blend(digits, backgrounds, mnist_m.SEEDS[split]))
        splits[split] = ImageSet(pictures, decoded.images.labels)
    return _unskipped(splits)


def _unskipped(splits: Mapping[str, ImageSet]) -> Splits:
    return {split: DecodedSplit(pictures, ()) for split, pictures in splits.items()}


def _resized(splits: Splits, size: int) -> Splits:
    return {
        split: DecodedSplit(_brought_to(decoded.images, size), decoded.skipped) for split, decoded in splits.items()
    }


def _brought_to(pictures: ImageSet, size: int) -> ImageSet:
    if pictures.images.shape[1] == size:
        return pictures
    resized = numpy.empty((len(pictures), size, size, 3), dtype=numpy.uint8)
    for place, pixels in enumerate(pictures.images.numpy()):
        resized[place] = numpy.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR))
    return ImageSet(torch.from_numpy(resized), pictures.labels)
