"""Folders of WebDataset shards: ``train-000000.tar``, …, ``val-000000.tar``, … and an index of them."""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from contextlib import closing
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.files import TEMPORARY_PREFIX, TEMPORARY_SUFFIX, write_text_atomically
from binorm.experiments.common.threads import in_threads
from binorm.experiments.data.dataset import Dataset, EncodedImage, EncodedSet, ImageSet
from binorm.experiments.data.readers.encoded import EncodedShards, Shard, webdataset

INDEX_FILE = "shards.json"
FORMAT = "binorm shards 1"
SHARD_BYTES = 2**30
READERS = 8  # files are small: several at once hide the disk's latency
ORDER_SEED = 0  # of the training pictures in their shards


def looks_like_shards(path: Path) -> bool:
    """Whether ``path`` is a folder with shards, with or without their index."""
    return path.is_dir() and ((path / INDEX_FILE).is_file() or any(path.glob("train-*.tar")))


def read_shards(path: Path) -> tuple[tuple[str, ...], dict[str, EncodedShards]]:
    """The classes and the splits, ``train`` and ``val``, of a folder of shards.

    Raises:
        UserError: for a missing or damaged index, and for shards that are missing or not as long as the index says.
    """
    webdataset()
    try:
        index = json.loads((path / INDEX_FILE).read_text(encoding="utf-8"))
        if index["format"] != FORMAT:
            raise ValueError(f"format {index['format']!r}, expected {FORMAT!r}")
        classes = tuple(str(name) for name in index["classes"])
        listed = {split: [_check(path, entry) for entry in index["splits"][split]] for split in ("train", "val")}
    except FileNotFoundError as error:
        raise UserError(
            f"{path} has shards, but not their {INDEX_FILE}: copy it from where they were written, or write them again"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path / INDEX_FILE} is damaged ({error!r}): copy it again") from error
    if empty := [split for split, shards in listed.items() if not shards]:
        raise UserError(f"{path / INDEX_FILE} lists no shards for {' and '.join(empty)}")
    return classes, {split: EncodedShards(tuple(shards), len(classes)) for split, shards in listed.items()}


def _check(path: Path, entry: dict[str, Any]) -> Shard:
    file = path / PurePosixPath(entry["file"]).name
    if not file.is_file():
        raise UserError(f"{path} lacks {file.name}, which its {INDEX_FILE} lists: copy it again")
    if (size := file.stat().st_size) != entry["bytes"]:
        raise UserError(f"{file} has {size:,} bytes, expected {entry['bytes']:,}: copy it again")
    return Shard(file, int(entry["pictures"]))


def write_shards(
    dataset: Dataset, out: Path, shard_bytes: int = SHARD_BYTES, report: Callable[[int, int], None] | None = None
) -> dict[str, int]:
    """Write an encoded data set as shards into the folder ``out``, wholly or not at all; return how many of each split.

    The pictures' bytes are copied as they are. Training pictures are shuffled, so that a shard is a fair sample.

    Args:
        dataset: with encoded training and evaluation sets.
        out: a folder that is absent or empty.
        shard_bytes: a shard is full when its pictures have so many bytes.
        report: called after every picture with the count of those written and that of all.

    Raises:
        UserError: if ``out`` holds something, cannot be written, or a picture cannot be read.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} holds something already: choose another folder for the shards, or delete it")
    sets = {"train": dataset.train, **dataset.evaluation}
    progress = _Progress(sum(len(images) for images in sets.values()), report)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(TEMPORARY_SUFFIX, TEMPORARY_PREFIX, out.parent))
        try:
            splits = {}
            for split, images in sets.items():
                if isinstance(images, ImageSet):
                    raise UserError(f"{dataset.name} fits into memory: it needs no shards")
                splits[split] = _write_split(unfinished, split, images, shard_bytes, progress)
            index = {"format": FORMAT, "name": dataset.name, "classes": list(dataset.classes), "splits": splits}
            write_text_atomically(unfinished / INDEX_FILE, json.dumps(index, indent=1) + "\n")
            unfinished.chmod(0o755)
            unfinished.replace(out)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"cannot write shards to {out}: {reason}; free some space or choose another folder") from error
    return {split: len(shards) for split, shards in splits.items()}


class _Progress:
    def __init__(self, total: int, report: Callable[[int, int], None] | None) -> None:
        self.done, self.total, self.report = 0, total, report

    def advance(self) -> None:
        self.done += 1
        if self.report:
            self.report(self.done, self.total)


def _write_split(
    folder: Path, split: str, images: EncodedSet, shard_bytes: int, progress: _Progress
) -> list[dict[str, Any]]:
    """Write the shards of one split; return their entries in the index."""
    library = webdataset()
    shards: list[dict[str, Any]] = []
    source = images.pictures(ORDER_SEED if split == "train" else None)
    with closing(in_threads(_read, source, READERS, 4 * READERS)) as pictures:
        while first := next(pictures, None):
            path = folder / f"{split}-{len(shards):06}.tar"
            count = size = 0
            with path.open("wb") as file:
                with library.TarWriter(file, encoder=False, mtime=0) as tar:
                    for picture, data in chain([first], pictures):
                        tar.write({"__key__": _key(progress.done, picture.name), **_entries(picture, data)})
                        count, size = count + 1, size + len(data)
                        progress.advance()
                        if size >= shard_bytes:
                            break
                file.flush()
                os.fsync(file.fileno())
            shards.append({"file": path.name, "pictures": count, "bytes": path.stat().st_size})
    return shards


def _read(picture: EncodedImage) -> tuple[EncodedImage, bytes]:
    return picture, picture.read()


def _entries(picture: EncodedImage, data: bytes) -> dict[str, bytes]:
    return {PurePosixPath(picture.name).suffix[1:].lower(): data, "cls": str(picture.label).encode()}


def _key(index: int, name: str) -> str:
    """A name that is unique, fits into a tar header and has no dot, at which WebDataset would cut it."""
    return f"{index:08}_{re.sub(r'[^A-Za-z0-9_-]', '_', PurePosixPath(name).stem)[:60]}"
