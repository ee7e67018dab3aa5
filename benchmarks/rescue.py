"""What rescuing trained networks brings, on photographs: results/rescue, by one command.

Run: python benchmarks/rescue.py PHOTOS [--pacs PACS.zip --runs DIR] [--only PART,...] [--pictures 500] [--seeds 5]
     [--out results/rescue]

PHOTOS is a folder or zip with a thousand photographs, one of each class of ImageNet, whose names begin with the
synset. In the order of their names, those at even places are for calibration, without labels, and those at odd places
for the test. Every part is a `binorm robustness` in a folder of its own, and goes on where it was stopped.

Parts: lite0, lite1, lite2 (static methods beside batch statistics with a prior, of batches of 50), batches (those of 16
and of 1), online (methods that learn from the test pictures), tuning (tuned from calibrated gates beside affine
tuning), faults (Lite0 fed wrongly), pacs (each domain left out, with the runs of `binorm compare pacs-leave-one-out`).
`--only table` prints what is there, `--only pacs-table` that of PACS by norm, with paired t-tests over runs.
"""

import argparse
import dataclasses
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import torch
from scipy import stats

from binorm.experiments.classifiers.classifier import Classifier
from binorm.experiments.classifiers.files import save_classifier
from binorm.experiments.classifiers.find import find_classifier
from binorm.experiments.common.images import IMAGENET_MEAN, IMAGENET_STD
from binorm.experiments.common.picture_names import is_picture
from binorm.experiments.data.trees.file_tree import open_tree

LITE = [f"efficientnet-lite{size}" for size in range(3)]
STATIC = "none,calibrated_first,calibrated"
DOMAINS = ("art_painting", "cartoon", "photo", "sketch")


def main() -> None:
    """Unpack the photographs and measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--pacs", type=Path)
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--only", default="lite0,batches,faults,lite1,lite2,tuning,online")
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("results/rescue"))
    options = parser.parse_args()
    if options.only in ("table", "pacs-table"):
        print((table if options.only == "table" else pacs_table)(options.out))
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        split(options.photos, place)
        for part in options.only.split(","):
            if part == "pacs":
                pacs(options, place)
            else:
                photographs(part, options, place)


def split(photos: Path, place: Path) -> None:
    """Write the photographs at even places into ``place``/calibration, the others into ``place``/test."""
    with open_tree(photos) as tree:
        names = [name for name in tree.names if is_picture(name) and PurePosixPath(name).name[:1] == "n"]
        assert len(names) == 1000, f"{photos} has {len(names)} photographs of ImageNet's classes, expected 1,000"
        for number, name in enumerate(sorted(names, key=lambda each: PurePosixPath(each).name)):
            path = place / ("test" if number % 2 else "calibration") / PurePosixPath(name).name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(tree.read(name))


def photographs(part: str, options: argparse.Namespace, place: Path) -> None:
    """One part on the photographs."""
    shown = ["--images", "test", "--calibration", "calibration", "--pictures", str(options.pictures)]
    seeds = ["--seeds", str(options.seeds)]
    if part in ("lite0", "lite1", "lite2"):
        methods = f"{STATIC},batch_statistics_prior"
        robustness(options.out / part, place, [f"efficientnet-{part}"], shown, ["--methods", methods], seeds)
    elif part == "batches":
        for batch in (16, 1):
            methods = ["--methods", "none,batch_statistics_prior", "--batch", str(batch)]
            robustness(options.out / f"batches-of-{batch}", place, LITE[:1], shown, methods)
    elif part == "online":
        robustness(options.out / part, place, LITE[:1], shown, ["--methods", "none,alpha_bn,tent,sar,ttn"])
    elif part == "tuning":
        more = ["--methods", "none,calibrated_first,tuned,affine", "--calibration-pictures", "128"]
        robustness(options.out / part, place, LITE[:1], shown, more, seeds)
    elif part == "faults":
        robustness(options.out / part, place, faults(place), shown, ["--methods", "none,calibrated_first"], seeds)
    else:
        raise SystemExit(f"unknown part {part}")


def faults(place: Path) -> list[str]:
    """Files of Lite0 that are fed as users feed them by mistake."""
    right = find_classifier(LITE[0])
    preprocessing = right.preprocessing
    wrong = {
        "wrong-normalization": dataclasses.replace(preprocessing, mean=IMAGENET_MEAN, std=IMAGENET_STD),
        "wrong-resize": dataclasses.replace(preprocessing, short_side=0, interpolation="bilinear"),
    }
    files = []
    for name, each in wrong.items():
        files.append(f"{name}.safetensors")
        save_classifier(
            place / files[-1], Classifier(right.network, dataclasses.replace(right.card, preprocessing=each))
        )
    first = next(each for each in right.network.modules() if isinstance(each, torch.nn.Conv2d))
    with torch.no_grad():
        first.weight.copy_(first.weight.flip(1))  # the same as a picture with red and blue exchanged
    files.append("blue-for-red.safetensors")
    save_classifier(place / files[-1], right)
    return files


def pacs(options: argparse.Namespace, place: Path) -> None:
    """Each domain left out: the test is on it, and calibration pictures are of the others."""
    unpack_domains(options.pacs, place)
    for domain in DOMAINS:
        sources = place / f"all-but-{domain}"
        runs = options.runs.resolve() / "erm" / f"without-{domain}"
        (place / f"without-{domain}").symlink_to(runs)
        models = [f"without-{domain}/{path.parent.relative_to(runs)}" for path in sorted(runs.glob("b*/*/model.*"))]
        methods = ["--methods", STATIC, "--seeds", "1", "--shifts", "haze"]
        shown = ["--images", f"pacs/{domain}", "--calibration", sources.name, "--pictures", str(options.pictures)]
        robustness(options.out / "pacs" / domain, place, models, shown, methods)


def unpack_domains(file: Path, place: Path) -> None:
    """PACS as ``place``/pacs/<domain>/<class>, and ``place``/all-but-<domain> with the other three."""
    with open_tree(file) as tree:
        for name in filter(is_picture, tree.names):
            domain, label, file_name = PurePosixPath(name).parts[-3:]
            path = place / "pacs" / domain / label / file_name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(tree.read(name))
    for domain in DOMAINS:
        for other in DOMAINS:
            if other != domain:
                shutil.copytree(place / "pacs" / other, place / f"all-but-{domain}" / other)


def robustness(out: Path, place: Path, models: Sequence[str], *options: Sequence[str]) -> None:
    """`binorm robustness` among the pictures, so that the command it notes says no place of this machine."""
    out.mkdir(parents=True, exist_ok=True)
    link = place / out.name
    link.symlink_to(out.resolve())
    words = ["robustness", *models, *(word for each in options for word in each), "--out", link.name]
    print("binorm", *words, flush=True)
    environment = {**os.environ, "BINORM_DATA": os.environ.get("BINORM_DATA", str(place))}
    subprocess.run([sys.executable, "-m", "binorm.experiments.cli", *words], cwd=place, check=True, env=environment)


def table(out: Path) -> str:
    """All parts that were measured, as Markdown: means over seeds and differences to the network as trained."""
    lines = [
        "| part | network | method | clean | 15 corruptions | 10 style shifts |",
        "|:--|:--|:--|--:|--:|--:|",
    ]
    for path in sorted(out.rglob("report.json")):
        report = json.loads(path.read_text())
        for group in dict.fromkeys(each["group"] for each in report["record"]["candidates"]):
            candidate = next(each for each in report["record"]["candidates"] if each["group"] == group)
            top1, difference = report["top1"][group], report["difference"][group]
            cells = [cell(top1.get(kind), difference.get(kind)) for kind in ("clean", "corruption", "style")]
            part = path.parent.relative_to(out)
            lines.append(f"| {part} | {candidate['model']} | {candidate['title']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def pacs_table(out: Path) -> str:
    """Means over domains and runs, and differences to the same runs as trained with 95 % intervals, as Markdown."""
    found: dict[tuple[str, str], dict[str, list[float]]] = {}
    for domain in DOMAINS:
        report = json.loads((out / "pacs" / domain / "report.json").read_text())
        for candidate in report["record"]["candidates"]:
            scores = found.setdefault((candidate["model"].split("/")[-2], candidate["title"]), {})
            for kind in ("clean", "style"):
                scores.setdefault(kind, []).append(report["top1"][candidate["group"]][kind]["mean"])
    lines = ["| trained with | then | runs | the domain left out | the same in haze |", "|:--|:--|--:|--:|--:|"]
    for (norm, method), scores in found.items():
        trained = next(others for (other, _), others in found.items() if other == norm)
        cells = [paired(scores[kind], trained[kind]) for kind in ("clean", "style")]
        lines.append(f"| {norm} | {method} | {len(scores['clean'])} | {' | '.join(cells)} |")
    return "\n".join(lines)


def paired(scores: Sequence[float], trained: Sequence[float]) -> str:
    """``68.6 (+4.5, +2.4 to +6.7)``, by the paired t-test; the mean alone where all differences are 0."""
    differences = [ours - theirs for ours, theirs in zip(scores, trained, strict=True)]
    text = f"{statistics.fmean(scores):.1f}"
    if len(differences) < 2 or not any(differences):
        return text
    mean = statistics.fmean(differences)
    reach = stats.t.ppf(0.975, len(differences) - 1) * statistics.stdev(differences) / len(differences) ** 0.5
    return f"{text} ({mean:+.1f}, {mean - reach:+.1f} to {mean + reach:+.1f})".replace("-", "−")


def cell(score: Mapping[str, float] | None, difference: Mapping[str, float] | None) -> str:
    """``75.0 (+3.1, +2.0 to +4.2)``."""
    if score is None:
        return ""
    if difference is None:
        return f"{score['mean']:.1f}"
    return f"{score['mean']:.1f} ({difference['mean']:+.1f}, {difference['low']:+.1f} to {difference['high']:+.1f})"


if __name__ == "__main__":
    main()
