"""Affine tuning: the norms' weights and biases learn to say of restyled pictures what the network says of them."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from binorm.experiments.common.errors import DivergenceError
from binorm.experiments.rescue.methods.method import Adapted, Calibration, Method, needed, own_copy
from binorm.experiments.rescue.methods.statistics import affine_parameters

STEPS, BATCH_SIZE, LR = 62, 32, 1e-3
MICRO_BATCH = 16  # the graph of this many pictures is held at once


def affine(
    network: nn.Module,
    calibration: Calibration | None = None,
    *,
    steps: int = STEPS,
    batch_size: int = BATCH_SIZE,
    lr: float = LR,
) -> Adapted:
    r"""Tune the weights and biases of a copy's norms beforehand, by self-distillation.

    What is minimized is

    .. math:: KL(p(x) \,\|\, q(x'))

    with p the network's own prediction on a picture as it is, and q the copy's on it restyled, anew in each step. By
    Adam, on running statistics, in evaluation mode; all else stays as it is. Afterwards the network is static.

    Args:
        network: with batch norms or batch-instance norms; not changed.
        calibration: its pictures are gone through in rounds, in an order drawn from its seed.
        steps: of the optimizer.
        batch_size: pictures in a step.
        lr: Adam's rate.

    Raises:
        UserError: without calibration pictures, for a network without such norms or weights in them, and, as
            `DivergenceError`, when the loss is not finite.
    """
    calibration = needed(calibration, AFFINE.name)
    student = own_copy(network)
    optimizer = torch.optim.Adam(affine_parameters(student), lr=lr, weight_decay=0.0)
    generator = calibration.generator()
    taught = _predictions(student, calibration)  # before the first step: the teacher's
    for step, positions in enumerate(_positions(len(taught), steps, batch_size, generator)):
        restyled = calibration.restyled(calibration.pictures[positions], generator)
        total = 0.0
        parts = zip(torch.split(restyled, MICRO_BATCH), torch.split(positions, MICRO_BATCH), strict=True)
        for part, those in parts:
            with torch.enable_grad():
                said = student(calibration.seen(part, student)).log_softmax(dim=1)
                loss = F.kl_div(said, taught[those], reduction="sum", log_target=True) / len(positions)
                loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        if not math.isfinite(total):
            raise DivergenceError(
                f"the loss of affine tuning is {total} in step {step + 1}: check the network's weights, and what "
                "normalizes the pictures"
            )
        optimizer.step()
        optimizer.zero_grad()
    return Adapted(student.requires_grad_(False))


@torch.no_grad()
def _predictions(network: nn.Module, calibration: Calibration) -> Tensor:
    """Log probabilities of all pictures as they are, (N, classes)."""
    parts = torch.split(calibration.pictures, MICRO_BATCH)
    return torch.cat([network(calibration.seen(part, network)).log_softmax(dim=1) for part in parts])


def _positions(pictures: int, steps: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Of each step, (batch_size,): every picture once a round, each round in an order of its own."""
    wanted = steps * batch_size
    rounds = [torch.randperm(pictures, generator=generator) for _ in range(math.ceil(wanted / pictures))]
    return iter(torch.split(torch.cat(rounds)[:wanted], batch_size)) if rounds else iter(())


AFFINE = Method(
    name="affine",
    title="affine tuning",
    source="",
    summary=f"Weights and biases of the norms tuned beforehand by self-distillation on restyled pictures, in "
    f"{STEPS} steps of {BATCH_SIZE}.",
    batch=False,
    calibrates=True,
    prepare=affine,
)
