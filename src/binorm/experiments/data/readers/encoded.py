"""Sets of pictures that stay encoded: the files of a folder or zip, and WebDataset shards (tar files)."""

import hashlib
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.images import BrokenImageError
from binorm.experiments.common.picture_names import is_picture
from binorm.experiments.common.text import printable
from binorm.experiments.data.dataset import EncodedImage
from binorm.experiments.data.processes import WHOLE, Process
from binorm.experiments.data.trees.file_tree import DamagedFileError, FileTree

SHUFFLE_BUFFER = 2000  # pictures of shards that are in memory to be shuffled: about 200 MB of ImageNet


@dataclass(frozen=True, eq=False)
class EncodedFiles:
    """The files of a folder or zip.

    Attributes:
        tree: the folder or zip, open for as long as the set lives.
        names: of the pictures in it.
        labels: int64, (N,).
    """

    tree: FileTree
    names: Sequence[str]
    labels: numpy.ndarray

    @property
    def fingerprint(self) -> str:
        """See `EncodedSet`."""
        facts = hashlib.blake2b(self.labels.tobytes(), digest_size=16)
        for name in self.names:
            facts.update(repr((name, self.tree.stamps[name][0])).encode())
        return facts.hexdigest()

    def __len__(self) -> int:
        return len(self.names)

    def pictures(self, seed: int | None, process: Process = WHOLE) -> Iterator[EncodedImage]:
        """The pictures of one process; see `EncodedSet`."""
        order = _order(len(self), seed)
        for index in order[process.share(len(self))]:
            yield self._picture(index)

    def examples(self, classes: int, count: int) -> dict[int, list[EncodedImage]]:
        """The first pictures of the first classes."""
        firsts = {label: numpy.flatnonzero(self.labels == label)[:count] for label in range(classes)}
        return {label: [self._picture(index) for index in indices] for label, indices in firsts.items()}

    def _picture(self, index: int) -> EncodedImage:
        name = self.names[index]
        return EncodedImage(printable(name), partial(read_encoded, self.tree, name), int(self.labels[index]))


def read_encoded(tree: FileTree, name: str) -> bytes:
    """The bytes of a picture in a tree.

    Raises:
        BrokenImageError: if an archive holds it damaged.
        UserError: if it cannot be read.
    """
    try:
        return tree.read(name)
    except DamagedFileError as error:
        raise BrokenImageError(str(error.__cause__) or type(error.__cause__).__name__) from error


@dataclass(frozen=True)
class Shard:
    """One tar file and how many pictures it holds."""

    path: Path
    pictures: int


@dataclass(frozen=True)
class EncodedShards:
    """WebDataset shards: tar files in which ``<key>.<jpg, png, …>`` and ``<key>.cls``, its label, follow each other.

    They are read from front to back. A seed draws the order of the shards, and shuffles pictures within a buffer. On
    several processes each reads a contiguous piece of that order, so that all get equally many pictures, whatever the
    number of shards; only a shard on the border of two pieces is read by two.

    Attributes:
        shards: in their own order.
        num_classes: labels are below it.
    """

    shards: tuple[Shard, ...]
    num_classes: int

    @property
    def fingerprint(self) -> str:
        """See `EncodedSet`; of the shards' names, sizes and counts."""
        facts = [(shard.path.name, shard.path.stat().st_size, shard.pictures) for shard in self.shards]
        return hashlib.blake2b(repr((facts, self.num_classes)).encode(), digest_size=16).hexdigest()

    def __len__(self) -> int:
        return sum(shard.pictures for shard in self.shards)

    def pictures(self, seed: int | None, process: Process = WHOLE) -> Iterator[EncodedImage]:
        """The pictures of one process; see `EncodedSet`. Raises `UserError` for a damaged shard."""
        share = process.share(len(self))
        stream = self._piece(_order(len(self.shards), seed), share.start, share.stop)
        if seed is None:
            return stream
        shuffled: Iterator[EncodedImage] = webdataset().shuffle(
            SHUFFLE_BUFFER, initial=SHUFFLE_BUFFER, seed=seed * 1_000_003 + process.rank
        )(stream)
        return shuffled

    def examples(self, classes: int, count: int) -> dict[int, list[EncodedImage]]:
        """Pictures of the first classes that lie in the first shard."""
        found: dict[int, list[EncodedImage]] = {label: [] for label in range(classes)}
        lacking = classes
        for picture in self._read(self.shards[0]):
            if len(found.get(picture.label, ())) < count and picture.label in found:
                found[picture.label].append(picture)
                lacking -= len(found[picture.label]) == count
            if not lacking:
                break
        return found

    def _piece(self, order: numpy.ndarray, first: int, stop: int) -> Iterator[EncodedImage]:
        """Pictures ``first`` to ``stop`` of the shards in ``order``."""
        start = 0
        for shard in (self.shards[index] for index in order):
            end = start + shard.pictures
            if start < stop and first < end:
                yield from islice(self._read(shard), max(first, start) - start, min(stop, end) - start)
            start = end

    def _read(self, shard: Shard) -> Iterator[EncodedImage]:
        library = webdataset().tariterators
        seen = 0
        try:
            with shard.path.open("rb") as stream:
                files = library.tar_file_expander([{"url": str(shard.path), "stream": stream}])
                for sample in library.group_by_keys(files):
                    yield self._picture(shard, sample)
                    seen += 1
        except (tarfile.TarError, OSError, EOFError, ValueError) as error:
            reason = error.args[0] if error.args else error
            raise UserError(f"cannot read {shard.path} ({reason}): copy or write it again") from error
        if seen != shard.pictures:
            raise UserError(f"{shard.path} holds {seen} pictures, its index says {shard.pictures}: write it again")

    def _picture(self, shard: Shard, sample: dict[str, Any]) -> EncodedImage:
        key = sample["__key__"]
        kinds = [kind for kind in sample if is_picture(f"{key}.{kind}")]
        label: bytes = sample.get("cls", b"").strip()
        if len(kinds) != 1 or not label:
            raise UserError(f"{key} in {shard.path} should have one picture and its label (.cls), got {sorted(sample)}")
        if not label.isdigit() or not int(label) < self.num_classes:
            raise UserError(f"{key} in {shard.path} has the label {label!r}, expected 0 to {self.num_classes - 1}")
        data = sample[kinds[0]]
        return EncodedImage(f"{shard.path.name}/{key}.{kinds[0]}", partial(bytes, data), int(label))


def webdataset() -> ModuleType:
    """The library WebDataset.

    Raises:
        UserError: if it is not installed.
    """
    try:
        import webdataset
        import webdataset.tariterators
    except ImportError as error:
        raise UserError("shards need the library WebDataset: pip install 'binorm[scale]'") from error
    library: ModuleType = webdataset
    return library


def _order(count: int, seed: int | None) -> numpy.ndarray:
    return numpy.arange(count) if seed is None else numpy.random.default_rng(seed).permutation(count)
