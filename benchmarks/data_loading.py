"""Reading a folder of JPEG photographs into batches on one core: binorm's streamed batches beside torchvision's.

Run: python benchmarks/data_loading.py --data photos.zip [--enlarge] [--rounds 7] [--pictures 512] [--out FILE.json]

Everything runs on one core, to which the process and its children are bound: one decoding thread here, one worker
process there (``ImageFolder`` and ``DataLoader``), and none as a second row. Training is RandomResizedCrop(224), flip,
float32 and normalization; evaluation is Resize(256), CenterCrop(224) and the same. Rounds alternate; a round is one
pass over the pictures, with workers that stay; the figure is the median of the rounds' ratios of pictures a second.
``--enlarge`` first brings the pictures to 500x375 pixels, ImageNet's mean, at quality 90.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

# One core is all there is: more threads of OpenMP would only wait for each other.
os.environ["OMP_NUM_THREADS"] = "1"

import torch
import torchvision
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import transforms

from binorm.experiments.common.images import IMAGENET_MEAN, IMAGENET_STD
from binorm.experiments.common.machine import describe_machine, describe_versions
from binorm.experiments.data.batches.streaming import StreamedEvaluationBatches, StreamedTrainingBatches
from binorm.experiments.data.dataset import EncodedSet
from binorm.experiments.data.readers.imagenet import IMAGENET
from binorm.experiments.recipes.classification import ClassificationRecipe

ENLARGED = (500, 375)
BATCH = 64
CLASSES = 4  # folders that the pictures are dealt to


def write_tree(source: Path, folder: Path, count: int, enlarge: bool) -> dict[str, float]:
    """Write the first ``count`` JPEGs of a folder or zip as both splits of an image folder; return their mean sizes."""
    sizes, written = [], 0
    for data in photographs(source):
        if written == count:
            break
        if enlarge:
            picture, file = Image.open(BytesIO(data)).convert("RGB"), BytesIO()
            size = ENLARGED if picture.width >= picture.height else ENLARGED[::-1]
            picture.resize(size, Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
            data = file.getvalue()
        path = folder / "train" / f"class{written % CLASSES}" / f"{written:06}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        width, height = Image.open(BytesIO(data)).size
        sizes.append({"width": width, "height": height, "bytes": len(data)})
        written += 1
    if written < max(BATCH, count):
        raise SystemExit(f"{source} has {written} JPEGs, expected at least {max(BATCH, count)}: lower --pictures")
    (folder / "val").symlink_to(folder / "train")
    return {name: statistics.mean(each[name] for each in sizes) for name in sizes[0]}


def photographs(source: Path) -> Iterable[bytes]:
    """The JPEG files of a folder or zip."""
    if source.is_dir():
        for path in sorted(path for path in source.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg")):
            yield path.read_bytes()
        return
    with zipfile.ZipFile(source) as archive:
        for name in sorted(name for name in archive.namelist() if name.lower().endswith((".jpg", ".jpeg"))):
            yield archive.read(name)


def our_passes(folder: Path) -> dict[str, Callable[[], int]]:
    """One pass over the pictures, by transform; each returns how many it read."""
    dataset = IMAGENET.load(folder)
    recipe = ClassificationRecipe(
        name="",
        title="",
        dataset="imagenet",
        model="",
        epochs=1,
        batch_size=BATCH,
        image_size=224,
        resized_crop=True,
        flip=True,
    )
    images: EncodedSet = dataset.evaluation["val"]  # type: ignore[assignment]
    cpu = torch.device("cpu")
    training = StreamedTrainingBatches(dataset, recipe, 0, cpu, threads=1)
    evaluation = StreamedEvaluationBatches(images, dataset, recipe, cpu, threads=1)
    return {
        "training": lambda: sum(len(labels) for _, labels in training),
        "evaluation": lambda: sum(count for _, _, count in evaluation),
    }


def their_passes(folder: Path, workers: int) -> dict[str, Callable[[], int]]:
    """The same passes by torchvision."""
    normalize = transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)
    ending = [transforms.ToTensor(), normalize]
    steps: dict[str, list[Any]] = {
        "training": [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip(), *ending],
        "evaluation": [transforms.Resize(256), transforms.CenterCrop(224), *ending],
    }

    def passes(kind: str) -> Callable[[], int]:
        images = torchvision.datasets.ImageFolder(str(folder / "train"), transforms.Compose(steps[kind]))
        training = kind == "training"
        loader = DataLoader(
            images,
            BATCH,
            shuffle=training,
            num_workers=workers,
            drop_last=training,
            persistent_workers=bool(workers),  # starting them is no part of the figure
        )
        return lambda: sum(len(labels) for _, labels in loader)

    return {kind: passes(kind) for kind in steps}


def pictures_per_second(once: Callable[[], int]) -> float:
    """Of one pass."""
    start = time.perf_counter()
    count = once()
    return count / (time.perf_counter() - start)


def measure(folder: Path, rounds: int) -> list[dict[str, Any]]:
    """Alternate between ours and theirs; one row for each transform and number of workers."""
    ours, theirs = our_passes(folder), {workers: their_passes(folder, workers) for workers in (1, 0)}
    rows = []
    for kind in ours:
        passes = {"ours": ours[kind], **{f"{workers} workers": each[kind] for workers, each in theirs.items()}}
        for once in passes.values():
            once()  # files into the page cache, code into memory
        speeds = [{name: pictures_per_second(once) for name, once in passes.items()} for _ in range(rounds)]
        for name in list(passes)[1:]:
            ratios = sorted(each["ours"] / each[name] for each in speeds)
            medians = {who: statistics.median(each[who] for each in speeds) for who in ("ours", name)}
            print(
                f"{kind}, torchvision with {name}: ours / theirs {statistics.median(ratios):.3f} ({ratios[0]:.3f} to "
                f"{ratios[-1]:.3f}), pictures/s ours {medians['ours']:,.0f}, theirs {medians[name]:,.0f}",
                flush=True,
            )
            rows.append({"kind": kind, "theirs": name, "pictures_per_second": medians, "ratios": ratios})
    return rows


def main() -> None:
    """Measure and print; write the figures to ``--out``, if given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder or zip of JPEGs")
    parser.add_argument("--enlarge", action="store_true", help="bring them to 500x375 pixels first")
    parser.add_argument("--pictures", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    core = min(os.sched_getaffinity(0))
    machine = describe_machine()
    os.sched_setaffinity(0, {core})
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        sizes = write_tree(options.data, folder, options.pictures, options.enlarge)
        shape = f"{sizes['width']:.0f}x{sizes['height']:.0f}"
        print(f"{options.pictures} JPEGs of {shape} pixels and {sizes['bytes']:,.0f} bytes (means)", flush=True)
        rows = measure(folder, options.rounds)
    if options.out:
        facts = {
            "pictures": options.pictures,
            "mean_size": sizes,
            "enlarged": options.enlarge,
            "batch": BATCH,
            "cores_used": 1,
            "rows": rows,
            "machine": machine,
            "versions": describe_versions() | {"torchvision": torchvision.__version__},
        }
        options.out.write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
