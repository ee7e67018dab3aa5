"""Who stands up to shifted pictures beside whom: trained networks, each with several methods and calibration seeds."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from binorm.experiments.classifiers.classifier import Classifier
from binorm.experiments.classifiers.photographs import Photographs
from binorm.experiments.rescue.methods import Adapted, Calibration, Method
from binorm.experiments.rescue.restyling import Restyle


@dataclass(frozen=True)
class Subject:
    """A trained network, and pictures in the pixels that it takes.

    Attributes:
        name: short, and no other subject's.
        classifier: the network.
        test: labelled pictures; those of several subjects are the same files in the same order.
        pool: pictures that methods may learn from beforehand, without their labels; None for none.
    """

    name: str
    classifier: Classifier
    test: Photographs
    pool: Photographs | None = None

    @property
    def pixels(self) -> tuple[object, ...]:
        """What decides on its pictures before they are normalized: subjects that agree in it share them."""
        each = self.classifier.preprocessing
        return each.height, each.width, each.short_side, each.interpolation

    def facts(self) -> dict[str, Any]:
        """What it is, with a fingerprint of its weights and of what it expects of pictures."""
        card = self.classifier.card
        digest = hashlib.blake2b(repr(card.preprocessing).encode(), digest_size=8)
        for name, tensor in sorted(self.classifier.network.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return {
            "name": self.name,
            "network": card.network,
            "norm": card.norm,
            "origin": card.origin,
            "height": card.preprocessing.height,
            "width": card.preprocessing.width,
            "fingerprint": digest.hexdigest(),
        }


@dataclass(frozen=True)
class Candidate:
    """One subject with one method; of methods that calibrate, with one seed.

    Attributes:
        subject: the network and its pictures.
        method: what is done to it.
        seed: of the calibration pictures and their restyling; 0 where nothing is drawn.
    """

    subject: Subject
    method: Method
    seed: int

    @property
    def group(self) -> str:
        """Its name but for the seed."""
        return f"{self.subject.name}:{self.method.name}"

    @property
    def id(self) -> str:
        """Its name in files."""
        return f"{self.group}:{self.seed}" if self.method.calibrates else self.group


def candidates(subjects: Sequence[Subject], methods: Sequence[Method], seeds: int) -> list[Candidate]:
    """Every subject with every method; with every seed from 0 on where the method calibrates."""
    return [
        Candidate(subject, method, seed)
        for subject in subjects
        for method in methods
        for seed in range(seeds if method.calibrates else 1)
    ]


@dataclass(frozen=True)
class Prepared:
    """A candidate that can be asked, and the seconds that this took."""

    candidate: Candidate
    adapted: Adapted
    seconds: float


def prepare(candidate: Candidate, restyle: Restyle, pictures: int, device: torch.device) -> Prepared:
    """Let the method do what it does beforehand.

    Args:
        candidate: whose network stays as it is, but for its device and its memory's order.
        restyle: how the pictures to calibrate with could look elsewhere.
        pictures: how many of the pool to calibrate with, drawn by the seed.
        device: to compute on.

    Raises:
        UserError: where the method cannot work on the network or with these pictures.
    """
    subject, method = candidate.subject, candidate.method
    network = subject.classifier.network.to(device).to(memory_format=torch.channels_last)
    calibration = None
    if method.calibrates and subject.pool is not None:
        generator = torch.Generator().manual_seed(candidate.seed)
        drawn = torch.randperm(len(subject.pool), generator=generator)[:pictures]
        normalize = subject.classifier.preprocessing.normalize
        calibration = Calibration(subject.pool.pictures[drawn], normalize, restyle, candidate.seed)
    started = time.perf_counter()
    adapted = method.prepare(network, calibration)
    return Prepared(candidate, adapted, time.perf_counter() - started)
