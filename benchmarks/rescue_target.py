"""Pictures of where a network should work, and its statistics moved to theirs: results/rescue/target, by one command.

Run: python benchmarks/rescue_target.py PHOTOS [--network efficientnet-lite0] [--pictures 250] [--seeds 1]
     [--share 0.1] [--out results/rescue/target]
     python benchmarks/rescue_target.py --pacs PACS.zip --runs DIR [--pictures 500] [--out results/rescue/pacs-target]

PHOTOS as for benchmarks/rescue.py: calibration pictures at even places, test pictures at odd ones. For every corruption
and shift of style, 64 of the calibration pictures under it are the target, without labels; the network is set right for
them once, and then is static: what it says of a test picture under the same shift depends on that picture alone.
Severities 1 to 5 in turns. Computes on the CPU, the answers in bfloat16. Goes on where it was stopped.

With --pacs, the networks are the runs of `binorm compare pacs-leave-one-out`, and the target is the domain that a run
was not trained on: 64 pictures at even places, and the test is on those at odd ones; gates, of all norms, are set from
64 pictures of the domains that it was trained on.
"""

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rescue import DOMAINS, paired, split, unpack_domains

from binorm.experiments.classifiers.classifier import Classifier
from binorm.experiments.classifiers.files import load_classifier
from binorm.experiments.classifiers.find import find_classifier
from binorm.experiments.classifiers.photographs import Photographs, read_photographs
from binorm.experiments.common.files import write_text_atomically
from binorm.experiments.common.machine import describe_machine, describe_versions
from binorm.experiments.data.processes import default_threads
from binorm.experiments.rescue.calibration import calibrate
from binorm.experiments.rescue.measurement import Drawn, classify
from binorm.experiments.rescue.restyling import Restyling
from binorm.experiments.rescue.scores import compare, mean_top1
from binorm.experiments.rescue.target import PICTURES, SHARE, Target, moved_to
from binorm.experiments.shifts.catalog import SHIFTS
from binorm.experiments.shifts.shifting import Shifting, turn_severities

CLEAN = "clean"
GROUPS = {CLEAN: "clean", "corruption": "15 corruptions", "extra": "4 extra corruptions", "style": "10 shifts of style"}
VARIANTS = ("as trained", "gates", "statistics", "gates and statistics")


def main() -> None:
    """Measure all shifts or domains, then write tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, nargs="?")
    parser.add_argument("--pacs", type=Path)
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--network", default="efficientnet-lite0")
    parser.add_argument("--pictures", type=int)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--share", type=float, default=SHARE, help="how far statistics move to the target's")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.photos is None and (options.pacs is None or options.runs is None):
        parser.error("expected PHOTOS, or --pacs and --runs")
    if options.photos is not None:
        photographs(options)
    else:
        domains(options)


def photographs(options: argparse.Namespace) -> None:
    """Every shift of the photographs."""
    setting = {
        "network": options.network,
        "pictures": options.pictures or 250,
        "seeds": options.seeds,
        "share": options.share,
    }
    kept = Kept(options.out or Path("results/rescue/target"), setting)
    classifier = find_classifier(options.network)
    with tempfile.TemporaryDirectory() as folder:
        split(options.photos, Path(folder))
        calibration = read_photographs(Path(folder, "calibration"), classifier)
        test = read_photographs(Path(folder, "test"), classifier, most=setting["pictures"])
    gated = {seed: with_gates(classifier, calibration, 1, seed) for seed in range(options.seeds)}
    drawn = {seed: Drawn.by(calibration, PICTURES, seed) for seed in gated}
    with Shifting(default_threads()) as shifting:
        for name in (CLEAN, *SHIFTS):
            if name not in kept.answers:
                there = {seed: replace(each, used=shifted(name, each.used, shifting)) for seed, each in drawn.items()}
                kept.add(name, correct(classifier, gated, there, shifted(name, test, shifting), options.share))
    kept.write_table(table(kept.answers))


def domains(options: argparse.Namespace) -> None:
    """Every run, in the domain that it was not trained on."""
    kept = Kept(
        options.out or Path("results/rescue/pacs-target"), {"pictures": options.pictures or 500, "share": options.share}
    )
    with tempfile.TemporaryDirectory() as folder:
        unpack_domains(options.pacs, Path(folder))
        for domain in DOMAINS:
            for file in sorted((options.runs / "erm" / f"without-{domain}").glob("b*/*/model.safetensors")):
                name = "/".join((domain, *file.parts[-3:-1]))
                if name in kept.answers:
                    continue
                classifier = load_classifier(file)
                calibration = read_photographs(Path(folder, f"all-but-{domain}"), classifier, most=512)
                left_out = read_photographs(Path(folder, "pacs", domain), classifier, most=2 * kept.setting["pictures"])
                target, test = (left_out.subset(range(place, len(left_out), 2)) for place in (0, 1))
                gated = {0: with_gates(classifier, calibration, None, 0)}
                kept.add(name, correct(classifier, gated, {0: Drawn.by(target, PICTURES, 0)}, test, options.share))
    kept.write_table(runs_table(kept.answers))


class Kept:
    """What was measured so far, in a folder: for each case and variant the answers, a string a seed."""

    def __init__(self, out: Path, setting: dict[str, Any]) -> None:
        self.setting = {**setting, "target": PICTURES}
        self.file = out / f"{out.name}.json"
        found = json.loads(self.file.read_text()) if self.file.exists() else {"setting": self.setting, "answers": {}}
        if found["setting"] != self.setting:
            raise SystemExit(f"{self.file} is of another setting, {found['setting']}: choose another --out")
        self.answers: dict[str, dict[str, list[str]]] = found["answers"]

    def add(self, name: str, answers: dict[str, list[str]]) -> None:
        """Write one more case."""
        self.answers[name] = answers
        print(name, {variant: f"{100 * mean(rows):.1f}" for variant, rows in answers.items()}, flush=True)
        facts = {
            "command": "python " + shlex.join(sys.argv),
            "setting": self.setting,
            "machine": describe_machine(),
            "versions": describe_versions(),
        }
        self.file.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(self.file, json.dumps({**facts, "answers": self.answers}, indent=1) + "\n")

    def write_table(self, text: str) -> None:
        """Beside the answers."""
        write_text_atomically(self.file.with_suffix(".md"), text)
        print(text)


def with_gates(classifier: Classifier, calibration: Photographs, layers: int | None, seed: int) -> Classifier:
    """Gates set from 64 pictures, as `binorm calibrate` does; of the first norms, or of all for None."""
    return calibrate(classifier, calibration, Restyling(), layers=layers, seed=seed)[0].classifier


def shifted(name: str, photographs: Photographs, shifting: Shifting) -> Photographs:
    """All of them under a shift."""
    if name == CLEAN:
        return photographs
    pictures, place = photographs.pictures, list(SHIFTS).index(name)
    moved = shifting(SHIFTS[name], pictures, turn_severities(len(pictures), place))
    return Photographs(moved, photographs.labels, photographs.names, photographs.source)


def correct(
    classifier: Classifier, gated: Mapping[int, Classifier], there: Mapping[int, Drawn], test: Photographs, share: float
) -> dict[str, list[str]]:
    """For each variant and seed, a 1 for each test picture that is classified rightly, and a 0 for the others."""
    found: dict[str, list[str]] = {VARIANTS[0]: [hits(classifier, test)]}
    for seed, classifier_with_gates in gated.items():
        target = Target(there[seed], share)
        networks = (
            classifier_with_gates,
            moved_to(target, classifier),
            moved_to(target, classifier_with_gates),
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
        for names in groups.values():
            own, base = (by_shift(answers, names, each) for each in (variant, VARIANTS[0]))
            cell = f"{mean_top1(own):.1f}"
            if variant != VARIANTS[0]:
                found = compare(own, base)
                cell += f" ({signed(found.points)}, {signed(found.low)} to {signed(found.high)})"
            cells.append(cell)
        lines.append(f"| {variant} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *rows_by_case(answers)]) + "\n"


def signed(value: float) -> str:
    """``+1.5``, ``−0.2``."""
    return f"{value:+.1f}".replace("-", "−")


def runs_table(answers: Mapping[str, Mapping[str, list[str]]]) -> str:
    """Means over domains and runs by norm, with paired 95 % intervals over runs, as Markdown; then every run."""
    lines = ["| trained with | " + " | ".join(VARIANTS) + " |", "|:--|" + "--:|" * len(VARIANTS)]
    for norm in dict.fromkeys(name.split("/")[1] for name in answers):
        scores = {
            variant: [100 * mean(rows[variant]) for name, rows in answers.items() if name.split("/")[1] == norm]
            for variant in VARIANTS
        }
        lines.append(f"| {norm} | " + " | ".join(paired(scores[each], scores[VARIANTS[0]]) for each in VARIANTS) + " |")
    return "\n".join([*lines, "", *rows_by_case(answers)]) + "\n"


def rows_by_case(answers: Mapping[str, Mapping[str, list[str]]]) -> list[str]:
    """A table of every shift or run."""
    lines = ["|  | " + " | ".join(VARIANTS) + " |", "|:--|" + "--:|" * len(VARIANTS)]
    for name, rows in answers.items():
        lines.append(f"| {name} | " + " | ".join(f"{100 * mean(rows[each]):.1f}" for each in VARIANTS) + " |")
    return lines


def by_shift(
    answers: Mapping[str, Mapping[str, list[str]]], names: Sequence[str], variant: str
) -> dict[str, NDArray[np.bool_]]:
    """Whether each picture is classified rightly, (seeds, pictures), for every shift."""
    return {name: np.array([[digit == "1" for digit in row] for row in answers[name][variant]]) for name in names}


if __name__ == "__main__":
    main()
