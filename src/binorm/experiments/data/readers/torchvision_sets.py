"""torchvision's classification data sets, by name: read as torchvision reads them, then kept in memory at one size.

``--data DIR`` is torchvision's ``root``, or a zip or tar file of what lies in it. Nothing is downloaded unless asked.
"""

import hashlib
import importlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy
import torch
from PIL import Image, ImageOps

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.files import write_text_atomically
from binorm.experiments.data.dataset import Dataset, ImageSet
from binorm.experiments.data.readers.cache import Splits, cache_folder, cached
from binorm.experiments.data.readers.file_tree import open_tree
from binorm.experiments.data.readers.image_folder import DecodedSplit, check_memory
from binorm.experiments.data.readers.torchvision_table import TEST_SHARE, TORCHVISION_SETS, TorchvisionSet
from binorm.experiments.data.validation import hold_out
from binorm.experiments.data.verification import Examined, digest
from binorm.experiments.recipes.base import VALIDATION

FILE_LISTS = ("samples", "_samples", "_image_files", "_images")  # where torchvision's sets keep their files' names


def load(path: Path, image_size: int, name: str) -> Dataset:
    """Read one of `TORCHVISION_SETS`; the first time decodes, later ones are cached.

    Pictures of another shape lose their longer side's ends; 28x28 drawings get a black frame of 2 pixels to be 32x32.
    Where there is no published split, `TEST_SHARE` of each class, drawn from a fixed seed, is the test set.

    Args:
        path: torchvision's ``root``, or a zip or tar file of what lies in it.
        image_size: height and width to bring every picture to, in pixels; 0 for the set's own.
        name: which set.

    Raises:
        UserError: if it is not there, is something else, or takes too much memory at this size.
    """
    spec = TORCHVISION_SETS[name]
    size = image_size or spec.size
    _check_present(name, path)

    def read() -> Splits:
        with _opened(name, path) as sources:
            check_memory(sum(len(source) for source in sources.values()), (size, size))
            return {split: _decode(name, split, source, size, path) for split, source in sources.items()}

    fingerprint = _fingerprint(name, path)
    splits = cached(f"{name}-{size}-{fingerprint}", read)
    images = {split: decoded.images for split, decoded in splits.items()}
    dataset = Dataset(
        name=name,
        source=path.name,
        classes=_class_names(name, path, fingerprint),
        train=images.pop("train") if "train" in images else images.pop("all"),
        evaluation=images,
        mean=spec.mean,
        std=spec.std,
        skipped=splits["train"].skipped if "train" in splits else (),
    )
    return dataset if dataset.evaluation else _split(dataset)


def examine(path: Path, name: str) -> Iterator[Examined]:
    """Every picture of one set at ``path``, decoded anew at its own size."""
    _check_present(name, path)
    with _opened(name, path) as sources:
        for split, source in sources.items():
            for index in range(len(source)):
                yield _examine(name, split, source, index)


def download(name: str, path: Path) -> None:
    """Have torchvision download a set into the folder ``path``, unless it is there.

    Raises:
        UserError: for a set that torchvision cannot download, and where it fails.
    """
    spec = TORCHVISION_SETS[name]
    if not spec.downloads:
        raise UserError(f"torchvision cannot download {name}: get it by hand from {spec.url}")
    try:
        path.mkdir(parents=True, exist_ok=True)
        for arguments in spec.splits.values():
            _constructor(spec)(str(path), **arguments, download=True)
    except Exception as error:  # torchvision raises nearly anything
        raise UserError(f"cannot download {name} to {path} ({error}): get it by hand from {spec.url}") from error


def is_present(name: str, path: Path) -> bool:
    """Whether the folder or archive ``path`` holds what one set consists of."""
    spec = TORCHVISION_SETS[name]
    if path.is_dir():
        return all((path / file).exists() for file in spec.files)
    if not path.exists():
        return False
    with open_tree(path) as tree:
        return all(any(_is_below(each, file) for each in tree.names) for file in spec.files)


def _check_present(name: str, path: Path) -> None:
    if not is_present(name, path):
        raise UserError(
            f"{name} is not at {path}, where torchvision would have {', '.join(TORCHVISION_SETS[name].files)}: "
            f"{_ways_out(name, path)}"
        )


def _ways_out(name: str, path: Path) -> str:
    spec = TORCHVISION_SETS[name]
    if not spec.downloads:
        return f"get it by hand from {spec.url}"
    calls = []
    for arguments in spec.splits.values():
        given = "".join(f", {key}={value!r}" for key, value in arguments.items())
        calls.append(f"torchvision.datasets.{spec.constructor}({str(path)!r}{given}, download=True)")
    return f"'binorm data prepare {name} --data {path}' downloads it, as in Python does {'; '.join(calls)}"


@contextmanager
def _opened(name: str, path: Path) -> Iterator[dict[str, Any]]:
    """Torchvision's data sets, by split."""
    spec = TORCHVISION_SETS[name]
    with _unpacked(spec, path) as root:
        try:
            sources = {split: _constructor(spec)(str(root), **kwargs) for split, kwargs in _offline(spec).items()}
        except Exception as error:  # torchvision raises nearly anything
            raise UserError(
                f"torchvision cannot read {name} in {path} ({error}): delete it and get it again. "
                f"{_ways_out(name, path)}"
            ) from error
        yield sources


def _offline(spec: TorchvisionSet) -> dict[str, dict[str, object]]:
    """The constructor's arguments by split; some sets would download by themselves."""
    never = {"download": False} if spec.downloads else {}
    return {split: {**arguments, **never} for split, arguments in spec.splits.items()}


def _constructor(spec: TorchvisionSet) -> Any:
    return getattr(importlib.import_module("torchvision.datasets"), spec.constructor)


@contextmanager
def _unpacked(spec: TorchvisionSet, path: Path) -> Iterator[Path]:
    """A folder as torchvision needs it; an archive's files are written to a temporary one."""
    if path.is_dir():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="binorm-") as temporary, open_tree(path) as tree:
        for name in tree.names:
            if any(_is_below(name, file) for file in spec.files):
                target = Path(temporary) / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(tree.read(name))
        yield Path(temporary)


def _is_below(name: str, folder: str) -> bool:
    """Whether an archive's member is ``folder`` or lies in it; one that climbs out again does not."""
    return (name == folder or name.startswith(f"{folder}/")) and ".." not in name.split("/")


def _fingerprint(name: str, path: Path) -> str:
    """Of the files of one set alone: its root often holds other sets too."""
    if not path.is_dir():
        with open_tree(path) as tree:
            return tree.fingerprint
    facts: list[object] = [str(path.resolve())]
    for file in TORCHVISION_SETS[name].files:
        place = path / file
        if place.is_dir():
            with open_tree(place) as tree:
                facts.append(tree.fingerprint)
        else:
            stat = place.stat()
            facts.append((file, stat.st_size, stat.st_mtime_ns))
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


def _class_names(name: str, path: Path, fingerprint: str) -> tuple[str, ...]:
    """From the table, else from torchvision, whose answer is kept: to ask again may mean to unpack an archive."""
    spec = TORCHVISION_SETS[name]
    if spec.names:
        return spec.names
    file = cache_folder() / f"{name}-classes-{fingerprint}.json"
    try:
        return tuple(json.loads(file.read_text()))
    except (OSError, ValueError):
        pass
    with _opened(name, path) as sources:
        source = next(iter(sources.values()))
        found = getattr(source, "classes", getattr(source, "categories", ()))
    names = tuple(each if isinstance(each, str) else each[0] for each in found)
    if len(names) != spec.classes:
        raise UserError(f"{name} in {path} has {len(names)} classes, expected {spec.classes}: is it whole?")
    with suppress(UserError):  # then the pictures could not be cached either, and that was said
        write_text_atomically(file, json.dumps(names))
    return names


def _examine(name: str, split: str, source: Any, index: int) -> Examined:
    file = _file_name(source, split, index)
    try:
        picture, label = source[index]
        content = digest(picture.convert("RGB").tobytes())
        return Examined(split, file, int(label) - TORCHVISION_SETS[name].first_label, content, picture.size)
    except Exception as error:  # torchvision and Pillow raise nearly anything for damaged files
        return Examined(split, file, -1, b"", (0, 0), str(error) or type(error).__name__)


def _decode(name: str, split: str, source: Any, size: int, path: Path) -> DecodedSplit:
    spec = TORCHVISION_SETS[name]
    images = numpy.empty((len(source), size, size, 3), dtype=numpy.uint8)
    labels: list[int] = []
    skipped = []
    for index in range(len(source)):
        try:
            picture, label = source[index]
            picture = picture.transpose(Image.Transpose.TRANSPOSE) if spec.transposed else picture
            images[len(labels)] = numpy.asarray(_fitted(picture.convert("RGB"), size))
            label = int(label) - spec.first_label
        except Exception as error:  # torchvision and Pillow raise nearly anything for damaged files
            file = _file_name(source, split, index)
            if split != "train":
                raise UserError(
                    f"{file} of {name} in {path} is broken ({error}): evaluation needs every picture, so replace it"
                ) from error
            skipped.append(file)
            continue
        if not 0 <= label < spec.classes:
            raise UserError(
                f"{_file_name(source, split, index)} of {name} in {path} has the label {label}, "
                f"expected 0 to {spec.classes - 1}: is it whole?"
            )
        labels.append(label)
    if not labels:
        raise UserError(f"{split} of {name} in {path} has no pictures that can be decoded ({len(skipped)} are broken)")
    return DecodedSplit(ImageSet(torch.from_numpy(images[: len(labels)]), torch.tensor(labels)), tuple(skipped))


def _fitted(picture: Image.Image, size: int) -> Image.Image:
    if picture.size == (28, 28) and size == 32:
        return ImageOps.expand(picture, 2)
    return ImageOps.fit(picture, (size, size), Image.Resampling.BILINEAR)


def _file_name(source: Any, split: str, index: int) -> str:
    """The file of one picture, or its place where the set has no file for each."""
    listed = next((getattr(source, each) for each in FILE_LISTS if hasattr(source, each)), None)
    entry = None if listed is None else listed[index]
    file = entry[0] if isinstance(entry, tuple) else entry
    return str(file) if isinstance(file, str | Path) else f"{split}[{index}]"


def _split(dataset: Dataset) -> Dataset:
    """A data set without a published split, with one."""
    parts = hold_out(dataset, TEST_SHARE)
    return Dataset(**{**vars(parts), "evaluation": {"test": parts.evaluation[VALIDATION]}})
