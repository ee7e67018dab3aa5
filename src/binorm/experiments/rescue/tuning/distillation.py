"""Self-distillation: a network's norms learn to say of restyled pictures what it said of them as they are."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from binorm.experiments.common.errors import DivergenceError, UserError
from binorm.experiments.rescue.restyling import Normalize, Restyle
from binorm.experiments.rescue.tuning.held_out import (
    HeldOut,
    HeldOutScore,
    compute,
    losses,
    outputs,
    restyled_by,
)
from binorm.experiments.rescue.tuning.parameters import TunedParameters
from binorm.experiments.rescue.tuning.settings import TuningSettings
from binorm.experiments.rescue.tuning.summary import TuningStep, TuningSummary, gates_by_layer, tuned_layers

LEAST_PICTURES = 10
DEFAULTS = TuningSettings()
LOWER = "tune at lower rates (gate_lr, affine_lr); the network is as it was"


@torch.enable_grad()
def tune(
    network: nn.Module,
    teacher: nn.Module,
    pictures: Tensor,
    restyle: Restyle,
    normalize: Normalize,
    settings: TuningSettings = DEFAULTS,
    labels: Tensor | None = None,
    on_step: Callable[[TuningStep], None] | None = None,
) -> TuningSummary:
    r"""Tune a network's norms in place so that restyled pictures give what the teacher says of them as they are.

    .. math:: \min_{\rho, \gamma, \beta} \; E \, T^2 \, KL(p_T(x) \,\|\, q_T(x')) \; [+ \lambda \, CE(y, q(x'))]

    with x' the picture restyled, or in the share ``settings.clean_weight`` as it is. Only the norms' gates, weights and
    biases learn, by Adam without decay, gates at a rate of their own; running statistics and all else stay bit for bit,
    and the network evaluates throughout. The rates rise, and fall along a cosine. What remains is the best averaged
    state by the same loss on held-out pictures in restylings drawn once; the start is one of the candidates, so that
    tuning never ends worse on them. On one machine's CPU the same seed gives the same bits. Random numbers are drawn
    from generators of its own.

    Args:
        network: a classifier (N, C, H, W) -> (N, classes) with batch-instance norms or batch norms whose gates have
            been calibrated. An error or an interrupt leaves it as it was, bit for bit.
        teacher: what it should go on saying: most often a deep copy from before the gates were calibrated. Not changed.
        pictures: at least 10, uint8 (N, 3, H, W); a part is held out.
        restyle: pictures and a generator to the same pictures restyled, uint8 of the same shape.
        normalize: pictures, uint8 (N, 3, H, W), to what the networks take.
        settings: steps, rates, budget and all other numbers.
        labels: of the pictures, whole numbers (N,), for the cross-entropy beside.
        on_step: called after each step.

    Returns:
        What it did.

    Raises:
        UserError: for pictures, labels, norms or a teacher that do not fit, and as `DivergenceError` for values that
            are not finite. The network is then as it was.
        ValueError: for a ``restyle`` that gives pictures of another shape or dtype.

    Example:
        >>> network = binorm.convert_batch_norm(network).eval()
        >>> teacher = copy.deepcopy(network)
        >>> binorm.calibrate_gates(network, pairs)
        >>> print(tune(network, teacher, pictures, restyle, normalize))
    """
    _check_pictures(pictures)
    parameters = TunedParameters.of(network, settings.layers)
    _check_teacher(teacher, parameters)
    before = gates_by_layer(network)
    with _evaluating(teacher), parameters.alone_in(network):
        lesson = _Lesson.drawn(teacher, pictures.cpu(), labels, restyle, normalize, settings)
        steps, kept, start, end = _Tuning(network, parameters, lesson).run(on_step)
    return TuningSummary(steps, kept, start, end, tuned_layers(before, gates_by_layer(network)))


@dataclass(frozen=True)
class _Lesson:
    """What is shown in which order, and what the teacher says of it.

    ``shown`` are positions among the pictures, (steps * batch_size,); ``taught`` the teacher's outputs for the distinct
    ones of them, and ``rows`` each shown one's row among these.
    """

    pictures: Tensor
    labels: Tensor | None
    restyle: Restyle
    normalize: Normalize
    settings: TuningSettings
    shown: Tensor
    rows: Tensor
    taught: Tensor
    held_out: HeldOut
    generator: torch.Generator

    @classmethod
    def drawn(
        cls,
        teacher: nn.Module,
        pictures: Tensor,
        labels: Tensor | None,
        restyle: Restyle,
        normalize: Normalize,
        settings: TuningSettings,
    ) -> "_Lesson":
        """Split the pictures and draw the order, both from the seed, and ask the teacher."""
        ordering, fixed, drawing = _generators(settings.seed)
        shuffled = torch.randperm(len(pictures), generator=ordering)
        count = min(max(1, round(settings.held_out * len(pictures))), settings.held_out_most, len(pictures) - 1)
        held, rest = shuffled[:count], shuffled[count:]
        wanted = settings.steps * settings.batch_size
        rounds = [rest[torch.randperm(len(rest), generator=ordering)] for _ in range(math.ceil(wanted / len(rest)))]
        shown = torch.cat(rounds)[:wanted]
        distinct, rows = torch.unique(shown, return_inverse=True)

        size = settings.micro_batch
        said = outputs(teacher, (pictures[each] for each in torch.split(torch.cat([held, distinct]), size)), normalize)
        _check_taught(said)
        labels = _checked_labels(labels, len(pictures), said.shape[1])
        restyled = [
            restyled_by(restyle, pictures[each], fixed)
            for _ in range(settings.held_out_restylings)
            for each in torch.split(held, size)
        ]
        held_out = HeldOut(pictures[held], torch.cat(restyled), said[:count], None if labels is None else labels[held])
        return cls(pictures, labels, restyle, normalize, settings, shown, rows, said[count:], held_out, drawing)

    def batch(self, step: int) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
        """Of a step from 0, in micro-batches: pictures as the network sees them, the teacher's outputs, and labels."""
        size, weight = self.settings.batch_size, self.settings.clean_weight
        clean = math.floor((step + 1) * size * weight) - math.floor(step * size * weight)
        here = slice(step * size, (step + 1) * size)
        positions = self.shown[here]
        seen = self.pictures[positions]
        for part in torch.split(torch.arange(clean, size), self.settings.micro_batch) if clean < size else ():
            seen[part] = restyled_by(self.restyle, seen[part], self.generator)
        for part in torch.split(torch.arange(size), self.settings.micro_batch):
            labels = None if self.labels is None else self.labels[positions[part]]
            yield seen[part], self.taught[self.rows[here][part]], labels


@dataclass(frozen=True)
class _Tuning:
    """The loop over a network whose other parameters are frozen already."""

    network: nn.Module
    parameters: TunedParameters
    lesson: _Lesson

    def run(self, on_step: Callable[[TuningStep], None] | None) -> tuple[int, int, HeldOutScore, HeldOutScore]:
        """Tune: steps taken, the one that remains, and the held-out pictures' scores at the start and with that one."""
        settings, parameters = self.lesson.settings, self.parameters
        optimizer = self._optimizer()
        average = parameters.values()
        start = self._score("at the start", "check the network, and what normalizes the pictures")
        best, kept, remaining = start, 0, parameters.values()
        looks = step = 0
        while step < settings.steps and looks < settings.patience:
            rate = settings.rate(step)
            for group in optimizer.param_groups:
                group["lr"] = rate * group["highest"]
            loss = self._step(optimizer, step)
            parameters.pull(rate * settings.gate_lr * settings.pull)
            parameters.average_into(average, settings.ema)
            step += 1
            held_out = None
            if step % settings.evaluate_every == 0 or step == settings.steps:
                with parameters.holding(average):
                    score = self._score(f"after step {step}", LOWER)
                held_out, looks = score.loss, looks + 1
                if score.loss < best.loss:
                    best, kept, remaining, looks = score, step, [each.clone() for each in average], 0
            if on_step is not None:
                on_step(TuningStep(step, settings.steps, loss, held_out))
        parameters.write(remaining)
        return step, kept, start, best

    def _optimizer(self) -> torch.optim.Optimizer:
        settings = self.lesson.settings
        rates = [(self.parameters.gates, settings.gate_lr), (self.parameters.affine, settings.affine_lr)]
        groups = [{"params": list(group), "highest": rate} for group, rate in rates if group and rate]
        if not groups:
            raise UserError(
                "nothing would be tuned: the network has no gates and affine_lr is 0, or its norms have no weights and "
                "gate_lr is 0"
            )
        return torch.optim.Adam(groups, weight_decay=0.0)

    def _step(self, optimizer: torch.optim.Optimizer, step: int) -> float:
        """One step of the optimizer; the mean loss of its pictures."""
        total = 0.0
        optimizer.zero_grad()
        for seen, taught, labels in self.lesson.batch(step):
            learned = compute(self.network, seen, self.lesson.normalize)
            if not learned.requires_grad:
                raise UserError("the network computes its outputs without the norms that should be tuned")
            given = None if labels is None else labels.to(learned.device)
            loss = losses(learned, taught.to(learned), given, self.lesson.settings).sum()
            loss = loss / self.lesson.settings.batch_size
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        if not math.isfinite(total):
            raise DivergenceError(f"the loss is {total} in step {step + 1}: {LOWER}")
        optimizer.step()
        return total

    def _score(self, when: str, way_out: str) -> HeldOutScore:
        score = self.lesson.held_out.score(self.network, self.lesson.normalize, self.lesson.settings)
        if not math.isfinite(score.loss):
            raise DivergenceError(f"the held-out pictures' loss is {score.loss} {when}: {way_out}")
        return score


def _generators(seed: int) -> list[torch.Generator]:
    """Three that know nothing of each other: for the order, the held-out restylings and those to train on."""
    seeds = torch.randint(2**62, (3,), generator=torch.Generator().manual_seed(seed))
    return [torch.Generator().manual_seed(each) for each in seeds.tolist()]


@contextmanager
def _evaluating(teacher: nn.Module) -> Iterator[None]:
    """In evaluation mode, and then each module in its own again."""
    modes = {module: module.training for module in teacher.modules()}
    teacher.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _check_pictures(pictures: Tensor) -> None:
    if pictures.dtype != torch.uint8 or pictures.dim() != 4:
        raise UserError(
            f"pictures should be uint8 of shape (N, 3, height, width) (got {pictures.dtype} {tuple(pictures.shape)})"
        )
    if len(pictures) < LEAST_PICTURES:
        raise UserError(
            f"{len(pictures)} pictures are too few to tune on and to hold some out: give at least {LEAST_PICTURES}, "
            "better some dozens"
        )


def _check_teacher(teacher: nn.Module, parameters: TunedParameters) -> None:
    own = {id(each) for each in teacher.parameters()}
    if any(id(each) in own for each in (*parameters.learning, *parameters.closed)):
        raise UserError(
            "teacher shares parameters with the network, so that it would change with it: give a deep copy from before "
            "the gates were calibrated"
        )


def _check_taught(outputs: Tensor) -> None:
    if not torch.isfinite(outputs).all():
        raise DivergenceError(
            "the teacher's outputs are not finite: check its weights, and what normalizes the pictures"
        )


def _checked_labels(labels: Tensor | None, pictures: int, classes: int) -> Tensor | None:
    """int64 (pictures,), each the number of a class."""
    if labels is None:
        return None
    if labels.shape != (pictures,) or labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise UserError(
            f"labels should be one whole number for each of {pictures} pictures (got {labels.dtype} "
            f"{tuple(labels.shape)})"
        )
    labels = labels.long().cpu()
    if len(wrong := labels[(labels < 0) | (labels >= classes)]):
        raise UserError(f"labels should be from 0 to {classes - 1}, the network's classes (got {wrong[0].item()})")
    return labels
