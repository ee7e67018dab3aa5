"""Run folders as training leaves them, without training: what the tests of the report read."""

import csv
import json
import random
import struct
import zlib
from pathlib import Path
from typing import Any

import yaml

LEVEL = {"bn": 92.0, "in": 90.5, "bn+in": 91.0, "bin": 93.0}
LAYERS = {"norm": 16, "stage1.0.norm1": 16, "stage1.0.norm2": 16, "stage2.0.norm1": 32, "stage3.0.norm1": 64}


def write_run(
    folder: Path,
    norm: str,
    seed: int,
    *,
    epochs: int = 4,
    evaluation: tuple[str, ...] = ("test", "unseen styles"),
    record: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
    lower: float = 0.0,
) -> Path:
    """Write ``folder/<norm>/seed<k>/`` in full.

    ``record`` and ``config`` override entries of its files; gates of "bin" are ``lower`` by so much, before the clip.
    """
    run = folder / norm / f"seed{seed}"
    (run / "samples").mkdir(parents=True)
    generator = random.Random(f"{norm} {seed}")
    (run / "config.yaml").write_text(yaml.safe_dump(_config(epochs) | (config or {})))
    (run / "run.json").write_text(json.dumps(_record(norm, seed, evaluation) | (record or {})))
    _write_metrics(run / "metrics.csv", norm, epochs, evaluation, generator)
    if norm == "bin":
        (run / "gates.json").write_text(json.dumps(_gates(epochs, generator, lower)))
    for data in ("train", *evaluation):
        (run / "samples" / f"{data}.png").write_bytes(png(64, 24, generator))
    return run


def png(width: int, height: int, generator: random.Random) -> bytes:
    """A grey picture of noise."""
    rows = b"".join(b"\0" + generator.randbytes(width) for _ in range(height))
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    body = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def _config(epochs: int) -> dict[str, Any]:
    return {
        "name": "digits",
        "title": "Handwritten digits in styles, ResNet-8",
        "data": "digits",
        "model": "resnet8",
        "task": "classification",
        "epochs": epochs,
        "full_epochs": epochs,
        "batch_size": 64,
        "lr": 0.1,
        "schedule": "step",
        "milestones": [2, 3],
        "flip": False,
    }


def _record(norm: str, seed: int, evaluation: tuple[str, ...]) -> dict[str, Any]:
    return {
        "recipe": "digits",
        "norm": norm,
        "seed": seed,
        "status": "finished",
        "reason": None,
        "command": "binorm compare digits --seeds 5",
        "started": "2026-01-05T10:00:00+00:00",
        "seconds": 21.5 + seed,
        "settings": {"device": "cpu", "precision": "bfloat16", "compiled": False, "threads": 2},
        "parameters": 78_042 + 448 * (norm == "bin"),
        "gates": 448 * (norm == "bin"),
        "versions": {"python": "3.11.7", "torch": "2.14.1", "binorm": "0.1.0"},
        "machine": {"cpu": "Example CPU", "cores": 2, "memory_gib": 8.0, "gpu": None, "system": "Linux x86_64"},
        "data": {
            "name": "digits",
            "source": "scikit-learn",
            "train": 1437,
            "evaluation": dict.fromkeys(evaluation, 360),
            "classes": [str(digit) for digit in range(10)],
            "skipped": [],
        },
    }


def _write_metrics(path: Path, norm: str, epochs: int, evaluation: tuple[str, ...], generator: random.Random) -> None:
    shift = generator.gauss(0, 0.3)
    rows: list[dict[str, float]] = []
    for epoch in range(1, epochs + 1):
        progress = LEVEL.get(norm, 89.0) * (1 - 0.75 * 0.93 ** (epoch * 160 / epochs))
        row = {
            "epoch": epoch,
            "learning_rate": 0.1,
            "train_loss": 2.3 * (1 - progress / 100),
            "train_accuracy": min(progress + 3 + generator.gauss(0, 0.2), 100),
            "seconds": 4.1,
            "images_per_second": 350 + generator.gauss(0, 9),
        }
        for place, name in enumerate(evaluation):
            row[f"{name}_loss"] = 2.4 * (1 - progress / 100)
            row[f"{name}_accuracy"] = progress * (1 - 0.25 * place) + shift + generator.gauss(0, 0.3)
        rows.append(row)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def _gates(epochs: int, generator: random.Random, lower: float) -> dict[str, Any]:
    gates = {
        name: [min(max(generator.gauss(1.05 - 4 / channels, 0.4) - lower, 0.0), 1.0) for _ in range(channels)]
        for name, channels in LAYERS.items()
    }
    history = []
    for epoch in range(epochs + 1):
        # On the way from 1 to where they end.
        then = {name: [1 - epoch / epochs * (1 - gate) for gate in values] for name, values in gates.items()}
        layers = [
            {"name": name, "mean": sum(values) / len(values), "histogram": _histogram(values)}
            for name, values in then.items()
        ]
        history.append({"epoch": epoch, "layers": layers})
    return {"layers": [{"name": name, "gates": values} for name, values in gates.items()], "history": history}


def _histogram(gates: list[float]) -> list[int]:
    counts = [0] * 10
    for gate in gates:
        counts[min(int(10 * gate), 9)] += 1
    return counts
