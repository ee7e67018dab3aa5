"""The gates of a model: which parameters they are, how an optimizer should treat them, and where they stand."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from binorm.modules import _BatchInstanceNorm

HISTOGRAM_BINS = 10


def named_gates(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield the name (``layer1.0.bn1.gate``) and parameter, of shape (C,), of every gate, clipped to [0, 1].

    A layer that a model holds twice is yielded once.
    """
    for name, module in model.named_modules():
        if isinstance(module, _BatchInstanceNorm):
            module.clip_gate_()
            yield f"{name}.gate" if name else "gate", module.gate


def gate_parameters(model: nn.Module) -> Iterator[nn.Parameter]:
    """Yield every gate of ``model``, as `named_gates` does, without the names."""
    for _, gate in named_gates(model):
        yield gate


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
        Groups named ``weights`` and ``gates``, for any ``torch.optim`` optimizer; without gates, the first alone.

    Example:
        >>> optimizer = torch.optim.SGD(binorm.param_groups(model, lr=0.1, weight_decay=1e-4), momentum=0.9)
    """
    gates = list(dict.fromkeys(gate_parameters(model)))  # two layers may share one
    gate_ids = {id(gate) for gate in gates}
    weights = [parameter for parameter in model.parameters() if id(parameter) not in gate_ids]
    groups: list[dict[str, Any]] = [
        {"name": "weights", "params": weights, "lr": lr, "weight_decay": weight_decay},
        {"name": "gates", "params": gates, "lr": lr * gate_lr_scale, "weight_decay": 0.0},
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


def gate_summary(model: nn.Module) -> list[GateSummary]:
    """Summarize the gates of every batch-instance norm of ``model``, in the order of its modules."""
    return [summarize_gates(name.removesuffix("gate").removesuffix("."), gate) for name, gate in named_gates(model)]


def summarize_gates(name: str, gates: torch.Tensor) -> GateSummary:
    """Summarize gates of shape (C,), C at least 1, under the given name."""
    values = gates.detach().double().cpu()
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
