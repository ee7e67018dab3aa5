"""Networks of torchvision and timm by ``torchvision:NAME`` and ``timm:NAME``, with another norm for batch norm."""

from collections.abc import Callable

from torch import nn

from binorm import convert_batch_norm, gate_parameters
from binorm.experiments.errors import UserError, known, nearest
from binorm.experiments.models.ibn import insert_ibn_a
from binorm.experiments.models.rival_norms import GroupNorm, SwitchableNorm2d


def create_from_zoo(name: str, num_classes: int, norm: str) -> nn.Module:
    """Build ``collection:network`` with random weights and replace every batch norm by ``norm``.

    The weights are those of the network with batch norm, so that one seed gives every norm the same.

    Raises:
        UserError: for an unknown collection or network, one without batch norms, and a collection not installed.
    """
    network = _builder(name)(num_classes)
    if not any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
        raise UserError(f"{name} has no batch norms that another norm could replace: choose another network")
    return replace_batch_norms(network, name, norm)


def check_zoo_name(name: str) -> None:
    """Raise a `UserError` unless there is such a network; nothing is built."""
    _builder(name)


def replace_batch_norms(network: nn.Module, name: str, norm: str) -> nn.Module:
    """Replace the batch norms of ``network``, called ``name``, by one of `NORMS`; its other weights stay.

    Raises:
        UserError: for ibn-a in a network without stages of blocks, and for batch norms of a kind of its own.
    """
    if norm == "ibn-a":
        insert_ibn_a(network, name)
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
                network.set_submodule(place, _replacement(module, norm))
    return network


_PLAIN: dict[str, Callable[[int], nn.Module]] = {
    "in": lambda channels: nn.InstanceNorm2d(channels, affine=True),
    "gn": GroupNorm,
    "sn": SwitchableNorm2d,
}


def _replacement(norm: nn.BatchNorm2d, name: str) -> nn.Module:
    """The new norm, followed by what timm's norms with activation do after normalizing."""
    plain = _PLAIN[name](norm.num_features)
    after = [getattr(norm, part) for part in ("drop", "act") if isinstance(getattr(norm, part, None), nn.Module)]
    return nn.Sequential(plain, *after) if after else plain


def _builder(name: str) -> Callable[[int], nn.Module]:
    collection, _, network = name.partition(":")
    return known("collection of networks", collection, _COLLECTIONS)(network)


def _torchvision(name: str) -> Callable[[int], nn.Module]:
    import torchvision

    names = torchvision.models.list_models(module=torchvision.models)
    _check_known("torchvision", name, names)
    # Their second heads would return several logits; a start for the weights has to be named, or they warn.
    extra = {"aux_logits": False, "init_weights": True} if name in ("googlenet", "inception_v3") else {}
    return lambda num_classes: torchvision.models.get_model(name, weights=None, num_classes=num_classes, **extra)


def _timm(name: str) -> Callable[[int], nn.Module]:
    try:
        import timm
    except ImportError as error:
        raise UserError(f"timm:{name} needs timm: pip install timm") from error
    _check_known("timm", name, timm.list_models())
    return lambda num_classes: timm.create_model(name, pretrained=False, num_classes=num_classes)


def _check_known(collection: str, name: str, names: list[str]) -> None:
    """As `known` does, without printing hundreds of names."""
    if name not in names:
        near = nearest(name, dict.fromkeys(names)).removesuffix(".")
        raise UserError(f"unknown network {name!r} of {collection}{near} ({len(names)} are known)")


_COLLECTIONS = {"torchvision": _torchvision, "timm": _timm}
