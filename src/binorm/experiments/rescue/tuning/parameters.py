"""What is tuned of a network: its norms' gates, weights and biases; their average, and the way back to their start."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from binorm.experiments.common.errors import UserError
from binorm.norm_layers import NormLayer, is_frozen, norm_layers


@dataclass(frozen=True)
class TunedParameters:
    """Parameters of a network by their rates; one that layers share is there once.

    Attributes:
        gates: each (C,), of the layers that keep gates of their own.
        affine: weights and biases, each (C,), of all norms.
        closed: gates of the layers beyond the budget, which are to be 1.
    """

    gates: tuple[nn.Parameter, ...]
    affine: tuple[nn.Parameter, ...]
    closed: tuple[nn.Parameter, ...]

    @classmethod
    def of(cls, network: nn.Module, layers: int | Sequence[str] | None) -> "TunedParameters":
        """Those of a network of which ``layers`` keep gates: how many, or which ones, or None for all.

        Norms under `binorm.freeze_` are constants, and none of theirs is tuned.

        Raises:
            UserError: for a network without norms to tune, for one whose norms have no running statistics, or
                parameters that are computed from others or are not float32 or float64, and for unknown names.
        """
        norms = _norms(network)
        gates = {name: gate for name, norm in norms.items() if (gate := norm._parameters.get("gate")) is not None}
        free = {id(gates[name]) for name in _budget(gates, layers)}
        affine = [each for norm in norms.values() for each in (norm.weight, norm.bias) if each is not None]
        return cls(
            tuple(_once([each for each in gates.values() if id(each) in free])),
            tuple(_once(affine)),
            tuple(_once([each for each in gates.values() if id(each) not in free])),
        )

    @property
    def learning(self) -> tuple[nn.Parameter, ...]:
        """Gates and affine parameters."""
        return self.gates + self.affine

    @torch.no_grad()
    def values(self) -> list[Tensor]:
        """Copies of what is learned, in the order of `learning`."""
        return [each.detach().clone() for each in self.learning]

    @torch.no_grad()
    def write(self, values: Sequence[Tensor]) -> None:
        """Put `values` back, bit for bit."""
        for parameter, value in zip(self.learning, values, strict=True):
            parameter.copy_(value)

    @contextmanager
    def holding(self, values: Sequence[Tensor]) -> Iterator[None]:
        """With other values for a while."""
        own = self.values()
        self.write(values)
        try:
            yield
        finally:
            self.write(own)

    @torch.no_grad()
    def pull(self, step: float) -> None:
        """The proximal step of |1 - gate|: gates move by ``step`` towards 1, and stay there once they arrive."""
        for gate in self.gates:
            gate.add_(step).clamp_(max=1.0)

    @torch.no_grad()
    def average_into(self, averages: Sequence[Tensor], keep: float) -> None:
        """Move the running averages of `values` on; gates of exactly 1 are so in the average, as layers that fold."""
        for average, parameter in zip(averages, self.learning, strict=True):
            average.lerp_(parameter, 1.0 - keep)
        for average, gate in zip(averages, self.gates, strict=False):
            average[gate >= 1.0] = 1.0

    @contextmanager
    def alone_in(self, network: nn.Module) -> Iterator[None]:
        """Nothing else of the network has gradients, and all of it evaluates; then modes and gradients are as before.

        An error inside, or an interrupt, puts the values back too.
        """
        learned = {each: (each.requires_grad, each.grad) for each in network.parameters()}
        modes = {module: module.training for module in network.modules()}
        kept, kept_closed = self.values(), [each.detach().clone() for each in self.closed]
        try:
            network.eval().requires_grad_(False)
            for parameter in self.learning:
                parameter.requires_grad_(True).grad = None
            with torch.no_grad():
                for gate in self.closed:
                    gate.fill_(1.0)
            yield
        except BaseException:
            self.write(kept)
            with torch.no_grad():
                for gate, value in zip(self.closed, kept_closed, strict=True):
                    gate.copy_(value)
            raise
        finally:
            for parameter, (requires_grad, grad) in learned.items():
                parameter.requires_grad_(requires_grad).grad = grad
            for module, mode in modes.items():
                module.training = mode


def _norms(network: nn.Module) -> dict[str, NormLayer]:
    """The norms to tune by their names within the network."""
    found = set(norm_layers(network))
    norms = {name: each for name, each in network.named_modules() if each in found and not is_frozen(each)}
    if not norms:
        raise UserError(
            f"{type(network).__name__} has no batch norms or batch-instance norms that could be tuned: choose a "
            "network with some, converted by binorm.convert_batch_norm, and take binorm.freeze_ off them"
        )
    for name, norm in norms.items():
        _check(norm, name or "the norm")
    return {name: norm for name, norm in norms.items() if isinstance(norm, NormLayer)}


def _check(norm: nn.Module, name: str) -> None:
    if norm._buffers.get("running_mean") is None or norm._buffers.get("running_var") is None:
        raise UserError(f"{name} has no running statistics, so that pictures would depend on those beside them")
    for kind in ("gate", "weight", "bias"):
        value = getattr(norm, kind, None)
        if value is None:
            continue
        if kind not in norm._parameters:
            raise UserError(
                f"the {kind} of {name} is computed from other parameters (parametrized, pruned or sharded): tune the "
                "network before that"
            )
        if value.dtype not in (torch.float32, torch.float64):
            raise UserError(
                f"the {kind} of {name} is {str(value.dtype).removeprefix('torch.')}, too coarse for small steps: tune "
                "network.float(), and convert it afterwards"
            )
        if not torch.isfinite(value).all():
            raise UserError(f"the {kind} of {name} has values that are not finite: start from a sound network")


def _budget(gates: dict[str, nn.Parameter], layers: int | Sequence[str] | None) -> list[str]:
    """Names of the layers that keep their gates."""
    if layers is None:
        return list(gates)
    if not gates:
        raise UserError(
            "the network has no gates, so that no layers could keep theirs: convert it with "
            "binorm.convert_batch_norm and calibrate it, or leave layers out"
        )
    if isinstance(layers, int):
        return sorted(gates, key=lambda name: gates[name].detach().clamp(0.0, 1.0).double().mean().item())[:layers]
    if unknown := [name for name in layers if name not in gates]:
        raise UserError(f"{unknown[0]!r} is no batch-instance norm to tune; there are {', '.join(gates)}")
    return list(layers)


def _once(parameters: Sequence[nn.Parameter]) -> list[nn.Parameter]:
    return list({id(each): each for each in parameters}.values())
