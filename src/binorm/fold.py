"""Norms that are batch norm in the end, taken into the convolutions before them."""

import copy
from collections import Counter
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, fx, nn
from torch.nn.utils import parametrize

from binorm.convert import revert_to_batch_norm
from binorm.gates import gate_values
from binorm.modules import _BatchInstanceNorm
from binorm.norm_act import BatchInstanceNormAct2d

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_TIMM_CONVOLUTIONS = ("Conv2dSame",)  # by name: timm is not imported here
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class FoldedNormAct(nn.Module):
    """What a norm with activation does besides normalizing: drop, add a residual, activate."""

    def __init__(self, drop: nn.Module, act: nn.Module) -> None:
        super().__init__()
        self.drop, self.act = drop, act

    def forward(self, input: Tensor, residual: Tensor | None = None) -> Tensor:
        """(N, C, H, W) and a residual of that shape, if any -> the same shape."""
        x: Tensor = self.drop(input)
        x = x if residual is None else x + residual
        return self.act(x)  # type: ignore[no-any-return]


@torch.no_grad()
def fold(model: nn.Module, *, tolerance: float = 0.0) -> nn.Module:
    """A copy of a network for evaluation, without the norms that are batch norm.

    A batch-instance norm whose gates are all 1, and a batch norm, is one affine map a channel. Right after a
    convolution whose output goes nowhere else it becomes part of that; anywhere else it becomes a batch norm.
    Layers with gates below 1 stay as they are: they look at each picture. Outputs are those of ``model.eval()`` to
    rounding.

    What follows a convolution is seen in the network's graph (``torch.fx``); in networks that cannot be traced, within
    ``nn.Sequential`` alone.

    Args:
        model: any network. It is left as it is.
        tolerance: gates from 1 - ``tolerance`` on count as 1; outputs then change by as much as they were below 1.

    Returns:
        The copy, in evaluation mode; it cannot be trained further in a sensible way.

    Raises:
        ValueError: for a tolerance outside [0, 1].

    Example:
        >>> binorm.calibrate_gates(model, pairs, layers=1)
        >>> deployed = binorm.fold(model)  # one batch-instance norm is left
    """
    if not 0.0 <= tolerance <= 1.0:
        raise ValueError(f"tolerance should be in [0, 1] (got {tolerance})")
    network = copy.deepcopy(model).eval()
    before = _convolutions_before(network)
    for name, norm in list(network.named_modules()):
        if not _is_batch_norm(norm, name, tolerance):
            continue
        place = before.get(name)
        if place is not None:
            _take_in(network.get_submodule(place), norm)
            network.set_submodule(name, _what_is_left(norm))
        elif isinstance(norm, _BatchInstanceNorm):
            _revert(norm, tolerance)
    return network


def _is_batch_norm(norm: nn.Module, name: str, tolerance: float) -> bool:
    if type(norm) in _BATCH_NORMS:
        return getattr(norm, "running_mean", None) is not None
    if not isinstance(norm, _BatchInstanceNorm) or norm.running_mean is None:
        return False
    return bool((gate_values(norm, name) >= 1.0 - tolerance).all())


def _revert(norm: _BatchInstanceNorm, tolerance: float) -> None:
    try:
        revert_to_batch_norm(norm, tolerance=tolerance)
    except TypeError:  # a layer with activation that was no batch norm before
        norm.gate.fill_(1.0)


class _Tracer(fx.Tracer):
    """Sees modules without parts as one step each: what they do with an input's shape is not to be traced."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether to look into a module."""
        return not any(m.children()) or super().is_leaf_module(m, module_qualified_name)


def _convolutions_before(network: nn.Module) -> dict[str, str]:
    """For each norm that follows a convolution, and for that alone, the convolution's name."""
    times = Counter(id(each) for _, each in network.named_modules(remove_duplicate=False))
    shared = Counter(id(each) for _, each in network.named_parameters(remove_duplicate=False))
    names = {
        name: each
        for name, each in network.named_modules()
        if times[id(each)] == 1 and all(shared[id(own)] == 1 for own in each.parameters(recurse=False))
    }
    pairs = _pairs_of_graph(network)
    pairs = _pairs_of_sequences(network) if pairs is None else pairs
    return {
        norm: convolution
        for convolution, norm in pairs
        if convolution in names and norm in names and _takes_in(names[convolution], names[norm])
    }


def _pairs_of_graph(network: nn.Module) -> list[tuple[str, str]] | None:
    """Names of modules whose output another takes, and nobody else; None for a network that cannot be traced."""
    try:
        graph = _Tracer().trace(network)
    except Exception:  # whatever a network's own code raises when it is given proxies
        return None
    calls = Counter(node.target for node in graph.nodes if node.op == "call_module")
    pairs = []
    for node in graph.nodes:
        before = node.args[0] if node.op == "call_module" and node.args else None
        if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) > 1:
            continue
        if calls[node.target] == calls[before.target] == 1:
            pairs.append((str(before.target), str(node.target)))
    return pairs


def _pairs_of_sequences(network: nn.Module) -> list[tuple[str, str]]:
    pairs = []
    for name, module in network.named_modules():
        if type(module) is nn.Sequential:
            inside = [f"{name}.{each}" if name else each for each in dict(module.named_children())]
            pairs += list(pairwise(inside))
    return pairs


def _takes_in(convolution: nn.Module, norm: nn.Module) -> bool:
    """Whether a module is a plain convolution of as many channels, with nothing that looks at what is between."""
    kind = type(convolution)
    of_timm = kind.__module__.partition(".")[0] == "timm" and kind.__name__ in _TIMM_CONVOLUTIONS
    known = of_timm or kind in (*_CONVOLUTIONS, *_TRANSPOSED)
    if not known or parametrize.is_parametrized(convolution):
        return False
    plain = isinstance(convolution._parameters.get("weight"), nn.Parameter)
    hooked = any((each._forward_hooks or each._forward_pre_hooks) for each in (convolution, norm))
    return plain and not hooked and getattr(norm, "num_features", None) == convolution.out_channels


def _take_in(convolution: nn.Module, norm: nn.Module) -> None:
    """Scale and shift a convolution's output channels as a batch norm in evaluation does."""
    layer = cast(Any, norm)
    scale = (layer.running_var.double() + float(layer.eps)).rsqrt()
    scale = scale if layer.weight is None else scale * layer.weight.double()
    shift = -layer.running_mean.double() * scale
    shift = shift if layer.bias is None else shift + layer.bias.double()
    weight = cast(nn.Parameter, convolution.weight)
    if isinstance(convolution, _TRANSPOSED):  # (in, out / groups, ...), groups one after another
        groups = convolution.groups
        spread = scale.view(groups, 1, -1).expand(groups, len(weight) // groups, -1).reshape(len(weight), -1)
        factor = spread.view(*spread.shape, *[1] * (weight.dim() - 2))
    else:
        factor = scale.view(-1, *[1] * (weight.dim() - 1))
    bias = getattr(convolution, "bias", None)
    shift = shift if bias is None else shift + cast(Tensor, bias).double() * scale
    weight.copy_((weight.double() * factor).to(weight.dtype))
    convolution.bias = nn.Parameter(shift.to(weight.dtype), requires_grad=weight.requires_grad)


def _what_is_left(norm: nn.Module) -> nn.Module:
    if isinstance(norm, BatchInstanceNormAct2d):
        return FoldedNormAct(norm.drop, norm.act).eval()
    return nn.Identity()
