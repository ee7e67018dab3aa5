"""Pictures of where a network should work, and its statistics moved to theirs: results/rescue/target, by one command.

Run: python benchmarks/rescue_target.py PHOTOS [--network efficientnet-lite0] [--pictures 250] [--seeds 1]
     [--out results/rescue/target]

PHOTOS as for benchmarks/rescue.py: calibration pictures at even places, test pictures at odd ones. For every corruption
and shift of style, 64 of the calibration pictures under it are the target, without labels; the network is set right for
them once, stays as it is, and answers the test pictures under the same shift, one by one. Severities 1 to 5 in turns.
Answers in bfloat16. Goes on where it was stopped.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from rescue import split
from torch import Tensor

from binorm.experiments.classifiers.classifier import Classifier
from binorm.experiments.classifiers.find import find_classifier
from binorm.experiments.classifiers.photographs import Photographs, read_photographs
from binorm.experiments.common.files import write_text_atomically
from binorm.experiments.common.machine import describe_machine, describe_versions
from binorm.experiments.data.processes import default_threads
from binorm.experiments.rescue.calibration import calibrate
from binorm.experiments.rescue.measurement import Drawn, classify
from binorm.experiments.rescue.restyling import Restyling
from binorm.experiments.rescue.shifting import Shifting, turn_severities
from binorm.experiments.rescue.shifts import SHIFTS
from binorm.experiments.rescue.target import PICTURES, SHARE, Target, moved_to

CLEAN = "clean"
GROUPS = {CLEAN: "clean", "corruption": "15 corruptions", "extra": "4 extra corruptions", "style": "10 shifts of style"}
VARIANTS = ("as trained", "gates", "statistics", "gates and statistics")
DRAWS = 10_000


def main() -> None:
    """Measure all shifts, then write tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--network", default="efficientnet-lite0")
    parser.add_argument("--pictures", type=int, default=250)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("results/rescue/target"))
    options = parser.parse_args()
    setting = {"network": options.network, "pictures": options.pictures, "seeds": options.seeds}
    classifier = find_classifier(options.network)
    with tempfile.TemporaryDirectory() as folder:
        split(options.photos, Path(folder))
        calibration = read_photographs(Path(folder, "calibration"), classifier)
        test = read_photographs(Path(folder, "test"), classifier, most=options.pictures)
    assert test.labels is not None
    file = options.out / "target.json"
    kept = json.loads(file.read_text()) if file.exists() else {"answers": {}}
    assert kept.get("setting", setting) == setting, f"{file} is of another setting: choose another --out"
    answers: dict[str, dict[str, list[str]]] = kept["answers"]
    gated = {seed: with_gates(classifier, calibration, seed) for seed in range(options.seeds)}
    with Shifting(default_threads()) as shifting:
        for name in (CLEAN, *SHIFTS):
            if name in answers:
                continue
            targets = {seed: Drawn.by(calibration, PICTURES, seed) for seed in gated}
            there = {seed: replace(each, used=shifted(name, each.used, shifting)) for seed, each in targets.items()}
            answers[name] = correct(classifier, gated, there, shifted(name, test, shifting))
            print(name, {variant: f"{100 * mean(rows):.1f}" for variant, rows in answers[name].items()}, flush=True)
            facts = {"setting": setting, "machine": describe_machine(), "versions": describe_versions()}
            options.out.mkdir(parents=True, exist_ok=True)
            write_text_atomically(file, json.dumps({**facts, "answers": answers}, indent=1) + "\n")
    text = table(answers)
    write_text_atomically(options.out / "target.md", text)
    print(text)


def with_gates(classifier: Classifier, calibration: Photographs, seed: int) -> Classifier:
    """The first norm's gates set from 64 pictures, as `binorm calibrate` does."""
    return calibrate(classifier, calibration, Restyling(), layers=1, seed=seed)[0].classifier


def shifted(name: str, photographs: Photographs, shifting: Shifting) -> Photographs:
    """All of them under a shift."""
    if name == CLEAN:
        return photographs
    pictures, place = photographs.pictures, list(SHIFTS).index(name)
    moved = shifting(SHIFTS[name], pictures, turn_severities(len(pictures), place))
    return Photographs(moved, photographs.labels, photographs.names, photographs.source)


def correct(
    classifier: Classifier, gated: Mapping[int, Classifier], there: Mapping[int, Drawn], test: Photographs
) -> dict[str, list[str]]:
    """For each variant and seed, a 1 for each test picture that is classified rightly, and a 0 for the others."""
    found: dict[str, list[str]] = {VARIANTS[0]: [hits(classifier, test)]}
    for seed, with_gates in gated.items():
        target = Target(there[seed], SHARE)
        networks = (
            with_gates,
            moved_to(target, classifier),
            moved_to(target, with_gates),
        )
        for variant, network in zip(VARIANTS[1:], networks, strict=True):
            found.setdefault(variant, []).append(hits(network, test))
    return found


def hits(classifier: Classifier, test: Photographs) -> str:
    """A digit a picture."""
    classifier.to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        right = classify(classifier, test.pictures) == test.labels
    return "".join(map(str, right.int().tolist()))


def mean(rows: list[str]) -> float:
    """Of all digits."""
    return sum(row.count("1") for row in rows) / sum(map(len, rows))


def table(answers: Mapping[str, Mapping[str, list[str]]]) -> str:
    """Top-1 by group and by shift, as Markdown; intervals are of a paired bootstrap over pictures."""
    groups = {group: [name for name, shift in SHIFTS.items() if shift.group == group] for group in GROUPS}
    groups[CLEAN] = [CLEAN]
    lines = ["|  | " + " | ".join(GROUPS.values()) + " |", "|:--|" + "--:|" * len(GROUPS)]
    for variant in VARIANTS:
        cells = []
        for group in GROUPS:
            own, base = (by_picture(answers, groups[group], each) for each in (variant, VARIANTS[0]))
            cell = f"{100 * own.mean():.1f}"
            if variant != VARIANTS[0]:
                difference = 100 * (own - base)
                low, high = interval(difference)
                cell += f" ({signed(difference.mean().item())}, {signed(low)} to {signed(high)})"
            cells.append(cell)
        lines.append(f"| {variant} | {' | '.join(cells)} |")
    lines += ["", "|  | " + " | ".join(VARIANTS) + " |", "|:--|" + "--:|" * len(VARIANTS)]
    for name in (CLEAN, *SHIFTS):
        lines.append(f"| {name} | " + " | ".join(f"{100 * mean(answers[name][each]):.1f}" for each in VARIANTS) + " |")
    return "\n".join(lines) + "\n"


def signed(value: float) -> str:
    """``+1.5``, ``−0.2``."""
    return f"{value:+.1f}".replace("-", "−")


def by_picture(answers: Mapping[str, Mapping[str, list[str]]], names: list[str], variant: str) -> Tensor:
    """The share of a group's shifts and seeds in which each picture is classified rightly, (pictures,)."""
    rows = [[int(digit) for digit in row] for name in names for row in answers[name][variant]]
    return torch.tensor(rows, dtype=torch.float64).mean(0)


def interval(values: Tensor) -> tuple[float, float]:
    """95 % of the means of resampled pictures."""
    drawn = torch.randint(len(values), (DRAWS, len(values)), generator=torch.Generator().manual_seed(0))
    low, high = values[drawn].mean(1).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high


if __name__ == "__main__":
    main()
