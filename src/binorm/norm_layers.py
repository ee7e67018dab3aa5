"""What people do to the norm layers of a network: find them, freeze them, refresh their statistics."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
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
def update_statistics(
    model: nn.Module, loader: Iterable[Any], device: torch.device | str | None = None, *, share: float = 1.0
) -> None:
    r"""Move the running statistics of all norm layers to those of the batches of ``loader``, or a share of the way.

    With share 1 they are computed anew, as plain averages over the batches, the model in training mode: after weight
    averaging (as ``torch.optim.swa_utils.update_bn``, which passes batch-instance norms by), for precise statistics at
    the end of training, or for those of another domain (AdaBN, Li et al., arXiv 1603.04779). With a smaller share s,

    .. math:: \mu \leftarrow (1 - s) \mu + s \, \mu_{loader}, \quad
              \sigma^2 \leftarrow (1 - s) \sigma^2 + s \, \sigma^2_{loader}

    in evaluation mode, where the layers before a layer compute with the mix of their own and each batch's already: the
    statistics of α-BN (You et al., arXiv 2110.04065) with α = 1 - s, made static. Some dozens of unlabelled pictures of
    where a trained network should work, in one batch, and a share of 0.1 are a good start.

    Layers under `freeze_`, and layers that track nothing, stay as they are; so do all modes and momenta. With a share
    below 1, each process takes the statistics of its own batches, also of synchronised layers: give all the same.

    Args:
        model: called on each batch, without gradients.
        loader: of batches: the model's input, a tuple or list that starts with it, or a mapping of the model's keyword
            arguments.
        device: where to move an input's tensors first; None leaves them where they are.
        share: from 0 (nothing changes) to 1, whose passes are those of training: with dropout, unlike those before it.

    Raises:
        ValueError: for a loader without batches or a share outside [0, 1], before anything has changed; for a batch
            with one value a channel, and where no batch reaches a norm layer by a call of it.

    Example:
        >>> binorm.update_statistics(averaged_model, train_loader, device="cuda")
        >>> binorm.update_statistics(trained_model, [pictures_of_the_new_camera], share=0.1)
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"share should be from 0 (the statistics as they are) to 1 (the loader's alone) (got {share})")
    layers = [each for each in norm_layers(model) if each.running_mean is not None and not is_frozen(each)]
    batches = iter(loader)
    first = list(islice(batches, 1))
    if not first:
        raise ValueError("expected at least one batch to take statistics of (the loader is empty)")
    modes = {each: each.training for each in model.modules()}
    try:
        with _computed_anew(model, layers) if share == 1.0 else _mixed(model, layers, share):
            for batch in chain(first, batches) if share else ():
                _call(model, batch, device)
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def _computed_anew(model: nn.Module, layers: list[NormLayer]) -> Iterator[None]:
    """What passes meanwhile, in training mode, makes the statistics: plain averages."""
    momenta = {each: each.momentum for each in layers}
    model.train()
    try:
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None
        yield
    finally:
        for layer, momentum in momenta.items():
            layer.momentum = momentum


@contextmanager
def _mixed(model: nn.Module, layers: list[NormLayer], share: float) -> Iterator[None]:
    """What passes meanwhile, in evaluation mode, takes a share of the statistics; an error leaves them as they were."""
    model.eval()
    mixing = {layer: _Mixing(layer, share) for layer in layers}
    hooks = [layer.register_forward_pre_hook(hook, with_kwargs=True) for layer, hook in mixing.items()]
    try:
        with torch.compiler.set_stance("force_eager"):  # what was compiled before has no hooks
            yield
        if share and mixing and not any(hook.passes for hook in mixing.values()):
            raise ValueError("no batch reached a norm layer: were they traced, or called by their forward?")
        for hook in mixing.values():
            hook.finish()
    except BaseException:
        for hook in mixing.values():
            hook.restore()
        raise
    finally:
        for handle in hooks:
            handle.remove()


class _Mixing:
    """Before each pass through a layer: its statistics become the mix of its own and those of what comes."""

    def __init__(self, layer: NormLayer, share: float) -> None:
        assert layer.running_mean is not None  # noqa: S101 - the caller has asked
        assert layer.running_var is not None  # noqa: S101
        self.tensors, self.share = (layer.running_mean, layer.running_var), share
        self.before = tuple(each.clone() for each in self.tensors)
        own = torch.stack(self.before)
        self.own = own.to(torch.promote_types(own.dtype, torch.float32))
        self.total, self.passes = torch.zeros_like(self.own), 0

    def __call__(self, layer: NormLayer, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        x: Tensor = inputs[0] if inputs else named["input" if "input" in named else "x"]
        if x.dim() < 2 or x.numel() == 0:
            return  # to be refused by the layer, or to pass through it
        if x.numel() == x.shape[1]:
            raise ValueError(f"expected more than one value a channel to take a variance of (got {tuple(x.shape)})")
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        var, mean = torch.var_mean(x, [each for each in range(x.dim()) if each != 1])
        seen = torch.stack([mean, var]).to(self.own)
        self.total, self.passes = self.total + seen, self.passes + 1
        self._set(self.own.lerp(seen, self.share))

    def finish(self) -> None:
        """Leave the mix with the average over all passes; what no batch reached stays as it was."""
        if self.passes:
            self._set(self.own.lerp(self.total / self.passes, self.share))

    def restore(self) -> None:
        """Leave the layer as it was."""
        self._set(self.before)

    def _set(self, statistics: Iterable[Tensor]) -> None:
        for tensor, value in zip(self.tensors, statistics, strict=True):
            tensor.copy_(value)


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
