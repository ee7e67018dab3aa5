"""What batch-instance norm costs beside the norms it replaces, side by side in one run.

Each round times all contestants one after the other, so that a machine's drift meets them all; the figure is the median
of the rounds' ratios. Beside it stands the limit: the bytes that have to move, over the bandwidth at which this machine
copies a tensor of that size.
"""

import math
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it
from torch.utils.benchmark import Timer

from binorm import BatchInstanceNorm2d, BatchInstanceNormAct2d, gate_parameters
from binorm.experiments.common.errors import UserError, lookup
from binorm.experiments.common.machine import describe_machine, describe_versions

Shape = tuple[int, int, int, int]
Step = Callable[[], object]

SHAPES: tuple[Shape, ...] = (  # of ResNet-20 at batch 128, ResNet-50 at batch 32, and of a style network
    (128, 16, 32, 32),
    (128, 32, 16, 16),
    (128, 64, 8, 8),
    (32, 64, 56, 56),
    (32, 256, 56, 56),
    (32, 512, 28, 28),
    (32, 1024, 14, 14),
    (32, 2048, 7, 7),
    (4, 32, 256, 256),
)
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16, "float64": torch.float64}
SECONDS_A_TIMING = 0.03


class MixedNorm(nn.Module):
    """Batch and instance norm computed by PyTorch, mixed by a gate: what one writes without this package."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.batch_norm = nn.BatchNorm2d(num_features, affine=False)
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.gate = nn.Parameter(torch.full((num_features,), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        gate, weight, bias = (each.to(x.dtype).view(1, -1, 1, 1) for each in (self.gate, self.weight, self.bias))
        mixed: Tensor = gate * self.batch_norm(x) + (1 - gate) * F.instance_norm(x)
        return mixed * weight + bias


@dataclass(frozen=True)
class Case:
    """A comparison: ours against another, in training (forward and backward pass) or in evaluation with one sample.

    ``passes`` counts how often a tensor of the input's size has to be read or written at least.
    """

    title: str
    ours: Callable[[int], nn.Module]
    other: Callable[[int], nn.Module]
    training: bool
    passes: int


CASES = {
    "norm": Case("BatchInstanceNorm2d / BatchNorm2d, training", BatchInstanceNorm2d, nn.BatchNorm2d, True, 5),
    "mixed": Case("BatchInstanceNorm2d / F.batch_norm and F.instance_norm mixed by the gate, training",
                  BatchInstanceNorm2d, MixedNorm, True, 5),
    "act": Case("BatchInstanceNormAct2d / BatchNorm2d + ReLU(inplace), training", BatchInstanceNormAct2d,
                lambda channels: nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True)), True, 5),
    "evaluation": Case("BatchInstanceNorm2d / InstanceNorm2d, evaluation of one sample", BatchInstanceNorm2d,
                       lambda channels: nn.InstanceNorm2d(channels, affine=True), False, 2),
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """What was measured for a shape: medians in milliseconds, ratios of ours to the other over the rounds."""

    case: str
    dtype: str
    shape: Shape
    layout: str
    ours_ms: float
    other_ms: float
    ratio: float
    least_ratio: float
    greatest_ratio: float
    limit_ms: float


def bench(
    cases: list[str],
    dtypes: list[str],
    shapes: tuple[Shape, ...],
    device: str,
    rounds: int,
    report: Callable[[str], None],
) -> list[Row]:
    """Measure every case for every dtype, shape and layout; ``report`` hears what is being measured.

    Raises:
        UserError: for an unknown case or dtype, a device that is not there, and a shape too large for it.
    """
    chosen = {name: lookup("case", name, CASES) for name in cases}
    kinds = {name: lookup("dtype", name, DTYPES) for name in dtypes}
    if rounds < 1:
        raise UserError(f"--rounds should be at least 1 (got {rounds})")
    if device not in ("cpu", "cuda") or (device == "cuda" and not torch.cuda.is_available()):
        raise UserError(f"--device should be cpu, or cuda where PyTorch finds a GPU (got {device!r})")
    rows = []
    for name, case in chosen.items():
        for dtype_name, dtype in kinds.items():
            for shape in shapes:
                for layout, memory_format in LAYOUTS.items():
                    report(f"{case.title}: {dtype_name} {shape_name(shape)} {layout}")
                    samples = shape if case.training else (1, *shape[1:])
                    try:
                        x = torch.randn(samples, device=device).to(dtype).contiguous(memory_format=memory_format)
                        times = _times(case, x, rounds)
                    except RuntimeError as error:
                        if "allocate memory" not in str(error) and "out of memory" not in str(error):
                            raise
                        raise UserError(
                            f"not enough memory for {shape_name(samples)}: choose smaller --shapes"
                        ) from error
                    rows.append(_row(name, dtype_name, samples, layout, case, times))
    return rows


def _times(case: Case, x: Tensor, rounds: int) -> list[tuple[float, float, float]]:
    """Seconds of ours, of the other and of a copy, in each round."""
    copy = torch.empty_like(x)
    steps = [_step(case, case.ours, x), _step(case, case.other, x), lambda: copy.copy_(x)]
    timers = [Timer("step()", globals={"step": step}, num_threads=torch.get_num_threads()) for step in steps]
    counts = [max(1, int(SECONDS_A_TIMING / timer.timeit(2).median)) for timer in timers]
    rounds_of_three = []
    for _ in range(rounds):
        ours, other, copied = (timer.timeit(count).median for timer, count in zip(timers, counts, strict=True))
        rounds_of_three.append((ours, other, copied))
    return rounds_of_three


def _step(case: Case, make: Callable[[int], nn.Module], x: Tensor) -> Step:
    norm = make(x.shape[1]).to(x.device).train(case.training)
    if not case.training:
        for gate in gate_parameters(norm):
            gate.data.fill_(0.5)  # at 1, evaluation on the CPU is PyTorch's batch norm

        @torch.no_grad()
        def evaluate() -> Tensor:
            return norm(x)  # type: ignore[no-any-return]

        return evaluate
    x = x.clone().requires_grad_()
    cotangent = torch.randn_like(x)
    leaves = [x, *norm.parameters()]

    def train() -> None:
        for leaf in leaves:
            leaf.grad = None
        norm(x).backward(cotangent)

    return train


def _row(name: str, dtype: str, shape: Shape, layout: str, case: Case, times: list[tuple[float, float, float]]) -> Row:
    ours, other, copy = (statistics.median(each) for each in zip(*times, strict=True))
    ratios = sorted(a / b for a, b, _ in times)
    return Row(
        name, dtype, shape, layout, 1e3 * ours, 1e3 * other, statistics.median(ratios), ratios[0], ratios[-1],
        1e3 * copy * case.passes / 2,  # a copy reads once and writes once
    )  # fmt: skip


def geometric_mean(rows: list[Row]) -> float:
    """Of the rows' ratios."""
    return math.exp(statistics.fmean(math.log(row.ratio) for row in rows))


def bench_facts(rows: list[Row], command: str, device: str, rounds: int) -> dict[str, Any]:
    """Everything measured, and where, for a JSON file."""
    return {
        "command": command,
        "device": device,
        "threads": torch.get_num_threads(),
        "rounds": rounds,
        "machine": describe_machine(),
        "versions": describe_versions(),
        "rows": [asdict(row) for row in rows],
    }


def shape_name(shape: Shape) -> str:
    """As people write it: ``32x64x56x56``."""
    return "x".join(map(str, shape))
