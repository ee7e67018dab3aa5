"""Decoded pictures kept under the user's cache folder, so that only the first run decodes them."""

import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.files import write_bytes_atomically
from binorm.experiments.data.dataset import ImageSet
from binorm.experiments.data.readers.image_folder import DecodedSplit

Splits = dict[str, DecodedSplit]
VERSION = 3  # of what is decoded and how: pixels of another version are not taken


def cache_folder() -> Path:
    """``$BINORM_CACHE``, else ``binorm`` in ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    if own := os.environ.get("BINORM_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "binorm"


def cached(key: str, read: Callable[[], Splits]) -> Splits:
    """What ``read`` returns, from the cache if it is there under ``key``; lossless.

    Two runs at once both read and the later one replaces the earlier's file by an equal one. A damaged file is read
    anew. A cache that cannot be written costs a warning and nothing else.
    """
    path = cache_folder() / f"{key}-{VERSION}.safetensors"
    try:
        return _load(path)
    except (OSError, SafetensorError, KeyError, ValueError):
        splits = read()
    try:
        write_bytes_atomically(path, _dump(splits))
    except UserError as error:
        warnings.warn(f"the decoded pictures are not cached ({error}); BINORM_CACHE names another folder", stacklevel=2)
    return splits


def _dump(splits: Splits) -> bytes:
    tensors = {f"{name}.images": split.images.images for name, split in splits.items()}
    tensors |= {f"{name}.labels": split.images.labels for name, split in splits.items()}
    return save(tensors, {"skipped": json.dumps({name: split.skipped for name, split in splits.items()})})


def _load(path: Path) -> Splits:
    with safe_open(path, framework="pt") as file:
        skipped = json.loads(file.metadata()["skipped"])
        return {
            name: DecodedSplit(
                ImageSet(file.get_tensor(f"{name}.images"), file.get_tensor(f"{name}.labels")), tuple(files)
            )
            for name, files in skipped.items()
        }
