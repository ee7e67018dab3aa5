"""Networks of torchvision and timm by ``torchvision:NAME`` and ``timm:NAME``, with another norm for batch norm."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

from binorm import convert_batch_norm, gate_parameters
from binorm.experiments.common.errors import UserError, lookup, nearest
from binorm.experiments.models.ibn import insert_ibn_a
from binorm.experiments.models.pretrained import load_pretrained, read_weights, same_names
from binorm.experiments.models.rival_norms import GroupNorm, SwitchableNorm2d


def create_from_zoo(name: str, num_classes: int, norm: str, weights: str = "") -> nn.Module:
    """Build ``collection:network`` and replace every batch norm by ``norm``.

    The weights, random or pretrained, are those of the network with batch norm, so that one seed gives every norm the
    same. Pretrained weights of the network with another norm are loaded after the replacement, and need that norm.

    Raises:
        UserError: for an unknown collection or network, one without batch norms, a collection not installed, and as
            `read_weights` and `load_pretrained` do.
    """
    network = _builders(name).random(num_classes)
    if not any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
        raise UserError(f"{name} has no batch norms that another norm could replace: choose another network")
    if not weights:
        return replace_batch_norms(network, name, norm)
    state = read_weights(weights, name, network)
    if same_names(state, network):
        load_pretrained(network, state, num_classes, weights)
        return replace_batch_norms(network, name, norm, pretrained=True)
    network = replace_batch_norms(network, name, norm)
    load_pretrained(network, state, num_classes, weights, fixed_gates=norm == "bn+in")
    return network


def create_pretrained(name: str) -> nn.Module:
    """Build ``collection:network`` with batch norm, its own number of classes and its default pretrained weights.

    The collection downloads them, unless it did before. Random numbers to come stay as they are.

    Raises:
        UserError: for an unknown network, one without such weights, and a failed download.
    """
    pretrained = _builders(name).pretrained
    try:
        with torch.random.fork_rng(devices=[]):
            return pretrained()
    except Exception as error:  # what downloading raises has no class in common, and differs by the libraries' versions
        problem = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise UserError(
            f"cannot get the default weights of {name} ({problem}): check the connection, or save the network's "
            "state_dict() to a file where there is one, and give that file as weights"
        ) from error


def check_zoo_name(name: str) -> None:
    """Raise a `UserError` unless there is such a network; nothing is built."""
    _builders(name)


def replace_batch_norms(network: nn.Module, name: str, norm: str, *, pretrained: bool = False) -> nn.Module:
    """Replace the batch norms of ``network``, called ``name``, by one of `NORMS`; its other weights stay.

    If it is ``pretrained``, the new norms take over what they have in common with the batch norms: weight and bias, and
    running statistics where they have any. Otherwise they start as norms do.

    Raises:
        UserError: for ibn-a in a network without stages of blocks, and for batch norms of a kind of its own.
    """
    if norm == "ibn-a":
        insert_ibn_a(network, name, pretrained=pretrained)
    elif norm in ("bin", "bn+in"):
        try:
            network = convert_batch_norm(network)
        except (TypeError, ValueError) as error:
            raise UserError(f"{name} cannot have {norm}: {error}") from error
        if norm == "bn+in":
            for gate in gate_parameters(network):
                gate.data.fill_(0.5)
                gate.requires_grad_(False)
    elif norm in _PLAIN:
        for place, module in list(network.named_modules()):
            if isinstance(module, nn.BatchNorm2d):
                network.set_submodule(place, _replacement(module, norm, pretrained))
    return network


_PLAIN: dict[str, Callable[[int], nn.Module]] = {
    "in": lambda channels: nn.InstanceNorm2d(channels, affine=True),
    "gn": GroupNorm,
    "sn": SwitchableNorm2d,
}


def _replacement(norm: nn.BatchNorm2d, name: str, pretrained: bool) -> nn.Module:
    """The new norm, followed by what timm's norms with activation do after normalizing."""
    plain = _PLAIN[name](norm.num_features)
    if pretrained:
        common = plain.state_dict().keys() & norm.state_dict().keys()
        plain.load_state_dict({key: norm.state_dict()[key] for key in common}, strict=False)
    after = [getattr(norm, part) for part in ("drop", "act") if isinstance(getattr(norm, part, None), nn.Module)]
    return nn.Sequential(plain, *after) if after else plain


class _Builders(NamedTuple):
    random: Callable[[int], nn.Module]  # of the number of classes
    pretrained: Callable[[], nn.Module]


def _builders(name: str) -> _Builders:
    collection, _, network = name.partition(":")
    return lookup("collection of networks", collection, _COLLECTIONS)(network)


def _torchvision(name: str) -> _Builders:
    import torchvision

    names = torchvision.models.list_models(module=torchvision.models)
    _check_known("torchvision", name, names)
    # Their second heads would return several logits; a start for the weights has to be named, or they warn.
    extra = {"aux_logits": False, "init_weights": True} if name in ("googlenet", "inception_v3") else {}
    return _Builders(
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
    return _Builders(
        lambda num_classes: timm.create_model(name, pretrained=False, num_classes=num_classes),
        lambda: timm.create_model(name, pretrained=True),
    )


def _check_known(collection: str, name: str, names: list[str]) -> None:
    """As `known` does, without printing hundreds of names."""
    if name not in names:
        near = nearest(name, dict.fromkeys(names)).removesuffix(".")
        raise UserError(f"unknown network {name!r} of {collection}{near} ({len(names)} are known)")


_COLLECTIONS = {"torchvision": _torchvision, "timm": _timm}
