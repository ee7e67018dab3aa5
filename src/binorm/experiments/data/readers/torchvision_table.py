"""The classification data sets that torchvision offers and that fit into memory: what each is and how it is read."""

import string
from collections.abc import Mapping

from binorm.experiments.data.entry import OWN_SPLIT
from binorm.experiments.data.readers.torchvision_sets import Splits, TorchvisionSet

DIGITS = tuple(string.digits)

BY_FLAG: Splits = {"train": {"train": True}, "test": {"train": False}}
UNSPLIT: Splits = {"all": {}}


def _named(*names: str, **arguments: object) -> Splits:
    """Splits called ``train`` and as given; ``train=name`` names torchvision's training split where it differs."""
    return {split: {"split": split, **arguments} for split in ("train", *names)}


def _set(
    name: str,
    constructor: str,
    title: str,
    splits: Splits,
    files: tuple[str, ...],
    size: int,
    pictures: Mapping[str, int],
    classes: int,
    url: str,
    licence: str = "",
    names: tuple[str, ...] = (),
    photographs: bool = False,
    first_label: int = 0,
    transposed: bool = False,
    downloads: bool = True,
) -> TorchvisionSet:
    return TorchvisionSet(
        name=name,
        constructor=constructor,
        title=title,
        splits=splits,
        usual_names=files,
        size=size,
        pictures=pictures,
        classes=classes,
        url=url,
        licence=licence,
        names=names,
        photographs=photographs,
        first_label=first_label,
        transposed=transposed,
        downloads=downloads,
        needs=f"torchvision's root of {constructor}: the folder with {', '.join(files)}, or a zip of it",
        split=OWN_SPLIT * ("all" in pictures),
    )


def _mnist(
    name: str, constructor: str, title: str, url: str, licence: str, names: tuple[str, ...] = DIGITS
) -> TorchvisionSet:
    counts = {"train": 60_000, "test": 60_000 if constructor == "QMNIST" else 10_000}
    return _set(name, constructor, title, BY_FLAG, (f"{constructor}/raw",), 32, counts, 10, url, licence, names=names)


def _emnist(part: str, title: str, train: int, test: int, names: str, first_label: int = 0) -> TorchvisionSet:
    return _set(
        f"emnist-{part}",
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
    name: str,
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
    return _set(
        name,
        constructor,
        title,
        splits,
        files,
        size,
        pictures,
        classes,
        url,
        licence,
        photographs=True,
        downloads=downloads,
    )


_MERGED_LETTERS = string.ascii_uppercase + "abdefghnqrt"  # 15 small letters look like their capitals
_FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_KUZUSHIJI = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
_EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")

_SETS = (
    _set(
        "svhn",
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
    _mnist("mnist", "MNIST", "handwritten digits", "http://yann.lecun.com/exdb/mnist/", ""),
    _mnist(
        "fashion-mnist",
        "FashionMNIST",
        "pieces of clothing",
        "https://github.com/zalandoresearch/fashion-mnist",
        "MIT",
        _FASHION,
    ),
    _mnist(
        "kmnist", "KMNIST", "cursive Japanese characters", "http://codh.rois.ac.jp/kmnist/", "CC BY-SA 4.0", _KUZUSHIJI
    ),
    _mnist(
        "qmnist",
        "QMNIST",
        "MNIST with 60,000 test digits",
        "https://github.com/facebookresearch/qmnist",
        "BSD 3-Clause",
    ),
    _emnist(
        "balanced", "handwritten digits and letters, equally often", 112_800, 18_800, string.digits + _MERGED_LETTERS
    ),
    _emnist("letters", "handwritten letters", 124_800, 20_800, string.ascii_lowercase, 1),
    _emnist("digits", "handwritten digits", 240_000, 40_000, string.digits),
    _emnist("byclass", "handwritten characters", 697_932, 116_323, string.digits + string.ascii_letters.swapcase()),
    _set(
        "usps",
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
    _set(
        "semeion",
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
    _set(
        "fer2013",
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
    _set(
        "gtsrb",
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
    _set(
        "pcam",
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
    _photographs(
        "stl10",
        "STL10",
        "animals and vehicles, 96x96 (without the unlabelled pictures)",
        _named("test"),
        ("stl10_binary",),
        (5_000, 8_000),
        10,
        "https://cs.stanford.edu/~acoates/stl10/",
        size=96,
    ),
    _photographs(
        "flowers102",
        "Flowers102",
        "flowers",
        _named("test", "val"),
        ("flowers-102",),
        (1_020, 6_149, 1_020),
        102,
        "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/",
    ),
    _photographs(
        "dtd",
        "DTD",
        "describable textures, first partition",
        _named("test", "val", partition=1),
        ("dtd",),
        (1_880, 1_880, 1_880),
        47,
        "https://www.robots.ox.ac.uk/~vgg/data/dtd/",
        "for research",
    ),
    _photographs(
        "eurosat",
        "EuroSAT",
        "land use from the satellite, 64x64",
        UNSPLIT,
        ("eurosat",),
        (27_000,),
        10,
        "https://github.com/phelber/eurosat",
        "MIT",
    ),
    _photographs(
        "food101",
        "Food101",
        "dishes; the training labels are noisy",
        _named("test"),
        ("food-101",),
        (75_750, 25_250),
        101,
        "https://data.vision.ee.ethz.ch/cvl/datasets_extra/food-101/",
    ),
    _photographs(
        "oxford-pets",
        "OxfordIIITPet",
        "breeds of cats and dogs",
        {"train": {"split": "trainval"}, "test": {"split": "test"}},
        ("oxford-iiit-pet",),
        (3_680, 3_669),
        37,
        "https://www.robots.ox.ac.uk/~vgg/data/pets/",
        "CC BY-SA 4.0",
    ),
    _photographs(
        "fgvc-aircraft",
        "FGVCAircraft",
        "variants of aircraft; training and validation pictures together",
        {"train": {"split": "trainval"}, "test": {"split": "test"}},
        ("fgvc-aircraft-2013b",),
        (6_667, 3_333),
        100,
        "https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/",
        "for non-commercial research",
    ),
    _photographs(
        "stanford-cars",
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
    _photographs(
        "country211",
        "Country211",
        "which country a photograph was taken in",
        _named("test", "valid"),
        ("country211",),
        (31_650, 21_100, 10_550),
        211,
        "https://github.com/openai/CLIP/blob/main/data/country211.md",
    ),
    _photographs(
        "rendered-sst2",
        "RenderedSST2",
        "sentences as pictures, by sentiment",
        _named("test", "val"),
        ("rendered-sst2",),
        (6_920, 1_821, 872),
        2,
        "https://github.com/openai/CLIP/blob/main/data/rendered-sst2.md",
        size=128,
    ),
    _photographs(
        "imagenette",
        "Imagenette",
        "ten easy classes of ImageNet, short side 320",
        _named("val", size="320px"),
        ("imagenette2-320",),
        (9_469, 3_925),
        10,
        "https://github.com/fastai/imagenette",
        size=128,
    ),
    _photographs(
        "caltech101",
        "Caltech101",
        "objects (without the background class)",
        UNSPLIT,
        ("caltech101/101_ObjectCategories",),
        (8_677,),
        101,
        "https://data.caltech.edu/records/mzrjq-6wc02",
        "CC BY 4.0",
    ),
    _photographs(
        "caltech256",
        "Caltech256",
        "objects and clutter",
        UNSPLIT,
        ("caltech256/256_ObjectCategories",),
        (30_607,),
        257,
        "https://data.caltech.edu/records/nyy15-4j048",
        "CC BY 4.0",
    ),
)

TORCHVISION_SETS: dict[str, TorchvisionSet] = {each.name: each for each in _SETS}
