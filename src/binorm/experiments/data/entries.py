"""Every data set by name: what it is, where it is published, what a whole copy holds, how it is read."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from binorm.experiments.common.errors import UserError
from binorm.experiments.data.dataset import Dataset
from binorm.experiments.data.domains import DomainSet, mixed
from binorm.experiments.data.readers import (
    characters,
    cifar,
    digit_domains,
    digits,
    domain_folders,
    tiny_imagenet,
    torchvision_sets,
)
from binorm.experiments.data.readers.domain_table import FOLDER_SETS, FolderSet
from binorm.experiments.data.readers.torchvision_table import TEST_SHARE, TORCHVISION_SETS, TorchvisionSet
from binorm.experiments.data.verification import Examined

OWN_SPLIT = f"{TEST_SHARE:.0%} of each class, drawn with a fixed seed, are the test set"


@dataclass(frozen=True)
class Entry:
    """One data set.

    Attributes:
        title: what it shows.
        pictures: how many a whole copy has, by split or domain; empty where that is not known.
        classes: how many there are; 0 where the data say it.
        load: reads it from a place, at a height and width in pixels (0 for its own).
        needs: what ``--data`` may be; empty for what is embedded.
        url: where it is published; empty for a user's own pictures.
        licence: as its authors state it; empty where it is not known here.
        usual_names: files and folders that it usually is, as published and as people pack it.
        size: height and width of its pictures in pixels; for data sets that are resized, what they are resized to.
        resizes: it can be had at other sizes.
        uniform: every picture of a whole copy has ``size`` already.
        is_present: whether a place has it, where ``usual_names`` lie in what ``--data`` names, rather than being it.
        examine: every picture at a place, decoded anew; without it, those that ``load`` returns.
        download: brings it to a folder.
        split: how the test set came about, where it need not be a published one.
        domains: names of a whole copy's; empty for a data set without domains, and where the data say them.
        load_domains: reads the domains from a place, at a height and width in pixels (0 for its own), with only the
            classes that all have if so asked, and only those of given names or all for None.
        domains_at: names of the domains that are at a place.
    """

    title: str
    pictures: Mapping[str, int]
    classes: int
    load: Callable[[Path | None, int], Dataset] = field(repr=False)
    needs: str = ""
    url: str = ""
    licence: str = ""
    usual_names: tuple[str, ...] = ()
    size: int = 32
    resizes: bool = True
    uniform: bool = False
    is_present: Callable[[Path], bool] | None = field(default=None, repr=False)
    examine: Callable[[Path], Iterator[Examined]] | None = field(default=None, repr=False)
    download: Callable[[Path], None] | None = field(default=None, repr=False)
    split: str = ""
    domains: tuple[str, ...] = ()
    load_domains: Callable[[Path, int, bool, Sequence[str] | None], DomainSet] | None = field(default=None, repr=False)
    domains_at: Callable[[Path], tuple[str, ...]] | None = field(default=None, repr=False)

    @property
    def has_domains(self) -> bool:
        """Whether its pictures are of several domains."""
        return self.load_domains is not None


def _at(load: Callable[[Path], Dataset]) -> Callable[[Path | None, int], Dataset]:
    """A loader of pictures of one size, which `load` here has checked."""
    return lambda path, image_size: load(_required(path))


def _as_one(domain_set: DomainSet) -> Dataset:
    """All domains as one training set for plain classification, which does not tell them apart."""
    return replace(mixed(domain_set), domains=(), train_domains=None)


def _sized(load: Callable[[Path, int], Dataset]) -> Callable[[Path | None, int], Dataset]:
    return lambda path, image_size: load(_required(path), image_size)


def _required(path: Path | None) -> Path:
    if path is None:
        raise UserError("this data set is not embedded: name its place with --data")
    return path


def _imagenet(path: Path | None, image_size: int) -> Dataset:
    from binorm.experiments.data.readers import imagenet

    return imagenet.load(_required(path), image_size)


def _cifar(number: int, load: Callable[[Path], Dataset]) -> Entry:
    return Entry(
        title=f"{'objects' if number == 10 else 'objects, fine classes'}, 32x32",
        pictures={"train": 50_000, "test": 10_000},
        classes=number,
        load=_at(load),
        needs="the folder, zip or tar file with the published Python batches or with {train,test}/<class>/ pictures",
        url="https://www.cs.toronto.edu/~kriz/cifar.html",
        usual_names=(
            f"cifar-{number}-batches-py" if number == 10 else f"cifar-{number}-python",
            f"cifar-{number}-python.tar.gz",
            f"cifar{number}",
            f"cifar{number}.zip",
        ),
        resizes=False,
        uniform=True,
        examine=partial(cifar.examine, name=f"cifar{number}"),
    )


def _icdar2005(kind: str) -> Entry:
    first, last = characters.SUBSETS[kind]
    return Entry(
        title=f"single characters in scenes{f', {kind[1:]} alone' if kind else ''}",
        pictures={},
        classes=last - first,
        load=_sized(partial(characters.load_icdar2005, subset=kind)),
        needs=_ICDAR_NEEDS,
        url="http://www.iapr-tc11.org/mediawiki/index.php/ICDAR_2005_Robust_Reading_Competitions",
        usual_names=("icdar2005", "icdar2005.zip"),
        size=characters.SIZE,
        examine=partial(characters.examine, files=characters.icdar_files, subset=kind),
    )


def _torchvision(name: str, spec: TorchvisionSet) -> Entry:
    return Entry(
        title=spec.title,
        pictures=spec.pictures,
        classes=spec.classes,
        load=_sized(partial(torchvision_sets.load, name=name)),
        needs=f"torchvision's root of {spec.constructor}: the folder with {', '.join(spec.files)}, or a zip of it",
        url=spec.url,
        licence=spec.licence,
        usual_names=spec.files,
        size=spec.size,
        is_present=partial(torchvision_sets.is_present, name),
        examine=partial(torchvision_sets.examine, name=name),
        download=partial(torchvision_sets.download, name) if spec.downloads else None,
        split=OWN_SPLIT * ("all" in spec.pictures),
    )


def _folder_domains(name: str, spec: FolderSet) -> Entry:
    load = partial(domain_folders.load, name=name)
    return Entry(
        title=spec.title,
        pictures=spec.pictures,
        classes=spec.classes,
        load=_sized(lambda path, image_size: _as_one(load(path, image_size, False, None))),
        needs=f"the folder, zip or tar file with {spec.layout}",
        url=spec.url,
        licence=spec.licence,
        usual_names=spec.usual_names,
        size=spec.size,
        examine=partial(domain_folders.examine, name=name),
        split=f"as published where a copy has its lists or folders, else {OWN_SPLIT}" if spec.has_split else OWN_SPLIT,
        domains=tuple(spec.folders),
        load_domains=load,
        domains_at=partial(domain_folders.names_at, name=name),
    )


_ICDAR_NEEDS = (
    "the folder, zip or tar file with TrialTrain/char.xml and TrialTest/char.xml beside their pictures, or with "
    "{train,test}/{digit,upper,lower}_<character>/ pictures"
)

DATASETS: dict[str, Entry] = {
    "digits": Entry(
        title="scikit-learn's handwritten digits, drawn under random styles",
        pictures={"train": 2_594, "test": 500, "unseen styles": 500},
        classes=10,
        load=lambda path, image_size: digits.load(path),
        url="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
        licence="CC BY 4.0",
        resizes=False,
        uniform=True,
    ),
    "cifar10": _cifar(10, cifar.load_cifar10),
    "cifar100": _cifar(100, cifar.load_cifar100),
    "imagenet": Entry(
        title="ImageNet's 1,000 classes (ILSVRC 2012), decoded as needed",
        pictures={"train": 1_281_167, "val": 50_000},
        classes=1_000,
        load=_imagenet,
        needs="the folder or zip with {train,val}/<wnid>/ pictures, or the folder of shards",
        url="https://www.image-net.org/",
        licence="for non-commercial research, after registration",
        usual_names=("imagenet", "imagenet-shards", "imagenet.zip", "ILSVRC2012", "ILSVRC"),
        size=224,
    ),
    "tiny-imagenet": Entry(
        title="200 of ImageNet's classes, 64x64",
        pictures={"train": 100_000, "val": 10_000},
        classes=tiny_imagenet.CLASSES,
        load=_sized(tiny_imagenet.load),
        needs="the folder or zip tiny-imagenet-200, as published",
        url="http://cs231n.stanford.edu/tiny-imagenet-200.zip",
        usual_names=("tiny-imagenet-200", "tiny-imagenet-200.zip", "tiny-imagenet"),
        size=tiny_imagenet.SIZE,
        uniform=True,
        examine=tiny_imagenet.examine,
    ),
    "icdar2003": Entry(
        title="single characters in scenes: digits, capitals, small letters",
        pictures={"train": 6_113, "test": 5_379},
        classes=62,
        load=_sized(characters.load_icdar2003),
        needs=_ICDAR_NEEDS,
        url="http://www.iapr-tc11.org/mediawiki/index.php/ICDAR_2003_Robust_Reading_Competitions",
        usual_names=("icdar2003", "icdar2003.zip"),
        size=characters.SIZE,
        examine=partial(characters.examine, files=characters.icdar_files),
    ),
    **{f"icdar2005{kind}": _icdar2005(kind) for kind in characters.SUBSETS},
    "chars74k": Entry(
        title="single characters in photographs: digits, capitals, small letters; split by us",
        pictures={"train": 5_772, "test": 1_933},
        classes=62,
        load=_sized(characters.load_chars74k),
        needs="the folder, zip or tar file with English/Img/GoodImg/, or with good/{digit,upper,lower}_<character>/",
        url="https://info-ee.surrey.ac.uk/CVSSP/demos/chars74k/",
        usual_names=("chars74k", "chars74k.zip", "EnglishImg.tgz", "English"),
        size=characters.SIZE,
        examine=partial(characters.examine, files=characters.chars74k_files),
    ),
    **{name: _torchvision(name, spec) for name, spec in TORCHVISION_SETS.items()},
    **{name: _folder_domains(name, spec) for name, spec in FOLDER_SETS.items()},
    digit_domains.NAME: Entry(
        title="digits of four kinds; MNIST-M is made here of MNIST and photographs",
        pictures={
            f"{domain} {split}": count
            for domain, splits in digit_domains.PICTURES.items()
            for split, count in splits.items()
        },
        classes=10,
        load=_sized(lambda path, image_size: _as_one(digit_domains.load(path, image_size, False, None))),
        needs="the folder with those of these that a run uses: "
        + "; ".join(f"{domain} as {files}" for domain, files in digit_domains.FILES.items())
        + "; 'binorm data' with mnist, usps and svhn says where those are published, here is where the photographs are",
        url="http://www.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/BSR/BSR_bsds500.tgz",
        usual_names=("MNIST/raw", *digit_domains.PHOTOGRAPHS, "usps.bz2", digit_domains.USPS_ARRAYS),
        size=digit_domains.SIZE,
        is_present=digit_domains.is_present,
        examine=digit_domains.examine,
        domains=tuple(digit_domains.PICTURES),
        load_domains=digit_domains.load,
        domains_at=digit_domains.names_at,
    ),
}
