"""Small data sets in the layouts that torchvision reads."""

import bz2
import struct

import numpy
from PIL import Image
from scipy.io import savemat


def write_svhn(root, counts=(7, 5)):
    """``{train,test}_32x32.mat``, where 10 stands for the digit 0; returns (N, H, W, 3) pixels and labels by split."""
    random = numpy.random.default_rng(0)
    root.mkdir(parents=True, exist_ok=True)
    written = {}
    for split, count in zip(("train", "test"), counts, strict=True):
        pixels = random.integers(0, 256, (count, 32, 32, 3), dtype=numpy.uint8)
        labels = 1 + numpy.arange(count) * 9 // (count - 1)
        savemat(root / f"{split}_32x32.mat", {"X": pixels.transpose(1, 2, 3, 0), "y": labels[:, None]})
        written[split] = pixels, (labels % 10).tolist()
    return written


def write_mnist(root, folder="MNIST/raw", prefixes=("train", "t10k"), count=6, first_label=0, classes=10):
    """``MNIST/raw/train-images-idx3-ubyte`` and its three siblings; returns (N, 28, 28) pixels and labels by split."""
    random = numpy.random.default_rng(0)
    (root / folder).mkdir(parents=True, exist_ok=True)
    written = {}
    for split, prefix in zip(("train", "test"), prefixes, strict=True):
        pixels = random.integers(0, 256, (count, 28, 28), dtype=numpy.uint8)
        labels = random.integers(0, classes, count).astype(numpy.uint8)
        images = struct.pack(">4i", 0x803, count, 28, 28) + pixels.tobytes()
        (root / folder / f"{prefix}-images-idx3-ubyte").write_bytes(images)
        stored = struct.pack(">2i", 0x801, count) + (labels + first_label).tobytes()
        (root / folder / f"{prefix}-labels-idx1-ubyte").write_bytes(stored)
        written[split] = pixels, labels.tolist()
    return written


def write_usps(root):
    """``usps.bz2`` and ``usps.t.bz2`` with one black and one white picture each."""
    for file in ("usps.bz2", "usps.t.bz2"):
        lines = [
            f"{label} " + " ".join(f"{place}:{value}" for place in range(1, 257))
            for label, value in ((10, -1.0), (1, 1.0))
        ]
        (root / file).write_bytes(bz2.compress("\n".join(lines).encode()))


def write_eurosat(root, per_class=5, classes=10):
    """``eurosat/2750/<class>/<class>_<k>.jpg``."""
    random = numpy.random.default_rng(0)
    for number in range(classes):
        folder = root / "eurosat" / "2750" / f"Land{number}"
        folder.mkdir(parents=True)
        for k in range(per_class):
            pixels = random.integers(0, 256, (64, 64, 3), dtype=numpy.uint8)
            Image.fromarray(pixels).save(folder / f"Land{number}_{k}.jpg")
