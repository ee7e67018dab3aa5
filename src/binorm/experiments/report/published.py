"""What the paper and its authors' repository report: accuracies, gates and losses, as plain facts.

Sources: Nam & Kim, "Batch-Instance Normalization for Adaptively Style-Invariant Neural Networks", NeurIPS 2018
(arXiv 1805.07925): CIFAR and ImageNet accuracies from its tables; learning curves, gates and the losses of style
transfer read off its figures; the character data sets from the table in the authors' repository.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """A reported top-1 accuracy in percent.

    Attributes:
        mean: over the reported runs, or the one figure there is.
        std: over the reported runs; None where none is reported.
        remark: what a reader must know before comparing; empty where there is nothing.
    """

    mean: float
    std: float | None = None
    remark: str = ""


@dataclass(frozen=True)
class PublishedGates:
    """Where the gates of a trained network stand: the share of channels in each of ten bins over [0, 1].

    Attributes:
        network: as the paper calls it.
        total: all gates.
        stages: the three stages of the network in order: lower, middle, upper.
        tolerance: how exactly the shares could be read off the figure.
    """

    network: str
    total: tuple[float, ...]
    stages: tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]
    tolerance: float


GATES = PublishedGates(
    network="ResNet-110",
    total=(0.103, 0.021, 0.014, 0.010, 0.012, 0.013, 0.015, 0.022, 0.062, 0.719),
    stages=(
        (0.206, 0.049, 0.044, 0.043, 0.046, 0.037, 0.046, 0.054, 0.098, 0.381),
        (0.126, 0.028, 0.023, 0.018, 0.018, 0.021, 0.023, 0.039, 0.085, 0.631),
        (0.066, 0.010, 0.008, 0.008, 0.008, 0.008, 0.008, 0.013, 0.049, 0.840),
    ),
    tolerance=0.01,
)
PROTOCOL = "The authors' code reports the best epoch on the test set, without a validation split."

_BOTTLENECK_164 = "the authors' code builds its ResNet-110 of bottleneck blocks: 164 layers"
_BOTTLENECK_83 = "the authors' code builds its ResNet-56 of bottleneck blocks: 83 layers"
_PRERESNET = "the code base that the authors started from builds its PreResNet-110 of bottleneck blocks: 164 layers"
_CURVE = (
    "IN and BN+IN are the ends of learning curves: epochs 130 to 163 averaged, read off a figure within 0.2, where BN "
    "is at 73.2 and BIN at 76.3"
)
_UNKNOWN_SPLIT = "split, image size and recipe are not published"

# recipe -> norm -> what is reported
_Table = Mapping[str, Mapping[str, Published]]


def _once(bn: float, bin_: float, remark: str = "") -> dict[str, Published]:
    return {"bn": Published(bn, None, remark), "bin": Published(bin_, None, remark)}


def _repeated(bn: tuple[float, float], bin_: tuple[float, float], remark: str = "") -> dict[str, Published]:
    return {"bn": Published(*bn, remark), "bin": Published(*bin_, remark)}


_CIFAR10_RESNET110 = _repeated((93.72, 0.18), (94.29, 0.09), _BOTTLENECK_164)
_CIFAR100_RESNET110 = _repeated((74.26, 0.33), (75.88, 0.30), _BOTTLENECK_164) | {
    "in": Published(69.9, None, _CURVE),
    "bn+in": Published(70.7, None, _CURVE),
}
_CIFAR100_PRERESNET110 = _once(76.49, 77.84, _PRERESNET)
_CIFAR100_RESNET56 = _once(72.92, 75.05, _BOTTLENECK_83)

# The layers of the authors' network are counted in one name, its depth argument stands in the other.
_NETWORKS: _Table = {
    "cifar10-resnet110": _CIFAR10_RESNET110,
    "cifar10-resnet164": _CIFAR10_RESNET110,
    "cifar100-alexnet": _once(50.62, 51.00),
    "cifar100-vgg19": _once(72.29, 72.50),
    "cifar100-resnet56": _CIFAR100_RESNET56,
    "cifar100-resnet83": _CIFAR100_RESNET56,
    "cifar100-resnet110": _CIFAR100_RESNET110,
    "cifar100-resnet164": _CIFAR100_RESNET110,
    "cifar100-preresnet110": _CIFAR100_PRERESNET110,
    "cifar100-preresnet164": _CIFAR100_PRERESNET110,
    "cifar100-wrn28_10": _once(80.92, 81.48),
    "cifar100-resnext29_8x64d": _once(80.50, 81.57),
    "cifar100-densenet_bc100_12": _once(76.93, 77.80),
    "imagenet-resnet18": _once(69.89, 70.68),
}

_CHARACTERS: _Table = {
    "icdar2003-resnet8": _repeated((64.98, 0.63), (68.55, 0.32), _UNKNOWN_SPLIT),
    "icdar2003-resnet14": _repeated((68.27, 0.54), (70.78, 0.50), _UNKNOWN_SPLIT),
    "icdar2003-resnet20": _repeated((69.32, 0.71), (71.48, 0.27), _UNKNOWN_SPLIT),
    "icdar2003-resnet32": _repeated((69.94, 0.49), (71.83, 0.25), _UNKNOWN_SPLIT),
    "icdar2005-digits-resnet8": _repeated((58.53, 1.52), (64.52, 2.44), _UNKNOWN_SPLIT),
    "icdar2005-digits-resnet14": _repeated((73.15, 1.83), (76.45, 1.50), _UNKNOWN_SPLIT),
    "icdar2005-digits-resnet20": _repeated((77.26, 1.53), (78.78, 1.38), _UNKNOWN_SPLIT),
    "icdar2005-digits-resnet32": _repeated((78.58, 1.41), (81.62, 1.90), _UNKNOWN_SPLIT),
    "icdar2005-lower-resnet8": _repeated((83.58, 0.80), (84.22, 0.78), _UNKNOWN_SPLIT),
    "icdar2005-lower-resnet14": _repeated((87.70, 0.47), (89.20, 1.01), _UNKNOWN_SPLIT),
    "icdar2005-lower-resnet20": _repeated((89.42, 0.78), (90.35, 0.60), _UNKNOWN_SPLIT),
    "icdar2005-lower-resnet32": _repeated((89.14, 1.07), (90.26, 0.52), _UNKNOWN_SPLIT),
    "icdar2005-upper-resnet8": _repeated((83.78, 0.84), (85.76, 0.67), _UNKNOWN_SPLIT),
    "icdar2005-upper-resnet14": _repeated((87.54, 0.89), (89.05, 0.62), _UNKNOWN_SPLIT),
    "icdar2005-upper-resnet20": _repeated((88.75, 1.29), (89.43, 0.95), _UNKNOWN_SPLIT),
    "icdar2005-upper-resnet32": _repeated((89.71, 0.73), (90.62, 0.55), _UNKNOWN_SPLIT),
    "chars74k-resnet8": _repeated((72.13, 0.85), (74.77, 0.47), _UNKNOWN_SPLIT),
    "chars74k-resnet14": _repeated((76.80, 0.50), (78.11, 0.52), _UNKNOWN_SPLIT),
    "chars74k-resnet20": _repeated((77.29, 0.68), (78.39, 0.45), _UNKNOWN_SPLIT),
    "chars74k-resnet32": _repeated((78.86, 0.49), (79.18, 0.34), _UNKNOWN_SPLIT),
}


def accuracy(recipe_name: str, norm: str) -> Published | None:
    """The reported top-1 accuracy of a recipe's network on its data set; None where none is reported.

    The paper's ResNet-110 and ResNet-56 are found under both their names: the paper's (``cifar100-resnet110``) and that
    of the layers which the authors' code builds (``cifar100-resnet164``); the remark says so.

    Args:
        recipe_name: such as ``"cifar100-vgg19"``.
        norm: ``"bn"`` or ``"bin"``; for ResNet-110 on CIFAR-100 also ``"in"`` and ``"bn+in"``, from learning curves.
    """
    return (_NETWORKS.get(recipe_name) or _CHARACTERS.get(recipe_name) or {}).get(norm)


@dataclass(frozen=True)
class PublishedLoss:
    """A loss of the paper's networks, by norm.

    Attributes:
        unit: what the figures are multiples of.
        tolerance: how exactly they could be read off the figure.
        values: one for each of `ITERATIONS`, by norm.
    """

    unit: str
    tolerance: float
    values: Mapping[str, tuple[float, ...]]


ITERATIONS = (50_000, 100_000, 200_000, 234_000)
LOSSES = {
    "content": PublishedLoss(
        unit="1",
        tolerance=0.02,
        values={
            "bn": (5.40, 4.87, 4.57, 4.50),
            "in": (4.32, 3.99, 3.80, 3.75),
            "bn+in": (4.42, 4.03, 3.82, 3.77),
            "bin": (4.26, 3.93, 3.73, 3.68),
        },
    ),
    "style": PublishedLoss(
        unit="1e-5",
        tolerance=0.01,
        values={
            "bn": (2.12, 1.99, 1.87, 1.85),
            "in": (1.72, 1.60, 1.50, 1.46),
            "bn+in": (1.88, 1.73, 1.60, 1.57),
            "bin": (1.78, 1.64, 1.53, 1.51),
        },
    ),
}
