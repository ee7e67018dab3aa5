"""From batch norm to batch-instance norm and back, in networks that are built already."""

from typing import cast

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.lazy import LazyModuleMixin

from binorm.modules import BatchInstanceNorm1d, BatchInstanceNorm2d, BatchInstanceNorm3d, _BatchInstanceNorm
from binorm.norm_act import BatchInstanceNormAct2d
from binorm.norm_layers import freeze_, is_frozen
from binorm.sync import SyncBatchInstanceNorm, SyncBatchInstanceNormAct2d

_COUNTERPARTS: dict[type[nn.Module], type[_BatchInstanceNorm]] = {
    nn.BatchNorm1d: BatchInstanceNorm1d,
    nn.BatchNorm2d: BatchInstanceNorm2d,
    nn.BatchNorm3d: BatchInstanceNorm3d,
    nn.SyncBatchNorm: SyncBatchInstanceNorm,
}
_BATCH_NORMS = {counterpart: batch_norm for batch_norm, counterpart in _COUNTERPARTS.items()}
# By name: timm is not imported here. The way back takes the class that the layer was converted from.
_TIMM_COUNTERPARTS: dict[str, type[_BatchInstanceNorm]] = {
    "BatchNormAct2d": BatchInstanceNormAct2d,
    "SyncBatchNormAct": SyncBatchInstanceNormAct2d,
}


def convert_batch_norm(model: nn.Module) -> nn.Module:
    """Turn every batch norm of a network into a batch-instance norm with gate 1, which is batch norm.

    ``nn.BatchNorm1d``, ``2d`` and ``3d``, ``nn.SyncBatchNorm`` (with its process group) and timm's ``BatchNormAct2d``
    and ``SyncBatchNormAct`` (with their activation and drop layer) become `BatchInstanceNorm1d`, ``2d`` and ``3d``,
    `SyncBatchInstanceNorm` and `BatchInstanceNormAct2d`. In place: each layer stays the object that it is, with its
    parameters, buffers, settings, mode and hooks, and gets a gate. So an optimizer that holds the parameters goes on
    with them; the gates are new to it, and need gradients even where the other parameters are frozen (but for layers
    under `binorm.freeze_`): add them, or make it anew with `binorm.param_groups`. Convert before the network is wrapped
    in ``DistributedDataParallel``.

    On the CPU, evaluation (with running statistics and without gradients) gives the bits that it gave before;
    otherwise, and on other devices, the same values to rounding. Batch-instance norms that are there already are left
    as they are. So are torchvision's and timm's frozen batch norms, which are constants and no batch norms.

    Args:
        model: a network, or one norm.

    Returns:
        ``model`` itself.

    Raises:
        ValueError: where there is neither a batch norm nor a batch-instance norm, as in networks with layer norm, and
            for a lazy batch norm that has seen no batch yet.
        TypeError: for a subclass of batch norm, or a layer whose ``forward`` was replaced: what it adds would be lost.
            Both name the layer, and leave all layers as they were.

    Example:
        >>> model = torchvision.models.resnet18(weights="DEFAULT")
        >>> model = binorm.convert_batch_norm(model)
        >>> optimizer = torch.optim.SGD(binorm.param_groups(model, lr=0.01), momentum=0.9)
    """
    norms = {norm: name for name, norm in _norms(model).items() if isinstance(norm, _BatchNorm)}
    counterparts = [(norm, _counterpart(norm, name)) for norm, name in norms.items()]  # all, before the first changes
    for norm, counterpart in counterparts:
        _add_gate(norm, counterpart, model)
    return model


def revert_to_batch_norm(model: nn.Module, *, tolerance: float = 0.0) -> nn.Module:
    """Turn every batch-instance norm whose gates are 1 back into a batch norm: the way back of `convert_batch_norm`.

    In place, like there. A `BatchInstanceNormAct2d` becomes the layer of timm that it was converted from.

    Args:
        model: a network, or one norm.
        tolerance: gates from 1 - ``tolerance`` on count as 1; outputs then change by as much as they were below 1.

    Returns:
        ``model`` itself.

    Raises:
        ValueError: for gates below; where there is neither a batch-instance norm nor a batch norm; and for a tolerance
            outside [0, 1].
        TypeError: for a subclass of batch-instance norm, and for a layer with activation that was not converted from
            one. All name the layers, and leave all layers as they were.

    Example:
        >>> model = binorm.convert_batch_norm(torchvision.models.resnet18())
        >>> model = binorm.revert_to_batch_norm(model)
        >>> type(model.bn1)
        <class 'torch.nn.modules.batchnorm.BatchNorm2d'>
    """
    if not 0.0 <= tolerance <= 1.0:
        raise ValueError(f"tolerance should be in [0, 1] (got {tolerance})")
    norms = {name: norm for name, norm in _norms(model).items() if isinstance(norm, _BatchInstanceNorm)}
    batch_norms = {name: _batch_norm(norm, name) for name, norm in norms.items()}
    _check_gates(norms, tolerance)
    for name, norm in norms.items():
        _remove_gate(norm, batch_norms[name])
    return model


def _norms(model: nn.Module) -> dict[str, _BatchNorm | _BatchInstanceNorm]:
    """Batch norms and batch-instance norms by name, each once, however often the model holds it."""
    norms = {name: each for name, each in model.named_modules() if isinstance(each, _BatchNorm | _BatchInstanceNorm)}
    if not norms:
        others = sorted({type(each).__name__ for each in model.modules() if "Norm" in type(each).__name__})
        raise ValueError(
            f"expected a network with batch norm or batch-instance norm, but {type(model).__name__} has neither "
            f"(layers with Norm in their names: {', '.join(others) or 'none'}): build it with one of them"
        )
    return norms


def _counterpart(norm: nn.Module, name: str) -> type[_BatchInstanceNorm]:
    """The class that a batch norm is turned into."""
    kind, layer = type(norm), name or "the module"
    if isinstance(norm, LazyModuleMixin):
        raise ValueError(  # noqa: TRY004 - the right layer, too early
            f"{layer} is a {kind.__name__} without parameters yet: run one batch through the model first"
        )
    if "forward" in vars(norm):
        raise TypeError(f"{layer} has a forward of its own, which would pass by the gate: convert before replacing it")
    counterpart = _counterpart_class(kind)
    if counterpart is None:
        raise TypeError(
            f"{layer} is a {kind.__module__}.{kind.__qualname__}, a subclass of batch norm: converting it would lose "
            "what it adds. Build the network with a plain batch norm there, or replace the layer by hand"
        )
    return counterpart


def _counterpart_class(kind: type[nn.Module]) -> type[_BatchInstanceNorm] | None:
    if kind.__module__.partition(".")[0] == "timm":
        return _TIMM_COUNTERPARTS.get(kind.__name__)
    return _COUNTERPARTS.get(kind)


def _batch_norm(norm: _BatchInstanceNorm, name: str) -> type[nn.Module]:
    """The class that a batch-instance norm is turned back into."""
    kind, layer = type(norm), name or "the module"
    origin = vars(norm).get("converted_from")
    if kind in _BATCH_NORMS:
        return _BATCH_NORMS[kind]
    if origin is not None and _counterpart_class(origin) is kind:
        return cast(type[nn.Module], origin)
    if kind not in _TIMM_COUNTERPARTS.values():
        reason = "a subclass of batch-instance norm: what it adds would be lost. Replace it by hand"
    elif origin is None:
        reason = (
            "and was built as one, so that there is no layer to go back to: build the network with its batch norm, and "
            "load this one's state dict without the gates"
        )
    else:
        reason = f"but was a {origin.__name__}: revert before convert_sync_batch_instance_norm"
    raise TypeError(f"{layer} is a {kind.__name__}, {reason}")


def _check_gates(norms: dict[str, _BatchInstanceNorm], tolerance: float) -> None:
    below = []
    for name, norm in norms.items():
        gate = norm.gate.detach().clamp(0.0, 1.0)  # of a copy: nothing changes unless all can
        if not bool((gate >= 1.0 - tolerance).all()):  # so that NaN is below, too
            below.append(f"{name or 'the module'} (smallest gate {gate.min().item():.8g})")
    if below:
        raise ValueError(
            f"{len(below)} of {len(norms)} layers have gates below {1.0 - tolerance:g}, which no batch norm computes: "
            f"{', '.join(below)}. tolerance= takes gates near 1 for 1"
        )


def _add_gate(norm: nn.Module, counterpart: type[_BatchInstanceNorm], model: nn.Module) -> None:
    """Make a batch norm a ``counterpart``; its gate stands where its parameters stand, else where the model's do."""
    tensors = (*norm.parameters(recurse=False), *norm.buffers(recurse=False), *model.parameters())
    floats = (each for each in tensors if each.is_floating_point())
    like = next(floats, torch.empty(0))
    gate = nn.Parameter(torch.ones(cast(int, norm.num_features), device=like.device, dtype=like.dtype))
    vars(norm)["converted_from"] = type(norm)
    norm.__class__ = counterpart
    norm = cast(_BatchInstanceNorm, norm)
    _BatchInstanceNorm.alive.add(norm)
    norm.eps = vars(norm)["eps"]
    norm.gate_init = 1.0
    norm.gate = gate
    if is_frozen(norm):
        freeze_(norm)  # the gate, too
    if isinstance(norm, BatchInstanceNormAct2d):
        for name in ("drop", "act"):
            if not hasattr(norm, name):  # timm's synchronised layer works without them
                setattr(norm, name, nn.Identity())


def _remove_gate(norm: _BatchInstanceNorm, batch_norm: type[nn.Module]) -> None:
    _BatchInstanceNorm.alive.discard(norm)
    for name in ("gate", "gate_init", "_eps"):
        delattr(norm, name)
    for name in ("converted_from", "input_dims"):  # the latter of a layer that was synchronised
        vars(norm).pop(name, None)
    norm.__class__ = batch_norm  # type: ignore[assignment]
