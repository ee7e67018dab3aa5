"""How long a comparison takes on this machine, and how far a budget of time goes."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.benchmark import Timer

from binorm import param_groups
from binorm.experiments.common.errors import UserError
from binorm.experiments.models import create
from binorm.experiments.recipes.classification import ClassifierRecipe
from binorm.experiments.training.settings import Settings

PROBE_BATCH = 32  # images: enough for about the speed of a whole batch, few enough for any network
PROBE_SECONDS = 0.25
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Cost:
    """Seconds that one network takes for one image, in training and in evaluation."""

    training: float
    evaluation: float

    def epoch(self, trained: int, evaluated: int) -> float:
        """Seconds of one epoch over so many training images, with the evaluation of so many after it."""
        return self.training * trained + self.evaluation * evaluated


def measure_cost(recipe: ClassifierRecipe, norm: str, num_classes: int, settings: Settings, size: int) -> Cost:
    """Time a few steps of one norm's network on random images of ``size``; leaves the random state as it was.

    Networks are timed uncompiled: compilation would take longer than the estimate is worth. Decoding is not included.

    Raises:
        UserError: where the network cannot take such images.
    """
    with torch.random.fork_rng():
        return _measure(recipe, norm, num_classes, settings, size)


def _measure(recipe: ClassifierRecipe, norm: str, num_classes: int, settings: Settings, size: int) -> Cost:
    device = torch.device(settings.device)
    network = create(recipe.model, num_classes, norm, recipe.dropout).to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(param_groups(network, 0.0), lr=0.0, momentum=recipe.momentum)
    batch = min(PROBE_BATCH, recipe.batch_size)
    images = torch.randn(batch, 3, size, size, device=device).contiguous(memory_format=torch.channels_last)
    labels = torch.zeros(batch, dtype=torch.int64, device=device)

    def step() -> None:
        optimizer.zero_grad()
        with settings.autocast():
            loss = nn.functional.cross_entropy(network(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    def evaluate() -> None:
        with torch.inference_mode(), settings.autocast():
            network(images)

    try:
        step()
    except (ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"{recipe.model} with {norm} cannot take a batch of {batch} pictures of {size}x{size} ({reason}): choose "
            "another --image_size, --model or --batch_size, or leave the norm out"
        ) from error
    training = _seconds(step) / batch
    network.eval()
    return Cost(training, _seconds(evaluate) / batch)


def _seconds(call: Callable[[], None]) -> float:
    """Of one call, the median."""
    timer = Timer("call()", globals={"call": call}, num_threads=torch.get_num_threads())
    return float(timer.blocked_autorange(min_run_time=PROBE_SECONDS).median)


def parse_budget(text: str) -> float:
    """Seconds in ``"90s"``, ``"30m"``, ``"4h"``, ``"1.5d"``.

    Raises:
        UserError: for anything else, and for nothing or less.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip())
    if not found or float(found[1]) == 0:
        raise UserError(f"--budget should be a time such as 90s, 30m, 4h or 2d (got {text!r})")
    return float(found[1]) * UNITS[found[2]]


def share_of_schedule(seconds: float, budget: float, epochs: Mapping[str, int]) -> dict[str, int]:
    """How many epochs of each recipe fit into a budget: the same share of every schedule, at least one epoch each.

    Args:
        seconds: that all recipes take in full.
        budget: in seconds.
        epochs: of each recipe's schedule, by its name.
    """
    share = min(budget / seconds, 1.0)
    return {name: max(1, int(share * count)) for name, count in epochs.items()}
