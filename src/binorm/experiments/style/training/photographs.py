"""The photographs that a style network learns on: any pictures of a folder or archive, in batches of random parts."""

import hashlib
import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy
import torch
from torch import Tensor

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.images import BrokenImageError
from binorm.experiments.common.picture_names import is_picture
from binorm.experiments.common.threads import in_threads
from binorm.experiments.data.batches.seeds import picture_generator
from binorm.experiments.data.batches.transforms import Box, cut
from binorm.experiments.data.processes import default_threads
from binorm.experiments.data.readers.encoded import read_encoded
from binorm.experiments.data.trees.file_tree import FileTree, lasting_tree, no_pictures, remarks_on
from binorm.experiments.recipes.stylization import StylizationRecipe

LARGEST_PART = 2.0  # the side of a part over image_size, in pixels of the photograph, as far as the photograph has them
PREFETCH_BATCHES = 2


@dataclass(frozen=True)
class Photographs:
    """Encoded photographs.

    Attributes:
        tree: the folder or zip, open for as long as they are needed.
        names: of the pictures in it.
        remarks: what is left out of it, in a sentence; none where nothing is.
    """

    tree: FileTree
    names: tuple[str, ...]
    remarks: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def fingerprint(self) -> str:
        """Changes whenever names or sizes in bytes of the photographs do; not with the place where they lie."""
        facts = hashlib.blake2b(digest_size=16)
        for name in self.names:
            facts.update(repr((name, self.tree.stamps[name][0])).encode())
        return facts.hexdigest()

    def read(self, name: str) -> bytes:
        """The bytes of one; see `read_encoded`."""
        return read_encoded(self.tree, name)


def find_photographs(path: Path | None) -> Photographs:
    """All pictures below a folder or in a zip, whatever its folders are called.

    Raises:
        UserError: if there is no such place, or no picture in it.
    """
    if path is None:
        raise UserError("photographs are needed to train on: --data FOLDER, or a zip of one")
    tree = lasting_tree(path)
    names = tuple(name for name in tree.names if is_picture(name))
    if not names:
        raise no_pictures(tree, "pictures, in any folders")
    return Photographs(tree, names, remarks_on(tree.left_out(names, "")))


class PhotographBatches:
    """Endless batches of random parts of the photographs; one iteration gives those of one period.

    The photographs come in an order that the seed draws anew for each pass. Each part is a square of 1 to 2 times
    ``image_size`` pixels of its photograph (as far as it has so many), brought to ``image_size``, mirrored half of the
    time. Everything is drawn from seed and position alone, so that a resumed run sees the same, with any number of
    threads. A photograph that cannot be decoded is replaced by another, and named in ``skipped``.
    """

    def __init__(self, photographs: Photographs, recipe: StylizationRecipe, seed: int) -> None:
        self.photographs, self.recipe, self.seed = photographs, recipe, seed
        self.period = 0
        self._broken: dict[str, None] = {}

    @property
    def skipped(self) -> tuple[str, ...]:
        """Names of photographs that could not be decoded."""
        return tuple(sorted(self._broken))

    def __len__(self) -> int:
        return self.recipe.period

    def set_period(self, period: int) -> None:
        """Say which period the next iteration is."""
        self.period = period

    def __iter__(self) -> Iterator[Tensor]:
        """Pictures (batch_size, 3, image_size, image_size), RGB in [0, 1], channels_last."""
        size, count = self.recipe.batch_size, self.recipe.batch_size * self.recipe.period
        positions = range(self.period * count, (self.period + 1) * count)
        with closing(in_threads(self._part, positions, default_threads(), PREFETCH_BATCHES * size)) as parts:
            while taken := list(islice(parts, size)):
                pixels = torch.from_numpy(numpy.stack(taken))
                yield pixels.permute(0, 3, 1, 2).float().div(255).contiguous(memory_format=torch.channels_last)

    def _part(self, position: int) -> numpy.ndarray:
        """The part at one place of the endless sequence."""
        passes, place = divmod(position, len(self.photographs))
        order = _order(self.seed, passes, len(self.photographs))
        random = picture_generator(self.seed, passes, 0, place)
        for attempt in range(len(self.photographs)):
            name = self.photographs.names[order[(place + attempt) % len(order)]]
            try:
                return self._cut(self.photographs.read(name), random)
            except BrokenImageError:
                self._broken[name] = None
        raise UserError(f"none of the {len(order)} photographs in {self.photographs.tree.path} can be decoded")

    def _cut(self, data: bytes, random: numpy.random.Generator) -> numpy.ndarray:
        size = self.recipe.image_size
        pixels = cut(data, lambda width, height: _part_box(random, width, height, size), size, sharpness=1)
        return pixels[:, ::-1] if self.recipe.flip and random.random() < 0.5 else pixels


@lru_cache(maxsize=2)
def _order(seed: int, passes: int, count: int) -> numpy.ndarray:
    """The photographs' order in one pass; threads are in two of them at most."""
    return numpy.random.default_rng((seed, passes)).permutation(count)


def _part_box(random: numpy.random.Generator, width: int, height: int, size: int) -> Box:
    """A random square of ``size`` to `LARGEST_PART` times that many pixels, within the picture."""
    short = min(width, height)
    side = min(short, round(size * math.exp(random.uniform(0, math.log(LARGEST_PART)))))
    left, upper = int(random.integers(0, width - side + 1)), int(random.integers(0, height - side + 1))
    return left, upper, left + side, upper + side
