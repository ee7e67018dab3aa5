"""Small CIFAR-10 and CIFAR-100 trees in the layouts in which people have the data."""

import pickle

import numpy
from PIL import Image

from binorm.experiments.data.readers.cifar import CIFAR10_CLASSES


def write_pictures(folder, per_class=2, size=(32, 32), classes=CIFAR10_CLASSES):
    """``{train,test}/<class>/<k>.png`` with random pixels; returns the pictures by name."""
    random = numpy.random.default_rng(0)
    written = {}
    for split in ("train", "test"):
        for name in classes:
            for k in range(per_class):
                pixels = random.integers(0, 256, (*size[::-1], 3), dtype=numpy.uint8)
                path = folder / split / name / f"{k:04}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
                written[f"{split}/{name}/{k:04}.png"] = pixels
    return written


def write_batches(folder, per_file=4):
    """The published ``data_batch_1`` to ``5`` and ``test_batch``; returns their rows by file."""
    random = numpy.random.default_rng(1)
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for file in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        rows = random.integers(0, 256, (per_file, 3072), dtype=numpy.uint8)
        labels = random.integers(0, 10, per_file).tolist()
        (folder / file).write_bytes(pickle.dumps({b"data": rows, b"labels": labels}, protocol=2))
        written[file] = rows, labels
    return written


def write_fine_batches(folder, per_file=6):
    """CIFAR-100's published ``train``, ``test`` and ``meta``; returns rows and fine labels by file."""
    random = numpy.random.default_rng(2)
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for file in ("train", "test"):
        rows = random.integers(0, 256, (per_file, 3072), dtype=numpy.uint8)
        labels = random.integers(0, 100, per_file).tolist()
        batch = {b"data": rows, b"fine_labels": labels, b"coarse_labels": [label // 5 for label in labels]}
        (folder / file).write_bytes(pickle.dumps(batch, protocol=2))
        written[file] = rows, labels
    (folder / "meta").write_bytes(pickle.dumps({b"fine_label_names": [b"a name"]}, protocol=2))
    return written
