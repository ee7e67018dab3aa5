"""Every data set by name, in the order in which people see them: a reader's file and a line here is a data set."""

from binorm.experiments.data.readers.characters import CHARS74K, ICDAR2003, ICDAR2005
from binorm.experiments.data.readers.cifar import CIFAR10, CIFAR100
from binorm.experiments.data.readers.digit_domains import DIGIT_DOMAINS
from binorm.experiments.data.readers.digits import DIGITS
from binorm.experiments.data.readers.domain_folders import FOLDER_SETS
from binorm.experiments.data.readers.entry import Entry
from binorm.experiments.data.readers.imagenet import IMAGENET
from binorm.experiments.data.readers.own_folder import OWN_FOLDER
from binorm.experiments.data.readers.tiny_imagenet import TINY_IMAGENET
from binorm.experiments.data.readers.torchvision_sets import TORCHVISION_SETS

_ENTRIES: tuple[Entry, ...] = (
    DIGITS,
    CIFAR10,
    CIFAR100,
    IMAGENET,
    TINY_IMAGENET,
    ICDAR2003,
    *ICDAR2005,
    CHARS74K,
    *TORCHVISION_SETS.values(),
    OWN_FOLDER,
    *FOLDER_SETS.values(),
    DIGIT_DOMAINS,
)

DATASETS: dict[str, Entry] = {entry.name: entry for entry in _ENTRIES}
