"""torchvision's classification data sets, by name: read as torchvision reads them, then kept in memory at one size.

``--data DIR`` is torchvision's ``root``, or a zip or tar file of what lies in it. Nothing is downloaded unless asked.
"""

import importlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy
import torch
from PIL import Image, ImageOps

from binorm.experiments.common.decoding import in_rgb
from binorm.experiments.common.errors import UserError
from binorm.experiments.common.files import write_text_atomically
from binorm.experiments.common.images import IMAGENET_MEAN, IMAGENET_STD, open_image
from binorm.experiments.data.dataset import TEST_SHARE, Dataset, ImageSet, hold_out
from binorm.experiments.data.readers import torchvision_places
from binorm.experiments.data.readers.cache import Splits, cache_folder, cached
from binorm.experiments.data.readers.entry import OWN_SPLIT, Entry
from binorm.experiments.data.readers.examination import Examined, digest
from binorm.experiments.data.readers.image_folder import DecodedSplit, check_memory
from binorm.experiments.data.readers.tables import read_table
from binorm.experiments.data.trees.folder_walk import PassedOver
from binorm.experiments.recipes.base import VALIDATION

FILE_LISTS = ("samples", "_samples", "_image_files", "_images")  # where torchvision's sets keep their files' names


@dataclass(frozen=True, kw_only=True)
class TorchvisionSet(Entry):
    """One data set; ``usual_names`` are what lies in torchvision's ``root``, by which it is recognized.

    Pictures of another shape lose their longer side's ends; 28x28 drawings get a black frame of 2 pixels to be 32x32.
    Where there is no published split, `TEST_SHARE` of each class, drawn from a fixed seed, is the test set.

    Attributes:
        constructor: its class in ``torchvision.datasets``.
        splits: the arguments with which torchvision makes each of our splits; "all" where there is no published one.
            The first after train is the main evaluation set.
        names: of the classes; empty where torchvision knows them.
        first_label: torchvision's label of the first class.
        transposed: the published files hold rows as columns.
    """

    constructor: str
    splits: Mapping[str, Mapping[str, object]]
    names: tuple[str, ...] = ()
    first_label: int = 0
    transposed: bool = False
    downloads: bool = True
    in_a_root: ClassVar[bool] = True

    def read(self, path: Path, size: int) -> Dataset:
        """From torchvision's ``root``, or a zip or tar file of what lies in it."""
        _check_present(self, path)

        def decode() -> Splits:
            with _open_sources(self, path) as sources:
                check_memory(sum(len(source) for source in sources.values()), (size, size))
                return {split: _decode(self, split, source, size, path) for split, source in sources.items()}

        fingerprint = torchvision_places.fingerprint(self.usual_names, path)
        splits = cached(f"{self.name}-{size}-{fingerprint}", decode)
        classes = _class_names(self, path, fingerprint)
        left_out = torchvision_places.passed_over(self.usual_names, path)
        if "all" not in splits:
            return self.in_memory(path, classes, splits, left_out)
        parts = hold_out(self.in_memory(path, classes, {"train": splits["all"]}, left_out), TEST_SHARE)
        return replace(parts, evaluation={"test": parts.evaluation[VALIDATION]})

    def examine(self, path: Path) -> Iterator[Examined]:
        """Every picture at ``path``, decoded anew at its own size."""
        _check_present(self, path)
        with _open_sources(self, path) as sources:
            for split, source in sources.items():
                for index in range(len(source)):
                    yield _examine(self, split, source, index)

    def passed_over(self, path: Path) -> PassedOver:
        """See `Entry.passed_over`."""
        _check_present(self, path)
        return torchvision_places.passed_over(self.usual_names, path)

    def is_present(self, path: Path) -> bool:
        """Whether the folder or archive ``path`` holds what the set consists of."""
        return torchvision_places.is_present(self.usual_names, path)

    def download(self, path: Path) -> None:
        """Have torchvision download the set into the folder ``path``, unless it is there.

        Raises:
            UserError: for a set that torchvision cannot download, and where it fails.
        """
        if not self.downloads:
            raise UserError(f"torchvision cannot download {self.name}: get it by hand from {self.url}")
        try:
            path.mkdir(parents=True, exist_ok=True)
            for arguments in self.splits.values():
                _constructor(self)(str(path), **arguments, download=True)
        except Exception as error:  # torchvision raises nearly anything
            raise UserError(
                f"cannot download {self.name} to {path} ({error}): get it by hand from {self.url}"
            ) from error


def _check_present(spec: TorchvisionSet, path: Path) -> None:
    if not spec.is_present(path):
        raise UserError(
            f"{spec.name} is not at {path}, where torchvision would have {', '.join(spec.usual_names)}: "
            f"{_ways_out(spec, path)}"
        )


def _ways_out(spec: TorchvisionSet, path: Path) -> str:
    if not spec.downloads:
        return f"get it by hand from {spec.url}"
    calls = []
    for arguments in spec.splits.values():
        given = "".join(f", {key}={value!r}" for key, value in arguments.items())
        calls.append(f"torchvision.datasets.{spec.constructor}({str(path)!r}{given}, download=True)")
    return f"'binorm data prepare {spec.name} --data {path}' downloads it, as in Python does {'; '.join(calls)}"


@contextmanager
def _open_sources(spec: TorchvisionSet, path: Path) -> Iterator[dict[str, Any]]:
    """Torchvision's data sets, by split."""
    with torchvision_places.as_root(spec.usual_names, path) as root:
        try:
            sources = {split: _constructor(spec)(str(root), **kwargs) for split, kwargs in _offline(spec).items()}
        except Exception as error:  # torchvision raises nearly anything
            raise UserError(
                f"torchvision cannot read {spec.name} in {path} ({error}): delete it and get it again. "
                f"{_ways_out(spec, path)}"
            ) from error
        for source in sources.values():
            if hasattr(source, "loader"):
                source.loader = _load
        yield sources


def _load(path: str | Path) -> Image.Image:
    """A file of a set as every other picture is decoded, in place of torchvision's way."""
    with open_image(Path(path).read_bytes()) as picture:
        return in_rgb(picture)


def _offline(spec: TorchvisionSet) -> dict[str, dict[str, object]]:
    """The constructor's arguments by split; some sets would download by themselves."""
    never = {"download": False} if spec.downloads else {}
    return {split: {**arguments, **never} for split, arguments in spec.splits.items()}


def _constructor(spec: TorchvisionSet) -> Any:
    return getattr(importlib.import_module("torchvision.datasets"), spec.constructor)


def _class_names(spec: TorchvisionSet, path: Path, fingerprint: str) -> tuple[str, ...]:
    """From the table, else from torchvision, whose answer is kept: to ask again may mean to unpack an archive."""
    if spec.names:
        return spec.names
    file = cache_folder() / f"{spec.name}-classes-{fingerprint}.json"
    try:
        return tuple(json.loads(file.read_text()))
    except (OSError, ValueError):
        pass
    with _open_sources(spec, path) as sources:
        source = next(iter(sources.values()))
        found = getattr(source, "classes", getattr(source, "categories", ()))
    names = tuple(each if isinstance(each, str) else each[0] for each in found)
    if len(names) != spec.classes:
        raise UserError(f"{spec.name} in {path} has {len(names)} classes, expected {spec.classes}: is it whole?")
    with suppress(UserError):  # then the pictures could not be cached either, and that was said
        write_text_atomically(file, json.dumps(names))
    return names


def _examine(spec: TorchvisionSet, split: str, source: Any, index: int) -> Examined:
    file = _file_name(source, split, index)
    try:
        picture, label = source[index]
        content = digest(in_rgb(picture).tobytes())
        return Examined(split, file, int(label) - spec.first_label, content, picture.size)
    except Exception as error:  # torchvision and Pillow raise nearly anything for damaged files
        return Examined(split, file, -1, b"", (0, 0), str(error) or type(error).__name__)


def _decode(spec: TorchvisionSet, split: str, source: Any, size: int, path: Path) -> DecodedSplit:
    images = numpy.empty((len(source), size, size, 3), dtype=numpy.uint8)
    labels: list[int] = []
    skipped = []
    for index in range(len(source)):
        try:
            picture, label = source[index]
            picture = picture.transpose(Image.Transpose.TRANSPOSE) if spec.transposed else picture
            images[len(labels)] = numpy.asarray(_fitted(in_rgb(picture), size))
            label = int(label) - spec.first_label
        except Exception as error:  # torchvision and Pillow raise nearly anything for damaged files
            file = _file_name(source, split, index)
            if split != "train":
                raise UserError(
                    f"{file} of {spec.name} in {path} is broken ({error}): "
                    "evaluation needs every picture, so replace it"
                ) from error
            skipped.append(file)
            continue
        if not 0 <= label < spec.classes:
            raise UserError(
                f"{_file_name(source, split, index)} of {spec.name} in {path} has the label {label}, "
                f"expected 0 to {spec.classes - 1}: is it whole?"
            )
        labels.append(label)
    if not labels:
        raise UserError(
            f"{split} of {spec.name} in {path} has no pictures that can be decoded ({len(skipped)} are broken)"
        )
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


def _torchvision_set(fields: dict[str, Any]) -> TorchvisionSet:
    """``photographs`` are normalized by ImageNet's mean and std, like others; other pictures by 0.5 and 0.25."""
    files, constructor, photographs = fields["usual_names"], fields["constructor"], fields.pop("photographs", False)
    return TorchvisionSet(
        needs=f"torchvision's root of {constructor}: the folder with {', '.join(files)}, or a zip of it",
        split=OWN_SPLIT * ("all" in fields["splits"]),
        mean=IMAGENET_MEAN if photographs else (0.5, 0.5, 0.5),
        std=IMAGENET_STD if photographs else (0.25, 0.25, 0.25),
        **{**fields, "names": tuple(fields.get("names", ()))},
    )


TORCHVISION_SETS = {name: _torchvision_set(fields) for name, fields in read_table("torchvision_sets.yaml").items()}
