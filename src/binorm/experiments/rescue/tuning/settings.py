"""How a network is tuned: every number of it, checked."""

import math
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from binorm.experiments.common.errors import UserError


@dataclass(frozen=True, kw_only=True)
class TuningSettings:
    """What `tune` does in how many steps.

    Args:
        steps: of the optimizer, at the most.
        batch_size: pictures a step, clean and restyled ones together.
        micro_batch: pictures that go through a network at once, which bounds the memory.
        gate_lr: Adam's rate of the gates at its highest; 0 leaves them as they were calibrated.
        affine_lr: the same for weight and bias of the norms.
        warm_up: the share of the steps in which the rates rise, before they fall to 0 along a cosine.
        clean_weight: the share of pictures that the network sees as they are; they count as much in what is held out.
        temperature: divides the outputs of both networks before they are compared.
        label_weight: of the cross-entropy beside the divergence from the teacher, where there are labels.
        label_smoothing: of that cross-entropy.
        layers: how many layers have gates of their own, those whose calibrated gates are farthest from 1, or their
            names; the gates of all others are set to 1, so that they are batch norms and fold. None for all layers.
        pull: a step of gates towards 1 after each of the optimizer's, in shares of it: gates that hardly matter end at
            exactly 1.
        ema: what the running average of the tuned values keeps of itself each step; 0 for no average.
        held_out: the share of the pictures that is kept from training, to choose the state that remains.
        held_out_most: how many pictures that is at the most; the others train.
        held_out_restylings: how often each held-out picture is restyled, once and for all.
        evaluate_every: steps from one look at what is held out to the next.
        patience: how many looks without a better state end the tuning.
        seed: of the split, the order and the restylings.

    Raises:
        UserError: for a value out of its range or of the wrong type.
    """

    WHOLE: ClassVar[dict[str, int]] = {  # and the least
        "steps": 1,
        "batch_size": 1,
        "micro_batch": 1,
        "held_out_most": 1,
        "held_out_restylings": 1,
        "evaluate_every": 1,
        "patience": 1,
        "seed": 0,
    }
    REAL: ClassVar[dict[str, tuple[float, float]]] = {
        "gate_lr": (0.0, 1.0),
        "affine_lr": (0.0, 1.0),
        "warm_up": (0.0, 1.0),
        "clean_weight": (0.0, 1.0),
        "temperature": (0.01, 100.0),
        "label_weight": (0.0, 100.0),
        "label_smoothing": (0.0, 0.99),
        "pull": (0.0, 1.0),
        "ema": (0.0, 0.9999),
        "held_out": (0.01, 0.9),
    }

    steps: int = 60
    batch_size: int = 32
    micro_batch: int = 16
    gate_lr: float = 0.01
    affine_lr: float = 0.001
    warm_up: float = 0.1
    clean_weight: float = 0.5
    temperature: float = 1.0
    label_weight: float = 1.0
    label_smoothing: float = 0.1
    layers: int | tuple[str, ...] | None = None
    pull: float = 0.0
    ema: float = 0.9
    held_out: float = 0.2
    held_out_most: int = 200
    held_out_restylings: int = 4
    evaluate_every: int = 10
    patience: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value: Any = getattr(self, field.name)
            if field.name in self.WHOLE:
                least = self.WHOLE[field.name]
                if isinstance(value, bool) or not isinstance(value, int) or value < least:
                    raise UserError(f"{field.name} should be a whole number, at least {least} (got {value!r})")
            elif field.name in self.REAL:
                low, high = self.REAL[field.name]
                if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                    raise UserError(f"{field.name} should be a number from {low:g} to {high:g} (got {value!r})")
        self._check_layers()
        if not (self.gate_lr or self.affine_lr):
            raise UserError("gate_lr and affine_lr are both 0, so that nothing would be tuned: give one of them")

    def _check_layers(self) -> None:
        if self.layers is None:
            return
        names = isinstance(self.layers, tuple) and self.layers and all(isinstance(each, str) for each in self.layers)
        number = isinstance(self.layers, int) and not isinstance(self.layers, bool) and self.layers >= 1
        if not (names or number):
            raise UserError(
                f"layers should be how many layers keep gates (at least 1), a tuple of names, or None for all "
                f"(got {self.layers!r})"
            )

    def rate(self, step: int) -> float:
        """The share of the highest rates in step ``step`` of 0, ..., ``steps`` - 1."""
        warm = round(self.warm_up * self.steps)
        if step < warm:
            return (step + 1) / (warm + 1)
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / (self.steps - warm)))
