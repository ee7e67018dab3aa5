"""Networks of torchvision and timm by ``torchvision:NAME`` and ``timm:NAME``, and their pretrained weights."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from binorm.experiments.common.errors import UserError, lookup, nearest
from binorm.experiments.common.images import IMAGENET_MEAN, IMAGENET_STD


def create_with_batch_norm(name: str, num_classes: int) -> nn.Module:
    """Build ``collection:network`` as it is there, with batch norms and random weights.

    Raises:
        UserError: for an unknown collection or network, one without batch norms, and a collection not installed.
    """
    network = _builders(name)[0](num_classes)
    if not any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
        raise UserError(f"{name} has no batch norms that another norm could replace: choose another network")
    return network


def default_weights(name: str, network: nn.Module) -> dict[str, Tensor]:
    """The pretrained weights that the collection has for ``collection:network``, of its own number of classes.

    The collection downloads them, unless it did before. Random numbers to come stay as they are; ``network``, which
    they are for, changes in the settings of its input alone.

    Raises:
        UserError: for an unknown network, one without such weights, and a failed download.
    """
    _, pretrained = _builders(name)
    try:
        with torch.random.fork_rng(devices=[]):
            reference = pretrained()
    except Exception as error:  # what downloading raises has no class in common, and differs by the libraries' versions
        problem = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise UserError(
            f"cannot get the default weights of {name} ({problem}): check the connection, or save the network's "
            "state_dict() to a file where there is one, and give that file as weights"
        ) from error
    if hasattr(reference, "transform_input"):  # GoogLeNet's and Inception's weights are for another range
        network.transform_input = reference.transform_input
    return reference.state_dict()


ExpectedInput = tuple[int, int, int, tuple[float, float, float], tuple[float, float, float], str]
"""Height, width, short side, mean, standard deviation and interpolation."""


def expected_input(name: str, network: nn.Module) -> ExpectedInput:
    """What the default weights of ``name`` expect of pictures, as the collection says it.

    A short side of 0 says that the whole picture is brought to height and width. Our own networks, and those of which a
    collection says nothing, get 224 pixels of a short side of 256 and ImageNet's mean and deviation.
    """
    collection, _, own = name.partition(":")
    if collection == "timm" and hasattr(network, "pretrained_cfg"):
        return _timm_input(network)
    if collection == "torchvision":
        from torchvision.models import get_model_weights

        transforms = get_model_weights(own).DEFAULT.transforms()
        if hasattr(transforms, "crop_size"):
            side, short = int(transforms.crop_size[0]), int(transforms.resize_size[0])
            interpolation = _known(str(transforms.interpolation.value))
            return side, side, max(side, short), _three(transforms.mean), _three(transforms.std), interpolation
    return 224, 224, 256, IMAGENET_MEAN, IMAGENET_STD, "bilinear"


def _timm_input(network: nn.Module) -> ExpectedInput:
    from timm.data.config import resolve_data_config

    found = resolve_data_config({}, model=network)  # type: ignore[no-untyped-call]
    height, width = (int(each) for each in found["input_size"][1:])
    cut = height == width and found.get("crop_mode", "center") != "squash"
    short = max(int(height / float(found["crop_pct"])), height) if cut else 0
    return height, width, short, _three(found["mean"]), _three(found["std"]), _known(str(found["interpolation"]))


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = (float(each) for each in values)
    return red, green, blue


def _known(interpolation: str) -> str:
    """The one of ours that is nearest."""
    return "bicubic" if interpolation in ("bicubic", "lanczos") else "bilinear"


def check_zoo_name(name: str) -> None:
    """Raise a `UserError` unless there is such a network; nothing is built."""
    _builders(name)


# How a network is made with random weights for a number of classes, and with pretrained ones.
_Builders = tuple[Callable[[int], nn.Module], Callable[[], nn.Module]]


def _builders(name: str) -> _Builders:
    collection, _, network = name.partition(":")
    return lookup("collection of networks", collection, _COLLECTIONS)(network)


def _torchvision(name: str) -> _Builders:
    import torchvision

    names = torchvision.models.list_models(module=torchvision.models)
    _check_known("torchvision", name, names)
    # Their second heads would return several logits; a start for the weights has to be named, or they warn.
    extra = {"aux_logits": False, "init_weights": True} if name in ("googlenet", "inception_v3") else {}
    return (
        lambda num_classes: torchvision.models.get_model(name, weights=None, num_classes=num_classes, **extra),
        lambda: _without_second_head(torchvision.models.get_model(name, weights="DEFAULT", progress=False)),
    )


def _without_second_head(network: nn.Module) -> nn.Module:
    """Inception's, which torchvision builds with pretrained weights by default."""
    if hasattr(network, "AuxLogits"):
        vars(network)["aux_logits"] = False
        network.register_module("AuxLogits", None)
    return network


def _timm(name: str) -> _Builders:
    try:
        import timm
    except ImportError as error:
        raise UserError(f"timm:{name} needs timm: pip install timm") from error
    _check_known("timm", name, timm.list_models())
    return (
        lambda num_classes: timm.create_model(name, pretrained=False, num_classes=num_classes),
        lambda: timm.create_model(name, pretrained=True),
    )


def _check_known(collection: str, name: str, names: list[str]) -> None:
    """As `lookup` does, without printing hundreds of names."""
    if name not in names:
        near = nearest(name, dict.fromkeys(names)).removesuffix(".")
        raise UserError(f"unknown network {name!r} of {collection}{near} ({len(names)} are known)")


_COLLECTIONS = {"torchvision": _torchvision, "timm": _timm}
