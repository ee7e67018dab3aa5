"""The gates of a model: which parameters they are, how an optimizer should treat them, and where they stand."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from binorm.backends.selection import is_plain
from binorm.clipping import GROUP_KEY, RANGE
from binorm.modules import _BatchInstanceNorm

HISTOGRAM_BINS = 10


def named_gates(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield the name (``layer1.0.bn1.gate``) and parameter, of shape (C,), of every gate, as in ``named_parameters()``.

    A layer that a model holds twice is yielded once. A parameter's values can be outside [0, 1] before `clip_gates_`,
    and so can those of models that no ``torch.optim`` optimizer steps; `gate_summary` reads them as they are used. For
    gates that are parametrized or pruned: the parameters that they are computed from.
    """
    for layer_name, layer in _layers(model):
        for name, parameter in _sources(layer):
            yield f"{layer_name}.{name}" if layer_name else name, parameter


def gate_parameters(model: nn.Module) -> Iterator[nn.Parameter]:
    """Yield every gate of ``model``, as `named_gates` does, without the names."""
    for _, gate in named_gates(model):
        yield gate


def _layers(model: nn.Module) -> Iterator[tuple[str, _BatchInstanceNorm]]:
    return ((name, each) for name, each in model.named_modules() if isinstance(each, _BatchInstanceNorm))


def _sources(layer: _BatchInstanceNorm) -> Iterator[tuple[str, nn.Parameter]]:
    """The parameters that a layer's gate is, or is computed from (`torch.nn.utils.parametrize` and ``prune``)."""
    for name in ("gate", "gate_orig"):
        parameter = layer._parameters.get(name)
        if parameter is not None:
            yield name, parameter
    if parametrize.is_parametrized(layer, "gate"):
        parametrizations = cast(nn.ModuleDict, layer.parametrizations)
        for name, parameter in parametrizations["gate"].named_parameters():
            yield f"parametrizations.gate.{name}", parameter


def param_groups(
    model: nn.Module, lr: float, gate_lr_scale: float = 10.0, weight_decay: float = 0.0
) -> list[dict[str, Any]]:
    """Split the parameters for an optimizer as the paper trains them: gates learn faster and do not decay.

    Args:
        model: any module; every one of its parameters lands in exactly one group.
        lr: learning rate of everything but the gates.
        gate_lr_scale: the gates' learning rate is this times ``lr``; 10 in the paper, section 3.
        weight_decay: of everything but the gates, whose decay is 0 as in the authors' code.

    Returns:
        Groups named ``weights`` and ``gates``, for any optimizer that takes parameter groups (in ``torch.optim`` all
        but LBFGS; Muon takes matrices and SparseAdam sparse gradients only); without gates, the first alone. The
        entry ``gate_range`` has the group's tensors clipped also where a trainer has put float32 copies in their place.

    Raises:
        ValueError: for gates that are a part of another parameter, and so cannot have a learning rate of their own.

    Example:
        >>> optimizer = torch.optim.SGD(binorm.param_groups(model, lr=0.1, weight_decay=1e-4), momentum=0.9)
    """
    named = dict(named_gates(model))
    for name, layer in _layers(model):
        if not any(_sources(layer)):
            raise ValueError(
                f"the gate of {name or 'the layer'} is no parameter but a part of one, as under "
                "FullyShardedDataParallel(use_orig_params=False), so that it cannot learn at a rate of its own: shard "
                "with use_orig_params=True or with fully_shard, or give the optimizer model.parameters()"
            )
    gates = list(dict.fromkeys(named.values()))  # two layers may share one
    gate_ids = {id(gate) for gate in gates}
    weights = [parameter for parameter in model.parameters() if id(parameter) not in gate_ids]
    clipped = all("parametrizations" not in name for name in named)
    groups: list[dict[str, Any]] = [
        {"name": "weights", "params": weights, "lr": lr, "weight_decay": weight_decay},
        {"name": "gates", "params": gates, "lr": lr * gate_lr_scale, "weight_decay": 0.0}
        | ({GROUP_KEY: RANGE} if clipped else {}),
    ]
    return [group for group in groups if group["params"]]


@dataclass(frozen=True)
class GateSummary:
    """Where the gates of one layer stand.

    Attributes:
        name: of the layer within the model.
        channels: the number of gates.
        mean: of the gates; 1 is batch norm, 0 instance norm.
        below: share of the gates below 0.1, which normalize by instance.
        above: share of the gates above 0.9, which normalize by batch.
        histogram: counts in ten equal bins over [0, 1]; the last one holds its right edge.
    """

    name: str
    channels: int
    mean: float
    below: float
    above: float
    histogram: tuple[int, ...]


class GateTable(list[GateSummary]):
    """The layers' gates; prints as a table, a line a layer and one for all of them."""

    def __str__(self) -> str:
        """Channels, mean, shares below 0.1 and above 0.9, and how many gates each tenth of [0, 1] holds."""
        if not self:
            return "no batch-instance norms"
        width = max(len("all"), *(len(each.name) for each in self))
        lines = [f"{'layer':{width}}  gates   mean  below 0.1  above 0.9  from 0 to 1 in tenths"]
        for each in (*self, self._all()):
            tenths = " ".join(f"{count:{max(1, len(str(each.channels)))}}" for count in each.histogram)
            lines.append(
                f"{each.name:{width}}  {each.channels:5}  {each.mean:5.3f}  {100 * each.below:7.1f} %  "
                f"{100 * each.above:7.1f} %  {tenths}"
            )
        return "\n".join(lines)

    def _all(self) -> GateSummary:
        channels = sum(each.channels for each in self)
        mean, below, above = (
            sum(getattr(each, name) * each.channels for each in self) / channels for name in ("mean", "below", "above")
        )
        histogram = tuple(map(sum, zip(*(each.histogram for each in self), strict=True)))
        return GateSummary("all", channels, mean, below, above, histogram)


def gate_summary(model: nn.Module) -> GateTable:
    """Summarize the gates of every batch-instance norm of ``model``, in the order of its modules, as they are used.

    A list of `GateSummary` that prints as a table. Sharded gates (DTensors) are gathered: call it in every process.
    Gates that accelerate has offloaded are fetched.

    Raises:
        ValueError: for gates without values here: on the meta device, or a shard of ``FullyShardedDataParallel``.
    """
    return GateTable(summarize_gates(name, gate_values(layer, name)) for name, layer in _layers(model))


@torch.no_grad()
def gate_values(layer: _BatchInstanceNorm, name: str) -> Tensor:
    """The gates that a layer computes with, shape (C,), on the CPU in float64; ``name`` is for the error message."""
    gate: Tensor = layer.gate
    if gate.is_meta and hasattr(layer, "_hf_hook"):
        from accelerate.utils import align_module_device  # it has put the hook there

        with align_module_device(layer, "cpu"):
            gate = layer.gate.detach().clone()
    if hasattr(gate, "full_tensor"):  # a DTensor, whose import takes half a second
        gate = gate.full_tensor()
    here = is_plain(gate) and not gate.is_meta
    if not here or gate.dim() != 1 or not gate.numel() or (layer.affine and gate.shape != layer.weight.shape):
        where = f"a shard of shape {tuple(gate.shape)}" if here else "on the meta device"
        raise ValueError(
            f"the gate of {name or 'the layer'} has no values here (it is {where}, of {layer.num_features} channels): "
            "load the network first, or look inside FullyShardedDataParallel.summon_full_params(model)"
        )
    return gate.detach().double().cpu().clamp(0.0, 1.0)


def summarize_gates(name: str, gates: Tensor) -> GateSummary:
    """Summarize gates of shape (C,), C at least 1, under the given name."""
    values = gates.detach().double().cpu().clamp(0.0, 1.0)
    # By exact value, in float64: torch.histc rounds, and float32's 0.7, which is below 0.7, lands above.
    bins = (values * HISTOGRAM_BINS).floor().long().clamp(0, HISTOGRAM_BINS - 1)
    return GateSummary(
        name=name,
        channels=values.numel(),
        mean=values.mean().item(),
        below=(values < 0.1).double().mean().item(),
        above=(values > 0.9).double().mean().item(),
        histogram=tuple(torch.bincount(bins, minlength=HISTOGRAM_BINS).tolist()),
    )
