"""What people do to the norm layers of a network: find them, freeze them, refresh their statistics."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
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
        if not is_frozen(layer):
            learned = tuple(name for name, each in layer.named_parameters() if each.requires_grad)
            layer.register_forward_pre_hook(_Freeze(learned))
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
        hooks = layer._forward_pre_hooks
        key, freeze = next((key, hook) for key, hook in hooks.items() if isinstance(hook, _Freeze))
        del hooks[key]
        layer.train(mode)
        for name, parameter in layer.named_parameters():
            parameter.requires_grad_(parameter.requires_grad or name in freeze.learned)
    return model


def is_frozen(layer: nn.Module) -> bool:
    """Whether `freeze_` has stopped a layer."""
    return any(isinstance(hook, _Freeze) for hook in layer._forward_pre_hooks.values())


@dataclass(frozen=True)
class _Freeze:
    """Keeps a layer in evaluation mode; as a hook on it, it is copied and pickled with it."""

    learned: tuple[str, ...]  # names of the parameters that had gradients

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
        loader: of batches: a tensor, a tuple or list that starts with it, or a mapping of the model's keyword
            arguments.
        device: where to move the tensors first; None leaves them where they are.

    Raises:
        ValueError: for a loader without batches, before anything has changed.

    Example:
        >>> binorm.update_statistics(averaged_model, train_loader, device="cuda")
    """
    layers = [each for each in norm_layers(model) if each.running_mean is not None and not is_frozen(each)]
    modes = {each: each.training for each in model.modules()}
    momenta = {each: each.momentum for each in layers}
    batches = iter(loader)
    try:
        batch = next(batches, None)
        if batch is None:
            raise ValueError("expected at least one batch to take statistics of (the loader is empty)")
        model.train()
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None
        while batch is not None:
            _call(model, batch, device)
            batch = next(batches, None)
    finally:
        for module, mode in modes.items():
            module.training = mode
        for layer, momentum in momenta.items():
            layer.momentum = momentum


def _call(model: nn.Module, batch: Any, device: torch.device | str | None) -> None:
    if isinstance(batch, Mapping):
        model(**{key: each.to(device) if isinstance(each, Tensor) else each for key, each in batch.items()})
        return
    input = batch[0] if isinstance(batch, list | tuple) else batch
    model(input.to(device) if device is not None else input)
