"""What people do to the norm layers of a network: find them, freeze them, refresh their statistics."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from binorm.modules import _BatchInstanceNorm

NormLayer = _BatchNorm | _BatchInstanceNorm


def norm_layers(model: nn.Module) -> Iterator[NormLayer]:
    """Yield every batch norm and batch-instance norm of ``model``, each once, in the order of its modules.

    For loops that look for ``isinstance(layer, nn.BatchNorm2d)``, which batch-instance norms are not: whoever replaces
    what passes that test (synchronising, freezing into constants, folding) would drop their gates without a word.

    Example:
        >>> for layer in binorm.norm_layers(model):
        ...     layer.momentum = 0.01
    """
    return (each for each in model.modules() if isinstance(each, NormLayer))


def freeze_(model: nn.Module) -> nn.Module:
    """Make constants of every norm layer's running statistics, weight, bias and gate, until `unfreeze_`.

    The layers evaluate whatever mode they are put in: a later ``model.train()`` does not set the statistics moving
    again, as it does where they were only put in evaluation mode.

    Args:
        model: any module, or a part of one (``model.layer1``).

    Returns:
        ``model`` itself.
    """
    for layer in norm_layers(model):
        learned = {name for name, each in layer.named_parameters() if each.requires_grad}
        layer.register_forward_pre_hook(_Freeze(frozenset(learned | _thaw(layer))))
        layer.eval().requires_grad_(False)
    return model


def unfreeze_(model: nn.Module) -> nn.Module:
    """Let the norm layers train again that `freeze_` stopped.

    What learned before learns again. Their mode is ``model``'s; a layer given by itself is put in training mode.

    Returns:
        ``model`` itself.
    """
    mode = model.training or isinstance(model, NormLayer)
    for layer in filter(is_frozen, norm_layers(model)):
        learned = _thaw(layer)
        layer.train(mode)
        for name, parameter in layer.named_parameters():
            parameter.requires_grad_(parameter.requires_grad or name in learned)
    return model


def is_frozen(layer: nn.Module) -> bool:
    """Whether `freeze_` has stopped a layer."""
    return any(isinstance(hook, _Freeze) for hook in layer._forward_pre_hooks.values())


def _thaw(layer: nn.Module) -> frozenset[str]:
    """Take the hooks of `freeze_` from a layer, and return the names of the parameters that they stopped."""
    hooks = layer._forward_pre_hooks
    found = {key: hook for key, hook in hooks.items() if isinstance(hook, _Freeze)}
    for key in found:
        del hooks[key]
    return frozenset[str]().union(*(hook.learned for hook in found.values()))


@dataclass(frozen=True)
class _Freeze:
    """Keeps a layer in evaluation mode; as a hook on it, it is copied and pickled with it."""

    learned: frozenset[str]  # names of the parameters that had gradients

    def __call__(self, layer: nn.Module, _: Any) -> None:
        if layer.training:
            layer.eval()


@torch.no_grad()
def update_statistics(model: nn.Module, loader: Iterable[Any], device: torch.device | str | None = None) -> None:
    """Compute the running statistics of all norm layers anew, as plain averages over the batches of ``loader``.

    After weight averaging (as ``torch.optim.swa_utils.update_bn``, which passes batch-instance norms by), for precise
    statistics at the end of training, or for those of another domain (AdaBN). Layers under `freeze_`, and layers that
    track nothing, stay as they are; so do all modes and momenta.

    Args:
        model: called in training mode on each batch, without gradients.
        loader: of batches: the model's input, a tuple or list that starts with it, or a mapping of the model's keyword
            arguments.
        device: where to move an input's tensors first; None leaves them where they are.

    Raises:
        ValueError: for a loader without batches, before anything has changed.

    Example:
        >>> binorm.update_statistics(averaged_model, train_loader, device="cuda")
    """
    layers = [each for each in norm_layers(model) if each.running_mean is not None and not is_frozen(each)]
    modes = {each: each.training for each in model.modules()}
    momenta = {each: each.momentum for each in layers}
    batches = iter(loader)
    first = list(islice(batches, 1))
    if not first:
        raise ValueError("expected at least one batch to take statistics of (the loader is empty)")
    try:
        model.train()
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None
        for batch in chain(first, batches):
            _call(model, batch, device)
    finally:
        for module, mode in modes.items():
            module.training = mode
        for layer, momentum in momenta.items():
            layer.momentum = momentum


def _call(model: nn.Module, batch: Any, device: torch.device | str | None) -> None:
    if isinstance(batch, Mapping):
        model(**_moved(dict(batch), device))
    else:
        model(_moved(batch[0] if isinstance(batch, list | tuple) else batch, device))


def _moved(value: Any, device: torch.device | str | None) -> Any:
    """``value`` with all tensors in it on ``device``."""
    if isinstance(value, Tensor) and device is not None:
        return value.to(device)
    if isinstance(value, Mapping):
        return {key: _moved(each, device) for key, each in value.items()}
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return type(value)(_moved(each, device) for each in value)
    return value
