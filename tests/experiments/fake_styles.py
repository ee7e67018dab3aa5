"""Runs of style trainings as they leave them, without training: what the tests of style reports read."""

import csv
import json
import math
import random
from pathlib import Path
from typing import Any

import numpy
import yaml
from PIL import Image

STYLE_LAYERS = ("relu1_2", "relu2_2", "relu3_3")
# After the last step, in the paper's order.
CONTENT = {"bn": 0.45, "in": 0.375, "bn+in": 0.377, "bin": 0.368}
STYLE = {"bn": 0.0185, "in": 0.0146, "bn+in": 0.0157, "bin": 0.0151}
GATES = {"encoder.0.norm": 4, "encoder.1.norm": 8, "blocks.0.first.norm": 16, "decoder.0.norm": 8, "decoder.1.norm": 4}


def write_style_run(
    folder: Path,
    norm: str,
    seed: int,
    *,
    steps: int = 1000,
    period: int = 100,
    last: dict[str, float] | None = None,
    config: dict[str, Any] | None = None,
    record: dict[str, Any] | None = None,
    photographs: tuple[str, ...] = ("china", "flower"),
) -> Path:
    """Write ``folder/<norm>/seed<k>/`` as far as a report reads it.

    ``last`` overrides losses of the last period, ``config`` and ``record`` entries of their files.
    """
    run = folder / norm / f"seed{seed}"
    (run / "samples").mkdir(parents=True)
    generator = random.Random(f"{norm} {seed}")
    (run / "config.yaml").write_text(yaml.safe_dump(_config(folder.name, steps, period) | (config or {})))
    (run / "run.json").write_text(json.dumps(_record(folder.name, norm, seed) | (record or {})))
    _write_metrics(run / "metrics.csv", norm, steps, period, last or {}, generator)
    if norm == "bin":
        (run / "gates.json").write_text(json.dumps(style_gates(generator)))
    for place, name in enumerate(photographs):
        pixels = numpy.zeros((24, 32 + 8 * place, 3), numpy.uint8)
        pixels[..., place % 3] = numpy.linspace(40, 220, pixels.shape[1])
        Image.fromarray(pixels).save(run / "samples" / f"{name}.png")
        stylized = 255 - pixels // (1 + sorted(CONTENT).index(norm) if norm in CONTENT else 1)
        Image.fromarray(stylized.astype(numpy.uint8)).save(run / "samples" / f"{name}-stylized.png")
    return run


def write_styles(
    folder: Path, seeds: int = 1, norms: tuple[str, ...] = ("bn", "in", "bn+in", "bin"), **options: Any
) -> Path:
    """Every norm with so many seeds; returns ``folder``."""
    for norm in norms:
        for seed in range(seeds):
            write_style_run(folder, norm, seed, **options)
    return folder


def style_gates(generator: random.Random, shift: float = 0.0) -> dict[str, Any]:
    """Gates from 0 to 1, higher by ``shift``, with a history that begins at 1 and ends where they do."""
    gates = {
        name: [min(max(generator.gauss(0.35 + shift, 0.4), 0.0), 1.0) for _ in range(channels)]
        for name, channels in GATES.items()
    }
    layers = [
        {"name": name, "mean": sum(values) / len(values), "histogram": _bins(values)} for name, values in gates.items()
    ]
    start = [{"name": name, "mean": 1.0, "histogram": _bins([1.0] * len(values))} for name, values in gates.items()]
    return {
        "layers": [{"name": name, "gates": values} for name, values in gates.items()],
        "history": [{"epoch": 0, "layers": start}, {"epoch": 1, "layers": layers}],
    }


def _bins(values: list[float]) -> list[int]:
    counts = [0] * 10
    for value in values:
        counts[min(int(10 * value), 9)] += 1
    return counts


def _config(style: str, steps: int, period: int) -> dict[str, Any]:
    return {
        "name": "style",
        "title": "Style transfer, Johnson et al.'s network",
        "task": "stylization",
        "style": f"/home/someone/pictures/{style}.jpg",
        "style_size": 256,
        "width": 16,
        "blocks": 5,
        "loss_network": "vgg19",
        "content_layers": ["relu2_2"],
        "style_layers": list(STYLE_LAYERS),
        "content_weight": 1.0,
        "style_weight": 1.0,
        "variation_weight": 1.0,
        "steps": steps,
        "full_steps": steps,
        "period": period,
        "batch_size": 4,
        "image_size": 256,
        "flip": True,
        "lr": 0.001,
        "gate_lr_scale": 10.0,
        "precision": "auto",
        "compile": "auto",
    }


def _record(style: str, norm: str, seed: int) -> dict[str, Any]:
    return {
        "recipe": "style",
        "norm": norm,
        "seed": seed,
        "status": "finished",
        "reason": None,
        "command": f"binorm compare style --style {style}.jpg --data photos.zip",
        "started": "2026-01-05T10:00:00+00:00",
        "seconds": 621.5 + seed,
        "settings": {"device": "cpu", "precision": "bfloat16", "compiled": False, "threads": 2},
        "parameters": 400_000,
        "gates": 40 * (norm == "bin"),
        "versions": {"python": "3.11.7", "torch": "2.14.1", "binorm": "0.1.0"},
        "machine": {"cpu": "Example CPU", "cores": 2, "memory_gib": 8.0, "gpu": None, "system": "Linux x86_64"},
        "data": {"name": "photos", "source": "photos.zip", "train": 1234, "skipped": ["broken.jpg"]},
        "style": {"name": style, "picture": f"/home/someone/pictures/{style}.jpg", "size": [320, 256]},
    }


def _write_metrics(
    path: Path, norm: str, steps: int, period: int, last: dict[str, float], generator: random.Random
) -> None:
    rows: list[dict[str, float]] = []
    for step in range(period, steps + 1, period):
        fall = 1 + 2 * math.exp(-12 * step / steps) + 0.3 * (1 - step / steps)
        content = CONTENT.get(norm, 0.5) * fall * (1 + generator.gauss(0, 0.004))
        style = STYLE.get(norm, 0.02) * fall**2 * (1 + generator.gauss(0, 0.004))
        row = {"step": step, "learning_rate": 0.001, "seconds": 62.1, "images_per_second": 6.4}
        row |= {"content": content, "style": style, "variation": 0.0021 * fall}
        row |= last if step == steps else {}
        row["total"] = row["content"] + row["style"] + row["variation"]
        rows.append(row | {f"style_{name}": row["style"] for name in STYLE_LAYERS})
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
