"""What tuning did, as numbers and as a short table."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from binorm.experiments.rescue.tuning.held_out import HeldOutScore
from binorm.modules import _BatchInstanceNorm


@dataclass(frozen=True)
class TuningStep:
    """Told after each step.

    Attributes:
        step: its number, from 1.
        steps: how many there are at the most.
        loss: the mean of its pictures before it.
        held_out: the loss of the held-out pictures with the averaged values after it; None where nobody looked.
    """

    step: int
    steps: int
    loss: float
    held_out: float | None


@dataclass(frozen=True)
class TunedLayer:
    """The gates of one layer.

    Attributes:
        name: of the layer within the network.
        channels: the number of its gates.
        before: the mean of its gates before.
        after: the mean of its gates now.
        ones_before: how many of its gates were exactly 1.
        ones: how many are now; where all are, the layer is a batch norm and folds.
    """

    name: str
    channels: int
    before: float
    after: float
    ones_before: int
    ones: int


@dataclass(frozen=True)
class TuningSummary:
    """What came of tuning; prints as a table.

    Attributes:
        steps: how many were taken.
        kept: the step whose averaged values remain; 0 where no step was better than the start.
        start: of the held-out pictures, the budget's gates being 1 already.
        end: of them with the values that remain.
        layers: with gates, in the order of the network's modules.
    """

    steps: int
    kept: int
    start: HeldOutScore
    end: HeldOutScore
    layers: tuple[TunedLayer, ...]

    def __str__(self) -> str:
        """Two lines for start and end, and one for each layer whose gates are not all 1 before and after."""
        remains = f"those of step {self.kept} remain" if self.kept else "none was better than the start, which remains"
        lines = [
            f"{self.steps} steps; {remains}",
            "held out   KL clean  KL restyled  as teacher clean  as teacher restyled",
        ]
        lines += [
            f"{name:9}  {each.clean_divergence:8.4f}  {each.restyled_divergence:11.4f}  "
            f"{100 * each.clean_agreement:14.1f} %  {100 * each.restyled_agreement:17.1f} %"
            for name, each in (("start", self.start), ("end", self.end))
        ]
        gated = [each for each in self.layers if min(each.ones_before, each.ones) < each.channels]
        width = max((len(each.name) for each in gated), default=0)
        if gated:
            lines.append(f"{'layer':{width}}  gates  mean before  mean now  at 1 before  at 1 now")
        lines += [
            f"{each.name:{width}}  {each.channels:5}  {each.before:11.3f}  {each.after:8.3f}  "
            f"{each.ones_before:11}  {each.ones:8}"
            for each in gated
        ]
        if closed := len(self.layers) - len(gated):
            lines.append(f"in {closed} layers all gates were and are 1")
        return "\n".join(lines)


def gates_by_layer(network: nn.Module) -> dict[str, Tensor]:
    """The gates that each layer computes with, (C,), in float64 on the CPU."""
    layers = {name: each for name, each in network.named_modules() if isinstance(each, _BatchInstanceNorm)}
    return {name: each.gate.detach().double().cpu().clamp(0.0, 1.0) for name, each in layers.items()}


def tuned_layers(before: dict[str, Tensor], after: dict[str, Tensor]) -> tuple[TunedLayer, ...]:
    """Layer by layer, what `gates_by_layer` gave before and now."""
    return tuple(
        TunedLayer(
            name,
            len(was),
            was.mean().item(),
            after[name].mean().item(),
            int(torch.count_nonzero(was >= 1.0)),
            int(torch.count_nonzero(after[name] >= 1.0)),
        )
        for name, was in before.items()
    )
