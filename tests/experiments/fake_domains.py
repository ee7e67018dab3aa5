"""Runs over several domains as training leaves them, without training: what the tests of domain reports read."""

import csv
import json
import random
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy
from fake_runs import write_run
from safetensors.numpy import save_file

DOMAINS = ("art", "clipart", "product", "real_world")
CLASSES = tuple(f"thing {place}" for place in range(7))
LOWER = {"source-only": 0.0, "erm": 0.0, "dann": 0.08, "mixstyle": 0.15, "": 0.2}  # gates
GAIN = {"source-only": 0.0, "erm": 0.0, "dann": 4.0, "mixstyle": 3.0, "": 10.0}


def write_domain_run(
    folder: Path,
    norm: str,
    seed: int,
    *,
    task: str,
    method: str = "",
    sources: tuple[str, ...] = (),
    target: str = "",
    evaluation: tuple[str, ...] = (),
    accuracies: dict[str, float] | None = None,
    classes: tuple[str, ...] = CLASSES,
    pictures: int = 0,
    confused: bool = True,
    config: dict[str, Any] | None = None,
    record: dict[str, Any] | None = None,
    **options: Any,
) -> Path:
    """Write one run where ``binorm compare`` would.

    ``accuracies`` replaces those of the last epoch, by evaluation set; ``pictures`` is how many features of each domain
    are written.
    """
    only = task == "mixed" and len(sources) == 1
    place = {
        "adaptation": (method, f"{'+'.join(sources)}-to-{target}"),
        "generalization": (method, f"without-{target}"),
        "mixed": (f"only-{sources[0]}",) if only else (),
    }[task]
    evaluation = evaluation or ((target, "validation") if task == "generalization" else (target,))
    domains = {"train": list(sources), "target": target or None, "statistics": "joint"}
    data = {"name": "office-home", "source": "its authors", "train": 100 * len(sources), "classes": list(classes)}
    data |= {"evaluation": dict.fromkeys(evaluation, 70), "domains": domains, "skipped": []}
    fields = {"name": folder.name, "title": "Office-Home", "dataset": "office-home", "model": "resnet18"}
    fields |= {"task": task, "method": method, "source": ",".join(sources), "target": target, "statistics": "joint"}
    fields |= {"weights": "default", "steps": 50}
    run = write_run(
        folder.joinpath(*place),
        norm,
        seed,
        evaluation=evaluation,
        config=fields | (config or {}),
        record={"data": data, "command": f"binorm compare {folder.name}"} | (record or {}),
        lower=0.02 * len(sources[0]) if only else LOWER.get(method, 0.0) + 0.01 * len(target),
        **options,
    )
    set_last_epoch(run, accuracies or {})
    generator = random.Random(f"{method} {norm} {sources} {target} {seed}")
    if confused:
        sets = {name: _confusion(len(classes), generator, norm) for name in evaluation}
        (run / "confusion.json").write_text(json.dumps({"classes": classes, "sets": sets}))
    if pictures:
        write_features(run, (*([sources[0]] if task == "adaptation" else []), *evaluation), classes, pictures, norm)
    return run


def set_last_epoch(run: Path, accuracies: dict[str, float]) -> None:
    """Replace top-1 after the last epoch, by evaluation set."""
    rows = list(csv.DictReader((run / "metrics.csv").read_text().splitlines()))
    rows[-1] |= {f"{name}_accuracy": str(accuracy) for name, accuracy in accuracies.items()}
    with (run / "metrics.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def write_features(
    run: Path, domains: tuple[str, ...], classes: tuple[str, ...], pictures: int, norm: str = "bn"
) -> None:
    """Write features that lie around a centre for each class, and apart by domain: less so with BIN."""
    generator = numpy.random.default_rng(len(run.parts))
    centres = generator.normal(size=(len(classes), 32))
    tensors = {}
    for place, domain in enumerate(domains):
        labels = numpy.arange(pictures) % len(classes)
        shift = place * (0.6 if norm == "bin" else 1.4)
        rows = centres[labels] + shift + generator.normal(size=(pictures, 32)) * 0.7
        tensors[f"{domain}.features"] = rows.astype(numpy.float16)
        tensors[f"{domain}.labels"] = labels.astype(numpy.int64)
    about = {"binorm": json.dumps({"classes": classes, "domains": domains})}
    save_file(tensors, run / "features.safetensors", about)


def write_adaptation(
    folder: Path, seeds: int, norms: tuple[str, ...] = ("bn", "bin"), pairs: Any = None, **options: Any
) -> None:
    """Source-only and DANN on every pair of domains, or on some."""
    for source, target in pairs or permutations(DOMAINS, 2):
        for method in ("source-only", "dann"):
            for norm in norms:
                for seed in range(seeds):
                    write_domain_run(
                        folder,
                        norm,
                        seed,
                        task="adaptation",
                        method=method,
                        sources=(source,),
                        target=target,
                        accuracies={target: level(source, target, method, norm, seed)},
                        **options,
                    )


def level(source: str, target: str, method: str, norm: str, seed: int) -> float:
    """A plausible accuracy: some pairs are harder, DANN helps, BIN a little."""
    base = 40 + 20 * random.Random(f"{source} {target}").random()
    noise = random.Random(f"{source} {target} {method} {norm} {seed}").gauss(0, 0.6)
    return base + GAIN[method] + 0.8 * (norm == "bin") + noise


def _confusion(size: int, generator: random.Random, norm: str) -> list[list[int]]:
    rows = []
    for true in range(size):
        right = generator.randint(3, 8) + (norm == "bin")
        row = [generator.choice([0, 0, 0, 1, 1, 2]) if place != true else right for place in range(size)]
        rows.append(row)
    return rows
