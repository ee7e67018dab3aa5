"""The networks by name."""

from collections.abc import Callable
from functools import partial
from inspect import signature

from torch import nn

from binorm.experiments.common.errors import UserError, lookup
from binorm.experiments.models.densenet import DenseNetBC
from binorm.experiments.models.fast import FastNetwork
from binorm.experiments.models.norms import NORMS, Norm, replace_batch_norms, replace_first_norms
from binorm.experiments.models.plain import CifarAlexNet, CifarVGG19, DigitNetwork
from binorm.experiments.models.preresnet import PreResNet, WideResNet
from binorm.experiments.models.resnet import (
    BOTTLENECK_DEPTHS,
    DEPTHS,
    IMAGENET_DEPTHS,
    CifarResNet,
    CifarResNeXt,
    ImageNetResNet,
)
from binorm.experiments.models.weights import DEFAULT, check_weights, load_pretrained, read_weights, same_names
from binorm.experiments.models.zoo import check_zoo_name, create_with_batch_norm, default_weights

MODELS: dict[str, Callable[..., nn.Module]] = {
    **{f"resnet{depth}": partial(CifarResNet, depth) for depth in DEPTHS},
    **{f"resnet{depth}": partial(CifarResNet, depth, bottleneck=True) for depth in BOTTLENECK_DEPTHS},
    "preresnet110": partial(PreResNet, 110),
    "preresnet164": partial(PreResNet, 164, bottleneck=True),
    "wrn28_10": partial(WideResNet, 28, 10),
    "resnext29_8x64d": partial(CifarResNeXt, 29, 8, 64),
    "densenet_bc100_12": partial(DenseNetBC, 100, 12),
    "alexnet": CifarAlexNet,
    "vgg19": CifarVGG19,
    **{f"imagenet_resnet{depth}": partial(ImageNetResNet, depth) for depth in IMAGENET_DEPTHS},
    "dann_digits": DigitNetwork,
    "fast": FastNetwork,
}


def create(name: str, num_classes: int, norm: str = "bin", dropout: float = 0.0, weights: str = "") -> nn.Module:
    """Build a network with one of `NORMS` throughout, with random or pretrained weights.

    Pretrained weights are usually those of batch norm. With norm bin every gate then starts at 1, so that in evaluation
    the network computes what the pretrained one does until a gate moves; with bn+in all gates are 0.5. The other norms
    take over weight and bias, in networks of torchvision and timm; our networks refuse that. Weights of a network with
    another norm go with that norm. Where the pretrained network has another number of classes, the head's last layer
    starts at 0. One seed gives all random weights the same start with every norm.

    Args:
        name: one of `MODELS`, or ``torchvision:NAME`` or ``timm:NAME`` for any network of these with batch norms.
        num_classes: the number of its outputs.
        norm: one of `NORMS`.
        dropout: the share of activations dropped, for networks that do so.
        weights: nothing for random ones; ``default`` for those that torchvision or timm downloads;
            ``efficientnet-lite0`` (1, 2) for those of a package, of ``timm:tf_efficientnet_lite0`` (1, 2); or a file:
            a run's ``model.safetensors``, a ``.safetensors``, ``.pth`` or ``.pt`` of a state dict.

    Raises:
        UserError: for an unknown network, norm or weights, naming the nearest known one, for dropout in a network
            without, and for weights of another network.
    """
    if num_classes < 1:
        raise UserError(f"num_classes should be at least 1 (got {num_classes})")
    record = lookup("norm", norm, NORMS)
    build = lookup("network", name, MODELS) if ":" not in name else None
    if dropout and (build is None or "dropout" not in signature(build).parameters):
        raise UserError(f"{name} takes no dropout (got {dropout}): give --dropout 0, or choose wrn28_10")
    check_weights(weights, name)
    if build is None:
        return _create_from_zoo(name, num_classes, record, weights)
    network = build(num_classes, record.layer, **({"dropout": dropout} if dropout else {}))
    replace_first_norms(network, name, record)
    if weights:
        load_pretrained(network, read_weights(weights, network), num_classes, weights)
    return network


def _create_from_zoo(name: str, num_classes: int, norm: Norm, weights: str) -> nn.Module:
    """Weights of batch norm are loaded before the norms are replaced, those of another norm after it."""
    network = create_with_batch_norm(name, num_classes)
    if not weights:
        return replace_batch_norms(network, name, norm)
    state = default_weights(name, network) if weights == DEFAULT else read_weights(weights, network)
    of_batch_norm = same_names(state, network)
    if not of_batch_norm:
        network = replace_batch_norms(network, name, norm)
    load_pretrained(network, state, num_classes, weights)
    return replace_batch_norms(network, name, norm, pretrained=True) if of_batch_norm else network


def check_name(name: str) -> None:
    """Raise the `UserError` of `create` for an unknown network, without building anything."""
    if ":" in name:
        check_zoo_name(name)
    else:
        lookup("network", name, MODELS)
