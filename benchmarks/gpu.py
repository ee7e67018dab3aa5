"""What the layer does on a GPU: its errors, its time beside batch norm and beside a copy, and whole trainings.

Run: python benchmarks/gpu.py [--only errors,times] [--device cuda] [--shapes large] [--dtypes float32,bfloat16]
     [--rounds 5] [--out FILE.json]
     python benchmarks/gpu.py --only training --data cifar10.zip [--recipe cifar10-resnet20] [--norms bn,bin]
     [--seeds 3] [--minutes 9] [--runs runs]

errors: output, gradients and running statistics of ``BatchInstanceNorm2d`` against PyTorch's two norms mixed by the
gate in float64; the figure is norm(found - exact) / norm(exact), the greatest of all shapes and layouts.

times: of ``BatchInstanceNorm2d``, ``BatchNorm2d`` and a copy, by device events over the replays of a CUDA graph, so
that no launch is waited for; rounds alternate. The limit of a pass counts each tensor that has to be read or written
once, where nothing stays in a cache: 3 in the forward pass (the input twice, the output), 5 in the backward pass.

training: `binorm train` of every norm and seed, all at once on one device, for so many minutes; called again, they go
on where they were. `binorm compare` with the same words writes the report.
"""

import argparse
import json
import math
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from binorm import BatchInstanceNorm2d
from binorm.experiments.common.files import write_text_atomically
from binorm.experiments.common.machine import describe_machine, describe_versions

Shape = tuple[int, int, int, int]

SHAPES: dict[str, tuple[Shape, ...]] = {
    "tiny": ((4, 6, 9, 9), (2, 16, 8, 8)),
    # of ResNet-20 at batch 128, of ResNet-50 at batch 256, and of a style network
    "large": (
        (128, 16, 32, 32), (128, 32, 16, 16), (128, 64, 8, 8), (256, 64, 112, 112), (256, 256, 56, 56),
        (256, 128, 28, 28), (256, 1024, 14, 14), (256, 2048, 7, 7), (8, 32, 512, 512),
    ),
}  # fmt: skip
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PASSES = {"forward": 3, "both": 8}
REPLAYED_SECONDS = 0.03
ERRORS_UP_TO = 2**27  # values of an input; float64 takes eight times the memory, and several of it


@dataclass(frozen=True)
class Errors:
    """Relative errors of one dtype in training or evaluation, the greatest of all shapes and layouts."""

    dtype: str
    training: bool
    output: float
    gradients: float
    running: float


@dataclass(frozen=True)
class Times:
    """Milliseconds of one shape: medians of the rounds; ratios of ours to batch norm over the rounds.

    ``share`` is of the copy's bandwidth: the bytes of all passes over it, over our time.
    """

    shape: Shape
    layout: str
    dtype: str
    what: str
    ours: float
    batch_norm: float
    limit: float
    ratio: float
    ratios: list[float]
    share: float


def errors(shapes: Sequence[Shape], device: str) -> list[Errors]:
    """Of every dtype, in training and evaluation."""
    rows = []
    for name, dtype in DTYPES.items():
        for training in (True, False):
            found = [
                errors_of(shape, layout, dtype, training, device)
                for shape in shapes
                if math.prod(shape) <= ERRORS_UP_TO
                for layout in LAYOUTS.values()
            ]
            rows.append(Errors(name, training, *(max(column) for column in zip(*found, strict=True))))
    return rows


def errors_of(
    shape: Shape, layout: torch.memory_format, dtype: torch.dtype, training: bool, device: str
) -> tuple[float, float, float]:
    """Of output, gradients (the greatest) and running statistics (the greatest), on pictures of different styles."""
    style = (shape[0], shape[1], 1, 1)
    x = torch.randn(shape, device=device) * (0.5 + torch.rand(style, device=device)) + torch.randn(style, device=device)
    x = x.to(dtype).contiguous(memory_format=layout).requires_grad_()
    cotangent = torch.randn(shape, device=device).to(dtype).contiguous(memory_format=layout)
    layer = BatchInstanceNorm2d(shape[1]).to(device).train(training)
    with torch.no_grad():
        layer.gate.uniform_()
        layer.weight.uniform_(0.5, 1.5)
        layer.bias.normal_()
        layer.running_mean.normal_()
        layer.running_var.uniform_(0.5, 1.5)
    exact = [each.detach().double().requires_grad_() for each in (x, layer.gate, layer.weight, layer.bias)]
    running = [layer.running_mean.double(), layer.running_var.double()]
    expected = mixed(*exact, *running, training, layer.momentum or 0.0, layer.eps)
    expected_gradients = torch.autograd.grad(expected, exact, cotangent.double())
    output = layer(x)
    gradients = torch.autograd.grad(output, [x, layer.gate, layer.weight, layer.bias], cotangent)
    assert output.is_contiguous(memory_format=layout)
    return (
        relative_error(output, expected),
        max(map(relative_error, gradients, expected_gradients)),
        max(map(relative_error, [layer.running_mean, layer.running_var], running)),
    )


def mixed(
    x: Tensor, gate: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor,
    training: bool, momentum: float, eps: float,
) -> Tensor:  # fmt: skip
    """PyTorch's two norms, mixed by the gate."""
    by_batch = functional.batch_norm(x, mean, var, None, None, training, momentum, eps)
    by_instance = functional.instance_norm(x, eps=eps)
    gate, weight, bias = (each.view(1, -1, 1, 1) for each in (gate, weight, bias))
    return (gate * by_batch + (1 - gate) * by_instance) * weight + bias


def relative_error(found: Tensor, exact: Tensor) -> float:
    """``norm(found - exact) / norm(exact)``; infinite for whatever is not finite."""
    error = ((found.double() - exact).norm() / exact.norm()).item()
    return error if math.isfinite(error) else math.inf


def times(shapes: Sequence[Shape], dtypes: Sequence[str], device: str, rounds: int) -> list[Times]:
    """Of every shape, layout and dtype, forward and forward with backward."""
    rows = []
    for shape in shapes:
        for layout in LAYOUTS:
            for dtype in dtypes:
                x = torch.randn(shape, device=device, dtype=DTYPES[dtype]).contiguous(memory_format=LAYOUTS[layout])
                for what in PASSES:
                    rows.append(times_of(x, layout, dtype, what, rounds))
                if device == "cuda":
                    torch.cuda.empty_cache()
    return rows


def times_of(x: Tensor, layout: str, dtype: str, what: str, rounds: int) -> Times:
    """Of one input."""
    copied = torch.empty_like(x)
    calls = [
        timed(step(BatchInstanceNorm2d(x.shape[1]), x, what), x.device),
        timed(step(nn.BatchNorm2d(x.shape[1]), x, what), x.device),
        timed(lambda: copied.copy_(x), x.device),
    ]
    measured = [[call() for call in calls] for _ in range(rounds)]
    ours, batch_norm, copy = (statistics.median(column) for column in zip(*measured, strict=True))
    ratios = sorted(row[0] / row[1] for row in measured)
    limit = copy * PASSES[what] / 2  # a copy reads and writes
    samples, channels, height, width = x.shape
    return Times(
        (samples, channels, height, width), layout, dtype, what,
        1e3 * ours, 1e3 * batch_norm, 1e3 * limit, statistics.median(ratios), ratios, limit / ours,
    )  # fmt: skip


def step(layer: nn.Module, x: Tensor, what: str) -> Callable[[], object]:
    """A pass through a layer in training, or that and its backward pass."""
    layer = layer.to(x.device)
    if what == "forward":
        layer.requires_grad_(False)
        return lambda: layer(x)
    x = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    cotangent = torch.randn_like(x)
    wanted = [x, *layer.parameters()]
    return lambda: torch.autograd.grad(layer(x), wanted, cotangent)


def timed(call: Callable[[], object], device: torch.device) -> Callable[[], float]:
    """A function that returns the seconds of a call: on a GPU by events over replays of its graph."""
    if device.type == "cpu":
        return lambda: clocked(call)
    warm = torch.cuda.Stream()
    warm.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(warm):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(warm)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    count = max(3, min(2000, int(REPLAYED_SECONDS / by_events(graph, 3))))

    def replayed(recorded: Callable[[], object] = call) -> float:  # the graph reads the memory that the call holds
        return by_events(graph, count)

    return replayed


def by_events(graph: torch.cuda.CUDAGraph, count: int) -> float:
    """Seconds of a replay."""
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    graph.replay()
    start.record()
    for _ in range(count):
        graph.replay()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) / 1e3 / count


def clocked(call: Callable[[], object]) -> float:
    """Seconds of a call on the CPU."""
    call()
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def training(options: argparse.Namespace) -> None:
    """Train every norm and seed at once; those that are not done in time stop after their last whole epoch."""
    options.runs.mkdir(parents=True, exist_ok=True)
    started = []
    for seed in range(options.seeds):
        for norm in options.norms.split(","):
            words = [options.recipe, "--norm", norm, "--seed", str(seed), "--out", str(options.runs)]
            if options.data:
                words += ["--data", str(options.data)]
            with (options.runs / f"{norm}-{seed}.log").open("ab") as log:
                command = [sys.executable, "-m", "binorm.experiments.cli", "train", *words, *options.more]
                started.append(subprocess.Popen(command, stdout=log, stderr=log))
    end = time.monotonic() + 60 * options.minutes
    for process in started:
        try:
            process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.terminate()
    print("exit codes:", [process.wait() for process in started])


def error_table(rows: Sequence[Errors]) -> str:
    """As Markdown."""
    lines = ["| dtype | mode | output | gradients | running statistics |", "|:--|:--|--:|--:|--:|"]
    for row in rows:
        mode = "training" if row.training else "evaluation"
        lines.append(f"| {row.dtype} | {mode} | {row.output:.1e} | {row.gradients:.1e} | {row.running:.1e} |")
    return "\n".join(lines)


def time_table(rows: Sequence[Times]) -> str:
    """As Markdown, with the geometric mean of the ratios."""
    lines = [
        "| shape | layout | dtype | pass | ours, ms | BatchNorm2d, ms | ratio | share of copy bandwidth |",
        "|:--|:--|:--|:--|--:|--:|--:|--:|",
    ]
    for row in rows:
        shape = "x".join(map(str, row.shape))
        cells = [shape, row.layout, row.dtype, row.what, f"{row.ours:.4f}", f"{row.batch_norm:.4f}"]
        lines.append(f"| {' | '.join(cells)} | {row.ratio:.2f} | {row.share:.2f} |")
    for what in PASSES:
        ratios = [row.ratio for row in rows if row.what == what]
        lines.append(f"| geometric mean | | | {what} | | | {statistics.geometric_mean(ratios):.2f} | |")
    return "\n".join(lines)


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="errors,times")
    parser.add_argument("--device", default="cuda", choices=["cpu", "cuda"])
    parser.add_argument("--shapes", default="large", choices=list(SHAPES))
    parser.add_argument("--dtypes", default="float32,bfloat16", help="of the times")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--recipe", default="cifar10-resnet20")
    parser.add_argument("--norms", default="bn,bin")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=9)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    options, options.more = parser.parse_known_args()
    parts = options.only.split(",")
    torch.manual_seed(0)
    facts: dict[str, object] = {
        "command": "python " + shlex.join(sys.argv),
        "machine": describe_machine(),
        "versions": describe_versions(),
    }
    if "errors" in parts:
        found = errors(SHAPES[options.shapes], options.device)
        facts["errors"] = [asdict(row) for row in found]
        print(error_table(found), flush=True)
    if "times" in parts:
        measured = times(SHAPES[options.shapes], options.dtypes.split(","), options.device, options.rounds)
        facts["times"] = [asdict(row) for row in measured]
        print(time_table(measured), flush=True)
    if options.out:
        write_text_atomically(options.out, json.dumps(facts, indent=1) + "\n")
    if "training" in parts:
        training(options)


if __name__ == "__main__":
    main()
