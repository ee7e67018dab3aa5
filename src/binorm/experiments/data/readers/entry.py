"""What a data set is to the experiments: facts about it, and one way in which every one of them is read."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from binorm.experiments.common.errors import UserError
from binorm.experiments.data.dataset import TEST_SHARE, Dataset
from binorm.experiments.data.domains import DomainSet, mix
from binorm.experiments.data.readers.examination import Examined, examine_dataset
from binorm.experiments.data.readers.image_folder import DecodedSplit
from binorm.experiments.data.trees.file_tree import remarks_on
from binorm.experiments.data.trees.folder_walk import PassedOver

OWN_SPLIT = f"{TEST_SHARE:.0%} of each class, drawn with a fixed seed, are the test set"


@dataclass(frozen=True, kw_only=True)
class Entry(ABC):
    """One data set; a published layout is a subclass with its own `read`.

    Attributes:
        name: as recipes say it.
        title: what it shows.
        pictures: how many a whole copy has, by split or domain; empty where that is not known.
        classes: how many there are; 0 where the data say it.
        needs: what ``--data`` may be; empty for what is embedded.
        url: where it is published; empty for a user's own pictures.
        licence: as its authors state it; empty where it is not known here.
        usual_names: files and folders that it usually is, as published and as people pack it.
        size: height and width of its pictures in pixels; for data sets that are resized, what they are resized to.
        resizes: it can be had at other sizes.
        uniform: every picture of a whole copy has ``size`` already.
        downloads: `download` can bring it.
        split: how the test set came about, where it need not be a published one.
        mean: per colour channel, of pixels in [0, 1]; subtracted before a network sees a picture.
        std: per colour channel, of pixels in [0, 1]; divided by.
        domains: names of a whole copy's; empty for a data set without domains, and where the data say them.
    """

    name: str
    title: str
    pictures: Mapping[str, int]
    classes: int
    needs: str = ""
    url: str = ""
    licence: str = ""
    usual_names: tuple[str, ...] = ()
    size: int = 32
    resizes: bool = True
    uniform: bool = False
    downloads: bool = False
    split: str = ""
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.25, 0.25, 0.25)
    domains: tuple[str, ...] = ()
    streamed: ClassVar[bool] = False  # its pictures stay encoded, and it may have any number of classes
    # Where True, `usual_names` lie in what ``--data`` names, rather than being it.
    in_a_root: ClassVar[bool] = False

    @property
    def has_domains(self) -> bool:
        """Whether its pictures are of several domains."""
        return isinstance(self, DomainEntry)

    def load(self, path: Path | None, image_size: int = 0) -> Dataset:
        """Read it; the first time decodes, later ones are cached.

        Args:
            path: where it is.
            image_size: height and width to bring every picture to, in pixels; 0 for its own.

        Raises:
            UserError: if there is nothing, or something else, at ``path``.
        """
        if path is None:
            raise UserError("this data set is not embedded: name its place with --data")
        return self.read(path, image_size or self.size)

    @abstractmethod
    def read(self, path: Path, size: int) -> Dataset:
        """`load`, from a place and at a height and width that are given."""

    def in_memory(
        self,
        path: Path,
        classes: tuple[str, ...],
        splits: Mapping[str, DecodedSplit],
        left_out: PassedOver | None = None,
    ) -> Dataset:
        """The data set of what was decoded at ``path``: ``train``, then the evaluation sets; and what is left out."""
        evaluation = {split: decoded.images for split, decoded in splits.items() if split != "train"}
        train, skipped = splits["train"].images, splits["train"].skipped
        remarks = remarks_on(left_out or {})
        return Dataset(self.name, path.name, classes, train, evaluation, self.mean, self.std, skipped, remarks)

    def examine(self, path: Path) -> Iterator[Examined]:
        """Every picture at a place, decoded anew at its own size."""
        return examine_dataset(self.load(path))

    def passed_over(self, path: Path) -> PassedOver:
        """Names of the files at a place that are not taken, by reason; none of what is no folder of pictures."""
        return {}

    def is_present(self, path: Path) -> bool:
        """Whether a place holds it, as far as names tell."""
        return path.exists()

    def find(self, root: Path) -> Path | None:
        """What ``--data`` would be for a copy that lies in ``root`` under a usual name; None if none does."""
        if self.in_a_root:
            places = (root / self.name, root / f"{self.name}.zip", root)
            return next((place for place in places if self._holds(place)), None)
        return next((root / each for each in self.usual_names if (root / each).exists()), None)

    def _holds(self, place: Path) -> bool:
        try:
            return self.is_present(place)
        except UserError:  # a damaged file hides no other data set; whoever asks for it is told
            return False

    def download(self, path: Path) -> None:
        """Bring it to the folder ``path``.

        Raises:
            UserError: where that fails, or nobody offers it.
        """
        raise UserError(f"{self.name} cannot be downloaded: get it by hand from {self.url}")


@dataclass(frozen=True, kw_only=True)
class DomainEntry(Entry):
    """A data set of several domains."""

    def load_domains(
        self, path: Path, image_size: int = 0, shared_classes: bool = False, only: Sequence[str] | None = None
    ) -> DomainSet:
        """Read its domains; the first time decodes, later ones are cached.

        Args:
            path: where it is.
            image_size: height and width to bring every picture to, in pixels; 0 for its own.
            shared_classes: use only the classes that all chosen domains have.
            only: the domains to read; None for all.

        Raises:
            UserError: if there is nothing, or something else, at ``path``; for unknown, absent and empty domains; for
                domains with different classes; and for more than fits into memory.
        """
        return self.read_domains(path, image_size or self.size, shared_classes, only)

    @abstractmethod
    def read_domains(self, path: Path, size: int, shared_classes: bool, only: Sequence[str] | None) -> DomainSet:
        """`load_domains` at a height and width that are given."""

    @abstractmethod
    def names_at(self, path: Path) -> tuple[str, ...]:
        """The domains that are at ``path``.

        Raises:
            UserError: as `load_domains` does, as far as it is known without decoding.
        """

    def read(self, path: Path, size: int) -> Dataset:
        """All domains as one training set for plain classification, which does not tell them apart."""
        return replace(mix(self.read_domains(path, size, False, None)), domains=(), train_domains=None)
