"""Batches from pictures that stay encoded: read and decoded in threads while the network computes."""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from functools import partial
from itertools import count, islice
from typing import NamedTuple

import numpy
import torch
from torch import Tensor

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.images import BrokenImageError
from binorm.experiments.common.threads import in_threads
from binorm.experiments.data.batches.normalization import Normalizer
from binorm.experiments.data.batches.seeds import epoch_seed, picture_generator
from binorm.experiments.data.batches.transforms import (
    EVALUATION_SCALE,
    CentreCrop,
    PaddedCrop,
    ResizedCrop,
)
from binorm.experiments.data.dataset import Dataset, EncodedImage, EncodedSet, ImageSet
from binorm.experiments.data.processes import Process, default_threads, this_process
from binorm.experiments.recipes.classification import ClassifierRecipe

IMAGE_SIZE = 224  # where a recipe names none
PREFETCH_BATCHES = 2
NAMED = 20  # unreadable pictures at most that people are told of


class _Decoded(NamedTuple):
    """A picture's pixels, uint8, (size, size, 3), and its label."""

    pixels: numpy.ndarray
    label: int


class _Broken(NamedTuple):
    """The name of a picture that cannot be decoded."""

    name: str


class _Assembler:
    """Turns decoded pictures into normalized batches of one shape on the device that trains."""

    def __init__(self, dataset: Dataset, batch_size: int, image_size: int, device: torch.device) -> None:
        self.shape = (batch_size, image_size, image_size, 3)
        self.normalize = Normalizer(dataset, device)
        self.device = device

    def batches(self, decoded: Iterator[_Decoded]) -> Iterator[tuple[Tensor, Tensor, int]]:
        """Pictures, labels and how many of them are real; a last, smaller batch is filled up with its first picture."""
        while taken := list(islice(decoded, self.shape[0])):
            pixels, labels = numpy.empty(self.shape, numpy.uint8), numpy.empty(self.shape[0], numpy.int64)
            for row in range(self.shape[0]):
                picture = taken[row] if row < len(taken) else taken[0]
                pixels[row], labels[row] = picture.pixels, picture.label
            pictures = self.normalize(self._send(torch.from_numpy(pixels)))
            yield pictures, self._send(torch.from_numpy(labels)), len(taken)

    def _send(self, values: Tensor) -> Tensor:
        if self.device.type != "cuda":
            return values.to(self.device)
        return values.pin_memory().to(self.device, non_blocking=True)


class StreamedTrainingBatches:
    """One shuffled, augmented pass over a training set at each iteration, in whole batches.

    Each picture's place and augmentation are drawn from seed, epoch and position alone: any number of threads, and a
    resumed run, sees the same. On several processes (torch.distributed, or ``RANK`` and ``WORLD_SIZE`` as torchrun sets
    them) each reads its own pictures, and all get equally many batches. A picture that cannot be decoded is left out,
    and one of those that the epoch would not have reached takes its place (the epoch begins anew if there are none).

    Args:
        dataset: with its training pictures encoded.
        recipe: says batch size (of each process), image size (0 for 224) and augmentation.
        seed: of the run.
        device: where the batches go.
        threads: that decode; 0 for as many as the process has cores.
    """

    def __init__(
        self, dataset: Dataset, recipe: ClassifierRecipe, seed: int, device: torch.device, threads: int = 0
    ) -> None:
        if isinstance(dataset.train, ImageSet):
            raise TypeError(f"the training pictures of {dataset.name} are in memory: there is nothing to stream")
        self.images, self.batch_size, self.seed = dataset.train, recipe.batch_size, seed
        self.threads = threads or default_threads()
        size = recipe.image_size or IMAGE_SIZE
        self.transform: Callable[[bytes, numpy.random.Generator], numpy.ndarray]
        if recipe.resized_crop:
            self.transform = ResizedCrop(size, recipe.flip)
        else:
            self.transform = PaddedCrop(size, recipe.crop_padding, recipe.flip, recipe.padding == "mirrored")
        self._assembler = _Assembler(dataset, recipe.batch_size, size, device)
        self._broken: dict[str, None] = {}
        self.epoch = 0

    @property
    def skipped(self) -> tuple[str, ...]:
        """Names of pictures that could not be decoded, up to 20 of them."""
        return tuple(islice(self._broken, NAMED))

    def __len__(self) -> int:
        return len(self.images) // this_process().world_size // self.batch_size

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch the next iteration is."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        with closing(self._decoded()) as decoded:
            for pictures, labels, _ in self._assembler.batches(decoded):
                yield pictures, labels

    def _decoded(self) -> Generator[_Decoded, None, None]:
        """As many decoded pictures as the epoch's batches hold."""
        process = this_process()
        decode = partial(self._decode, epoch=self.epoch, rank=process.rank)
        entries = self._entries(epoch_seed(self.seed, self.epoch), process)
        missing, failures = len(self) * self.batch_size, 0
        while missing:
            ahead = PREFETCH_BATCHES * self.batch_size
            with closing(in_threads(decode, islice(entries, missing), self.threads, ahead)) as outcomes:
                for outcome in outcomes:
                    if isinstance(outcome, _Decoded):
                        missing, failures = missing - 1, 0
                        yield outcome
                        continue
                    self._broken[outcome.name] = None
                    failures += 1
                    if failures >= len(self.images) // process.world_size:
                        raise UserError(f"none of {failures} training pictures can be decoded, such as {outcome.name}")

    def _entries(self, seed: int, process: Process) -> Iterator[tuple[int, EncodedImage]]:
        """The pictures of an epoch with their positions, over and over."""
        position = count()
        while True:
            for picture in self.images.pictures(seed, process):
                yield next(position), picture

    def _decode(self, entry: tuple[int, EncodedImage], epoch: int, rank: int) -> _Decoded | _Broken:
        position, picture = entry
        generator = picture_generator(self.seed, epoch, rank, position)
        try:
            return _Decoded(self.transform(picture.read(), generator), picture.label)
        except BrokenImageError:
            return _Broken(picture.name)


def evaluation_crop(recipe: ClassifierRecipe) -> CentreCrop:
    """What is cut from a streamed picture that a recipe's network is evaluated on."""
    size = recipe.image_size or IMAGE_SIZE
    return CentreCrop(size, round(size * EVALUATION_SCALE) if recipe.resized_crop else size)


class StreamedEvaluationBatches:
    """The pictures of an evaluation set in order, with the count of those that are real; every process gets all.

    The short side is brought to 256/224 of the image size (or to the image size itself, for networks that were not
    trained on resized crops), and the middle square is cut. The last batch is filled up with its own first picture.

    Args:
        images: the set.
        dataset: that it belongs to.
        recipe: says batch size, image size (0 for 224) and whether training crops were resized.
        device: where the batches go.
        threads: that decode; 0 for as many as the process has cores.
    """

    def __init__(
        self, images: EncodedSet, dataset: Dataset, recipe: ClassifierRecipe, device: torch.device, threads: int = 0
    ) -> None:
        self.images, self.source, self.batch_size = images, dataset.source, recipe.batch_size
        self.threads = threads or default_threads()
        self.transform = evaluation_crop(recipe)
        self._assembler = _Assembler(dataset, recipe.batch_size, self.transform.size, device)

    def __len__(self) -> int:
        return -(-len(self.images) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, int]]:
        """Pictures, labels and count. Raises `UserError` for a picture that cannot be decoded."""
        ahead = PREFETCH_BATCHES * self.batch_size
        with closing(in_threads(self._decode, self.images.pictures(None), self.threads, ahead)) as decoded:
            yield from self._assembler.batches(decoded)

    def _decode(self, picture: EncodedImage) -> _Decoded:
        try:
            return _Decoded(self.transform(picture.read()), picture.label)
        except BrokenImageError as error:
            raise UserError(
                f"{picture.name} in {self.source} is broken ({error}): evaluation needs every picture, so replace it"
            ) from error
