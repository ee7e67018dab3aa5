"""The classification data sets that torchvision offers and that fit into memory: what each is and how it is read."""

import string
from collections.abc import Mapping
from dataclasses import dataclass

DIGITS = tuple(string.digits)
TEST_SHARE = 0.2  # of each class, drawn with seed 0, where a set has no published split

Splits = Mapping[str, Mapping[str, object]]
"""For each of our splits, the arguments with which torchvision makes it; "all" where there is no published split."""

BY_FLAG: Splits = {"train": {"train": True}, "test": {"train": False}}
UNSPLIT: Splits = {"all": {}}


def _named(*names: str, **arguments: object) -> Splits:
    """Splits called ``train`` and as given; ``train=name`` names torchvision's training split where it differs."""
    return {split: {"split": split, **arguments} for split in ("train", *names)}


@dataclass(frozen=True)
class TorchvisionSet:
    """One data set.

    Attributes:
        constructor: its class in ``torchvision.datasets``.
        title: what it shows.
        splits: see `Splits`; the first after train is the main evaluation set.
        files: what lies in torchvision's ``root``, by which it is recognized.
        size: height and width that its pictures are brought to, in pixels.
        pictures: published counts, by split.
        classes: how many there are.
        url: where it is published.
        licence: as its authors state it; empty where it is not known here.
        names: of the classes; empty where torchvision knows them.
        photographs: normalized by ImageNet's statistics, like other photographs; else by 0.5 and 0.25.
        first_label: torchvision's label of the first class.
        transposed: the published files hold rows as columns.
        downloads: torchvision can download it.
    """

    constructor: str
    title: str
    splits: Splits
    files: tuple[str, ...]
    size: int
    pictures: Mapping[str, int]
    classes: int
    url: str
    licence: str = ""
    names: tuple[str, ...] = ()
    photographs: bool = False
    first_label: int = 0
    transposed: bool = False
    downloads: bool = True

    @property
    def mean(self) -> tuple[float, float, float]:
        """Of each colour channel, to normalize by."""
        return (0.485, 0.456, 0.406) if self.photographs else (0.5, 0.5, 0.5)

    @property
    def std(self) -> tuple[float, float, float]:
        """Of each colour channel, to normalize by."""
        return (0.229, 0.224, 0.225) if self.photographs else (0.25, 0.25, 0.25)


def _mnist(constructor: str, title: str, url: str, licence: str, names: tuple[str, ...] = DIGITS) -> TorchvisionSet:
    counts = {"train": 60_000, "test": 60_000 if constructor == "QMNIST" else 10_000}
    return TorchvisionSet(
        constructor, title, BY_FLAG, (f"{constructor}/raw",), 32, counts, 10, url, licence, names=names
    )


def _emnist(part: str, title: str, train: int, test: int, names: str, first_label: int = 0) -> TorchvisionSet:
    return TorchvisionSet(
        "EMNIST",
        title,
        {split: {"split": part, **arguments} for split, arguments in BY_FLAG.items()},
        tuple(
            f"EMNIST/raw/emnist-{part}-{split}-{kind}-ubyte"
            for split in ("train", "test")
            for kind in ("images-idx3", "labels-idx1")
        ),
        32,
        {"train": train, "test": test},
        len(names),
        "https://www.nist.gov/itl/products-and-services/emnist-dataset",
        names=tuple(names),
        first_label=first_label,
        transposed=True,
    )


def _photographs(
    constructor: str,
    title: str,
    splits: Splits,
    files: tuple[str, ...],
    counts: tuple[int, ...],
    classes: int,
    url: str,
    licence: str = "",
    size: int = 64,
    downloads: bool = True,
) -> TorchvisionSet:
    pictures = dict(zip(splits, counts, strict=True))
    return TorchvisionSet(
        constructor, title, splits, files, size, pictures, classes, url, licence, photographs=True, downloads=downloads
    )


_MERGED_LETTERS = string.ascii_uppercase + "abdefghnqrt"  # 15 small letters look like their capitals
_FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_KUZUSHIJI = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
_EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")

TORCHVISION_SETS: dict[str, TorchvisionSet] = {
    "svhn": TorchvisionSet(
        "SVHN",
        "house numbers in street photographs, cropped digits (without the extra training set)",
        _named("test"),
        ("train_32x32.mat", "test_32x32.mat"),
        32,
        {"train": 73_257, "test": 26_032},
        10,
        "http://ufldl.stanford.edu/housenumbers/",
        "for non-commercial use only",
        names=DIGITS,
    ),
    "mnist": _mnist("MNIST", "handwritten digits", "http://yann.lecun.com/exdb/mnist/", ""),
    "fashion-mnist": _mnist(
        "FashionMNIST", "pieces of clothing", "https://github.com/zalandoresearch/fashion-mnist", "MIT", _FASHION
    ),
    "kmnist": _mnist(
        "KMNIST", "cursive Japanese characters", "http://codh.rois.ac.jp/kmnist/", "CC BY-SA 4.0", _KUZUSHIJI
    ),
    "qmnist": _mnist(
        "QMNIST", "MNIST with 60,000 test digits", "https://github.com/facebookresearch/qmnist", "BSD 3-Clause"
    ),
    "emnist-balanced": _emnist(
        "balanced", "handwritten digits and letters, equally often", 112_800, 18_800, string.digits + _MERGED_LETTERS
    ),
    "emnist-letters": _emnist("letters", "handwritten letters", 124_800, 20_800, string.ascii_lowercase, 1),
    "emnist-digits": _emnist("digits", "handwritten digits", 240_000, 40_000, string.digits),
    "emnist-byclass": _emnist(
        "byclass", "handwritten characters", 697_932, 116_323, string.digits + string.ascii_letters.swapcase()
    ),
    "usps": TorchvisionSet(
        "USPS",
        "handwritten digits of postal codes, 16x16",
        BY_FLAG,
        ("usps.bz2", "usps.t.bz2"),
        32,
        {"train": 7_291, "test": 2_007},
        10,
        "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass.html#usps",
        names=DIGITS,
    ),
    "semeion": TorchvisionSet(
        "SEMEION",
        "handwritten digits, 16x16, black and white",
        UNSPLIT,
        ("semeion.data",),
        32,
        {"all": 1_593},
        10,
        "https://archive.ics.uci.edu/dataset/178/semeion+handwritten+digit",
        "CC BY 4.0",
        names=DIGITS,
    ),
    "fer2013": TorchvisionSet(
        "FER2013",
        "emotions of faces, grey, 48x48 (needs fer2013.csv or icml_face_data.csv, which label the test set)",
        _named("test"),
        ("fer2013",),
        48,
        {"train": 28_709, "test": 7_178},
        7,
        "https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge",
        names=_EMOTIONS,
        downloads=False,
    ),
    "gtsrb": TorchvisionSet(
        "GTSRB",
        "German traffic signs",
        _named("test"),
        ("gtsrb",),
        32,
        {"train": 26_640, "test": 12_630},
        43,
        "https://benchmark.ini.rub.de/",
        names=tuple(str(sign) for sign in range(43)),
    ),
    "pcam": TorchvisionSet(
        "PCAM",
        "metastases in tissue, 96x96; needs h5py, and gdown to download",
        _named("test", "val"),
        ("pcam",),
        64,
        {"train": 262_144, "test": 32_768, "val": 32_768},
        2,
        "https://github.com/basveeling/pcam",
        "CC0",
        names=("no metastasis", "metastasis"),
    ),
    "stl10": _photographs(
        "STL10",
        "animals and vehicles, 96x96 (without the unlabelled pictures)",
        _named("test"),
        ("stl10_binary",),
        (5_000, 8_000),
        10,
        "https://cs.stanford.edu/~acoates/stl10/",
        size=96,
    ),
    "flowers102": _photographs(
        "Flowers102",
        "flowers",
        _named("test", "val"),
        ("flowers-102",),
        (1_020, 6_149, 1_020),
        102,
        "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/",
    ),
    "dtd": _photographs(
        "DTD",
        "describable textures, first partition",
        _named("test", "val", partition=1),
        ("dtd",),
        (1_880, 1_880, 1_880),
        47,
        "https://www.robots.ox.ac.uk/~vgg/data/dtd/",
        "for research",
    ),
    "eurosat": _photographs(
        "EuroSAT",
        "land use from the satellite, 64x64",
        UNSPLIT,
        ("eurosat",),
        (27_000,),
        10,
        "https://github.com/phelber/eurosat",
        "MIT",
    ),
    "food101": _photographs(
        "Food101",
        "dishes; the training labels are noisy",
        _named("test"),
        ("food-101",),
        (75_750, 25_250),
        101,
        "https://data.vision.ee.ethz.ch/cvl/datasets_extra/food-101/",
    ),
    "oxford-pets": _photographs(
        "OxfordIIITPet",
        "breeds of cats and dogs",
        {"train": {"split": "trainval"}, "test": {"split": "test"}},
        ("oxford-iiit-pet",),
        (3_680, 3_669),
        37,
        "https://www.robots.ox.ac.uk/~vgg/data/pets/",
        "CC BY-SA 4.0",
    ),
    "fgvc-aircraft": _photographs(
        "FGVCAircraft",
        "variants of aircraft; training and validation pictures together",
        {"train": {"split": "trainval"}, "test": {"split": "test"}},
        ("fgvc-aircraft-2013b",),
        (6_667, 3_333),
        100,
        "https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/",
        "for non-commercial research",
    ),
    "stanford-cars": _photographs(
        "StanfordCars",
        "models of cars",
        _named("test"),
        ("stanford_cars",),
        (8_144, 8_041),
        196,
        "https://github.com/pytorch/vision/issues/7545",
        "for non-commercial research",
        downloads=False,
    ),
    "country211": _photographs(
        "Country211",
        "which country a photograph was taken in",
        _named("test", "valid"),
        ("country211",),
        (31_650, 21_100, 10_550),
        211,
        "https://github.com/openai/CLIP/blob/main/data/country211.md",
    ),
    "rendered-sst2": _photographs(
        "RenderedSST2",
        "sentences as pictures, by sentiment",
        _named("test", "val"),
        ("rendered-sst2",),
        (6_920, 1_821, 872),
        2,
        "https://github.com/openai/CLIP/blob/main/data/rendered-sst2.md",
        size=128,
    ),
    "imagenette": _photographs(
        "Imagenette",
        "ten easy classes of ImageNet, short side 320",
        _named("val", size="320px"),
        ("imagenette2-320",),
        (9_469, 3_925),
        10,
        "https://github.com/fastai/imagenette",
        size=128,
    ),
    "caltech101": _photographs(
        "Caltech101",
        "objects (without the background class)",
        UNSPLIT,
        ("caltech101/101_ObjectCategories",),
        (8_677,),
        101,
        "https://data.caltech.edu/records/mzrjq-6wc02",
        "CC BY 4.0",
    ),
    "caltech256": _photographs(
        "Caltech256",
        "objects and clutter",
        UNSPLIT,
        ("caltech256/256_ObjectCategories",),
        (30_607,),
        257,
        "https://data.caltech.edu/records/nyy15-4j048",
        "CC BY 4.0",
    ),
}
