"""The networks by name."""

from functools import partial

from torch import nn

from binorm.experiments.errors import UserError, known
from binorm.experiments.models.cifar_resnet import DEPTHS, CifarResNet
from binorm.experiments.models.ibn import insert_ibn_a
from binorm.experiments.models.norms import NORMS

MODELS = {f"resnet{depth}": partial(CifarResNet, depth) for depth in DEPTHS}


def create(name: str, num_classes: int, norm: str = "bin") -> nn.Module:
    """Build a network by name, with one of `NORMS` throughout.

    Raises:
        UserError: for an unknown network or norm; it names the nearest known one.
    """
    if num_classes < 1:
        raise UserError(f"num_classes should be at least 1 (got {num_classes})")
    network = known("network", name, MODELS)(num_classes, known("norm", norm, NORMS))
    if norm == "ibn-a":
        insert_ibn_a(network, name)
    return network
