"""The gates of a trained network set in closed form, from unlabelled pictures as they are and restyled."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from binorm.gates import gate_values
from binorm.modules import _BatchInstanceNorm


@dataclass(frozen=True)
class CalibratedLayer:
    """What calibration did to one layer.

    Attributes:
        name: of the layer within the model.
        channels: the number of its gates.
        before: the mean of its gates before.
        after: the mean of its gates now.
        lowest: the lowest of its gates now.
        shift: how far the restyled pictures' statistics are from those of the same pictures as they are, with the gates
            from before: the mean square over pictures and channels, in the batch norm's standard deviations.
        left: the share of ``shift`` that is left with the gates as they are now.
    """

    name: str
    channels: int
    before: float
    after: float
    lowest: float
    shift: float
    left: float


class CalibrationSummary(tuple[CalibratedLayer, ...]):
    """The layers in the order in which they computed; prints as a table."""

    __slots__ = ()

    def __str__(self) -> str:
        """One line a layer."""
        width = max((len(layer.name) for layer in self), default=0)
        lines = [f"{'layer':{width}}  gates  mean before  mean now  lowest   shift  of it left"]
        lines += [
            f"{each.name:{width}}  {each.channels:5}  {each.before:11.3f}  {each.after:8.3f}  {each.lowest:6.3f}  "
            f"{each.shift:6.3f}  {100 * each.left:8.0f} %"
            for each in self
        ]
        return "\n".join(lines)


@torch.no_grad()
def calibrate_gates(
    model: nn.Module,
    pairs: Iterable[tuple[Tensor, Tensor]] | tuple[Tensor, Tensor],
    *,
    clean_weight: float = 0.5,
    layers: int | Collection[str] | None = None,
) -> CalibrationSummary:
    r"""Set the gates of a trained network so that restyled pictures compute what they do as they are.

    With :math:`z = (\mu_I - \mu_B) / \sigma_B` and :math:`s = \sigma_I / \sigma_B` of one sample and channel, a layer's
    normalized map is :math:`\rho z + (1 + \rho (s - 1)) \hat{x}_{IN}`: the gate shrinks a picture's style statistics
    towards the population's. Given a picture as it is, normalized with the gate g that the layer has (1 in a converted
    network), and the same picture restyled (z', s'), the least-squares gate is

    .. math:: \rho = g \, \frac{\sum z z' + w (s - 1)(s' - 1)}{\sum z'^2 + w (s' - 1)^2}, \quad w = E[\hat{x}_{IN}^2],

    clipped to [0, 1]: a Wiener filter of style. Pictures as they are stand for ``clean_weight`` of both sums, with
    themselves as their restyled ones, which keeps the accuracy on them. No labels, no gradients; afterwards the network
    is as static as before.

    One sweep: each batch goes through the network once, as it is with the gates from before and restyled with those set
    so far, layer by layer. Later batches refine the sums of earlier ones; with one batch, a deeper layer sees exactly
    what the final gates before it let through. Memory is that of evaluating two batches at once.

    Args:
        model: any network with batch-instance norms that has been trained, such as
            ``binorm.convert_batch_norm(network)``. Its gates are written, nothing else; modes are kept.
        pairs: batches of pictures as they are and of the same pictures restyled, both (N, C, *spatial) as ``model``
            takes them; or one such pair. Some dozens of pictures are enough.
        clean_weight: from 0 to 1, the share of untouched pictures in the sums. 1 changes nothing.
        layers: how many layers to calibrate, first ones first, or their names; None for all that the network computes
            in evaluation (the auxiliary heads of GoogLeNet it does not).

    Returns:
        What each layer did.

    Raises:
        ValueError: for a network without batch-instance norms, or with one that has no running statistics, whose gates
            are not plain parameters; where none was reached, or one that was named; for unknown names; for pairs of
            different shapes or none; and for values that are not finite. The gates are then as they were.

    Example:
        >>> model = binorm.convert_batch_norm(network).eval()
        >>> print(binorm.calibrate_gates(model, (pictures, restyled), layers=3))
    """
    if not 0.0 <= clean_weight <= 1.0:
        raise ValueError(f"clean_weight should be from 0 to 1, the share of untouched pictures (got {clean_weight})")
    found = _named_layers(model)
    chosen = _chosen(found, layers)
    calibration = _Calibration(chosen, clean_weight, layers if isinstance(layers, int) else None)
    given = [pairs] if isinstance(pairs, tuple) and all(isinstance(each, Tensor) for each in pairs) else pairs
    batches = 0
    with _evaluation(model), calibration.attached():
        for clean, restyled in cast(Iterable[tuple[Tensor, Tensor]], given):
            if clean.shape != restyled.shape or not clean.numel():
                raise ValueError(
                    "pairs should be batches of pictures and of the same ones restyled, of equal shape (got "
                    f"{tuple(clean.shape)} and {tuple(restyled.shape)})"
                )
            model(torch.cat([clean, restyled]))
            batches += 1
        if not batches:
            raise ValueError("pairs should have at least one batch of pictures and the same ones restyled (got none)")
        calibration.check_reached(() if layers is None or isinstance(layers, int) else chosen)
    return calibration.summary()


def _named_layers(model: nn.Module) -> dict[str, _BatchInstanceNorm]:
    found = {name: each for name, each in model.named_modules() if isinstance(each, _BatchInstanceNorm)}
    if not found:
        raise ValueError(
            f"{type(model).__name__} has no batch-instance norms whose gates could be set: convert its batch norms "
            "with binorm.convert_batch_norm(model) first"
        )
    return found


def _chosen(
    found: dict[str, _BatchInstanceNorm], layers: int | Collection[str] | None
) -> dict[str, _BatchInstanceNorm]:
    """The layers to calibrate; all that could be where a number is asked for, since the order is not known yet."""
    if isinstance(layers, bool) or (isinstance(layers, int) and layers < 1):
        raise ValueError(f"layers should be at least 1, names, or None for all (got {layers!r})")
    names = found if layers is None or isinstance(layers, int) else [layers] if isinstance(layers, str) else layers
    if unknown := [name for name in names if name not in found]:
        raise ValueError(f"{unknown[0]!r} is no batch-instance norm of the network; there are {', '.join(found)}")
    for name in names:
        layer = found[name]
        if layer.running_mean is None or layer.running_var is None:
            raise ValueError(
                f"{name or 'the layer'} has no running statistics, so that its batch norm is of each batch"
            )
        if "gate" not in layer._parameters:
            raise ValueError(
                f"the gate of {name or 'the layer'} is computed from other parameters (parametrized, pruned or "
                "sharded): calibrate the network before that"
            )
        gate_values(layer, name)  # raises where there are none
    return {name: found[name] for name in names}


@contextmanager
def _evaluation(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, and then each module's own again."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@dataclass
class _Sums:
    """Of one layer, over samples, in float64, each (C,).

    With a = (z, sqrt(w) (s - 1)) of a picture as it is and b of it restyled, ``restyled`` sums b², ``product`` a b and
    ``clean`` a².
    """

    gate: nn.Parameter
    before: Tensor
    restyled: Tensor
    product: Tensor
    clean: Tensor
    samples: int = 0

    @classmethod
    def begin(cls, layer: _BatchInstanceNorm, name: str) -> "_Sums":
        """Of a layer that was not met yet."""
        before = gate_values(layer, name).to(layer.gate.device)
        restyled, product, clean = (torch.zeros_like(before) for _ in range(3))
        return cls(layer.gate, before, restyled, product, clean)

    def solve(self, clean_weight: float) -> Tensor:
        """The gates, (C,)."""
        product = (1 - clean_weight) * self.product + clean_weight * self.clean
        square = (1 - clean_weight) * self.restyled + clean_weight * self.clean
        found = self.before * product / square
        return torch.where(square > 0, found, self.before).clamp(0.0, 1.0)

    def shift(self, gates: Tensor) -> float:
        """The mean square between a picture restyled, with ``gates``, and as it is, with those from before."""
        squares = gates**2 * self.restyled - 2 * gates * self.before * self.product + self.before**2 * self.clean
        return squares.clamp_min(0.0).sum().item() / (self.samples * len(gates))


@dataclass
class _Calibration:
    """The sums of all layers that were met, in that order, and the hooks that collect them."""

    layers: dict[str, _BatchInstanceNorm]
    clean_weight: float
    most: int | None
    sums: dict[str, _Sums] = field(default_factory=dict)

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Collect and set while networks compute; where that goes wrong, the gates are put back."""
        kept = {gate: gate.detach().clone() for gate in (layer.gate for layer in self.layers.values())}
        hooks = []
        for name, layer in self.layers.items():
            hooks.append(layer.register_forward_pre_hook(partial(self._set, name), with_kwargs=True))
            hooks.append(layer.register_forward_hook(partial(self._teach, name), with_kwargs=True))
        try:
            yield
        except BaseException:
            for gate, values in kept.items():
                gate.copy_(values)
            raise
        finally:
            for hook in hooks:
                hook.remove()

    def _set(self, name: str, layer: _BatchInstanceNorm, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Add a batch to a layer's sums and set its gates, before it computes."""
        x: Tensor = inputs[0] if inputs else named["input"]
        if name not in self.sums and self.most is not None and len(self.sums) >= self.most:
            return
        if len(x) % 2:
            raise ValueError(
                f"{name or 'the layer'} got {len(x)} samples, no whole number of pairs: the network mixes them"
            )
        if name not in self.sums:
            sharing = (each for each in self.sums.values() if each.gate is layer.gate)
            self.sums[name] = next(sharing, None) or _Sums.begin(layer, name)
        sums = self.sums[name]
        a, b = _statistics(layer, x).chunk(2, dim=1)  # each (2, N, C)
        sums.restyled += (b * b).sum((0, 1))
        sums.product += (a * b).sum((0, 1))
        sums.clean += (a * a).sum((0, 1))
        sums.samples += a.shape[1]
        gates = sums.solve(self.clean_weight)
        if not (torch.isfinite(gates).all() and torch.isfinite(sums.restyled).all()):
            raise ValueError(
                f"{name or 'the layer'} got values that are not finite: check the pictures, and what normalizes them"
            )
        sums.gate.copy_(gates)

    def _teach(
        self, name: str, layer: _BatchInstanceNorm, inputs: tuple[Any, ...], named: dict[str, Any], output: Tensor
    ) -> Tensor | None:
        """What the pictures as they are compute with the gates from before, beside the restyled ones."""
        if name not in self.sums:
            return None
        half = len(output) // 2
        now, sums = layer.gate.detach().clone(), self.sums[name]
        sums.gate.copy_(sums.before)
        try:
            first = [each[:half] if isinstance(each, Tensor) else each for each in inputs]
            first_named = {key: each[:half] if isinstance(each, Tensor) else each for key, each in named.items()}
            taught: Tensor = layer.forward(*first, **first_named)
        finally:
            sums.gate.copy_(now)
        return torch.cat([taught, output[half:]])

    def check_reached(self, named: Collection[str]) -> None:
        """Raise a `ValueError` for layers asked for by name that the pictures did not come through, or if all are."""
        if absent := [name for name in named if name not in self.sums]:
            raise ValueError(f"the network did not compute {absent[0] or 'the layer'}: leave it out of layers")
        if not self.sums:
            raise ValueError("the network computed none of its batch-instance norms")

    def summary(self) -> CalibrationSummary:
        """Of all layers that were set."""
        found = []
        for name, sums in self.sums.items():
            now = sums.solve(self.clean_weight)
            shift = sums.shift(sums.before)
            left = sums.shift(now) / shift if shift > 0 else 1.0
            means = (sums.before.mean().item(), now.mean().item(), now.min().item())
            found.append(CalibratedLayer(name, len(now), *means, shift, left))
        return CalibrationSummary(found)


def _statistics(layer: _BatchInstanceNorm, x: Tensor) -> Tensor:
    """Both of a sample and channel, z and sqrt(w) (s - 1), in float64: (2, N, C)."""
    mean, var = cast(Tensor, layer.running_mean), cast(Tensor, layer.running_var)
    flat = x.flatten(2) if x.dim() > 2 else x.unsqueeze(2)
    flat = flat if flat.dtype == torch.float64 else flat.float()
    own_var, own_mean = (each.double() for each in torch.var_mean(flat, dim=2, correction=0))
    eps = float(layer.eps)
    deviation = (var.double() + eps).sqrt()
    z = (own_mean - mean.double()) / deviation
    weight = (own_var / (own_var + eps)).sqrt()
    return torch.stack([z, weight * ((own_var + eps).sqrt() / deviation - 1)])
