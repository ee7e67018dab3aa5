"""TTN's prior: channels whose gradients change with a picture's style take more of the test batch's statistics."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from binorm.experiments.common.errors import UserError
from binorm.experiments.rescue.methods.method import Adapted, Calibration, Method, needed, own_copy
from binorm.experiments.rescue.methods.statistics import (
    leading_input,
    mix_statistics,
    named_norms,
    per_channel,
    replace_leading_input,
)
from binorm.norm_layers import NormLayer

BATCH_SIZE = 16  # the graph of this many pictures is held at once
ROUNDING = 1e-6  # distances that differ by less do not differ


def batch_shares(network: nn.Module, calibration: Calibration) -> dict[str, Tensor]:
    r"""The weight of the test batch's statistics in each norm, one a channel, (C,), in [0, 1].

    With g and g' the gradient of the loss by γ and β of one channel, for a picture as it is and restyled,

    .. math:: d = 1 - \frac{1}{N} \sum_i \frac{g_i \cdot g'_i}{\|g_i\| \|g'_i\|}, \quad
              \alpha = \left( \frac{d - d_{min}}{d_{max} - d_{min}} \right)^2

    with minimum and maximum over all channels of all norms. The loss is the cross-entropy with the network's own
    predictions on pictures as they are, where the paper has labels. The gradients are those of a network in evaluation
    mode with its running statistics. A pair where either gradient is 0 counts as one of equal gradients; norms that
    were not computed get 0, and so do all where restyling changes no gradient.

    Raises:
        UserError: for a network without batch norms or batch-instance norms, and for gradients that are not finite.
    """
    own = own_copy(network)
    layers = named_norms(own)
    sums = {name: torch.zeros(layer.num_features, dtype=torch.float64) for name, layer in layers.items()}
    counts: dict[str, int] = defaultdict(int)
    for clean, restyled in calibration.pairs(own, BATCH_SIZE):
        with torch.no_grad():
            labels = own(clean).argmax(dim=1)
        one, other = (_gradients(own, layers, batch, labels) for batch in (clean, restyled))
        for name, gradients in one.items():
            for g, g_restyled in zip(gradients, other[name], strict=True):
                sums[name] += _cosine(g, g_restyled).sum(dim=0).cpu()
                counts[name] += len(g)
    distances = {name: 1.0 - sums[name] / counts[name] for name in sums if counts[name]}
    return {name: torch.zeros_like(sums[name]) for name in sums} | _squared_between_extremes(distances)


def _gradients(
    network: nn.Module, layers: Mapping[str, NormLayer], batch: Tensor, labels: Tensor
) -> dict[str, list[Tensor]]:
    """Of each sample's own loss by each norm's γ and β, times γ, for each of the norm's calls: (N, C, 2).

    The factor leaves the cosine as it is. A norm with γ (x̂ + a x̂ + b) + β at a = b = 0 has them as its gradients by a
    and b, one of each for every sample, which are put into its input. Of gates below 1 the share of batch norm counts.
    """
    changes: dict[str, list[Tensor]] = defaultdict(list)

    def change(name: str, layer: NormLayer, inputs: tuple[Any, ...], named: dict[str, Any]) -> Any:
        x = leading_input(inputs, named)
        assert layer.running_mean is not None  # noqa: S101 - named_norms has asked
        assert layer.running_var is not None  # noqa: S101
        both = torch.zeros(len(x), x.shape[1], 2, dtype=x.dtype, device=x.device, requires_grad=True)
        changes[name].append(both)
        deviation = (layer.running_var + float(layer.eps)).sqrt().to(x)
        centred = x - per_channel(layer.running_mean.to(x), x)
        added = per_channel(both[..., 0], x) * centred + per_channel(both[..., 1] * deviation, x)
        return replace_leading_input(inputs, named, x + added)

    hooks = [layer.register_forward_pre_hook(partial(change, name), with_kwargs=True) for name, layer in layers.items()]
    try:
        with torch.enable_grad():
            loss = F.cross_entropy(network(batch), labels, reduction="sum")
            flat = [each for calls in changes.values() for each in calls]
            found = iter(torch.autograd.grad(loss, flat, allow_unused=True, materialize_grads=True))
    finally:
        for hook in hooks:
            hook.remove()
    return {name: [next(found) for _ in calls] for name, calls in changes.items()}


def _cosine(one: Tensor, other: Tensor) -> Tensor:
    """Between last dimensions, in float64; 1 where either vector is 0."""
    one, other = one.double(), other.double()
    lengths = one.norm(dim=-1) * other.norm(dim=-1)
    return torch.where(lengths == 0, 1.0, (one * other).sum(dim=-1) / lengths).clamp_max(1.0)


def _squared_between_extremes(distances: Mapping[str, Tensor]) -> dict[str, Tensor]:
    everything = torch.cat(list(distances.values())) if distances else torch.zeros(1)
    if not torch.isfinite(everything).all():
        raise UserError(
            "the gradients by the norms' weights are not finite: check the network's weights, and what normalizes the "
            "pictures"
        )
    low, high = everything.min(), everything.max()
    if high - low < ROUNDING:  # restyling changes nothing anywhere
        return {name: torch.zeros_like(each) for name, each in distances.items()}
    return {name: ((each - low) / (high - low)).square() for name, each in distances.items()}


@dataclass(frozen=True)
class _Shares:
    batch: Mapping[str, Tensor]

    def __call__(self, name: str, samples: int) -> Tensor:
        """Of the running statistics in a layer, for batches of every size."""
        return 1.0 - self.batch[name]


def ttn(network: nn.Module, calibration: Calibration | None = None) -> Adapted:
    """The network with `batch_shares` of each batch's statistics, and σ² of the mixture, as the paper has it.

    Raises:
        UserError: without calibration pictures, and as `batch_shares` does.
    """
    shares = batch_shares(network, needed(calibration, TTN.name))
    return Adapted(mix_statistics(network, _Shares(shares), between=True))


TTN = Method(
    name="ttn",
    title="TTN's prior",
    source="Lim et al., *TTN: A Domain-Shift Aware Batch Normalization in Test-Time Adaptation*, ICLR 2023",
    summary="Each channel takes of the test batch's statistics the more, the more its gradients differ between "
    "pictures as they are and restyled. The paper's prior alone, from the network's own predictions; not its training "
    "with labels.",
    batch=True,
    calibrates=True,
    prepare=ttn,
)
