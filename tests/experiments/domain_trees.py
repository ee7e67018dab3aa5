"""Small trees of pictures in several domains, in the layouts in which people have the data."""

import shutil
import tarfile
from pathlib import Path

import numpy
from character_trees import write_picture
from photo_trees import encode, photograph
from torchvision_trees import write_mnist, write_svhn

PACS = ("art_painting", "cartoon", "photo", "sketch")


def write_domains(folder, domains=PACS, classes=("dog", "house"), per_class=5, layout="{domain}/{kind}"):
    """``<layout>/<number>.png`` of different sizes; a mapping of domains gives each classes of its own."""
    kinds = domains if isinstance(domains, dict) else dict.fromkeys(domains, classes)
    for place, (domain, own) in enumerate(kinds.items()):
        for label, kind in enumerate(own):
            for number in range(1, per_class + 1):
                file = folder / layout.format(domain=domain, kind=kind) / f"{number:03}.png"
                write_picture(file, 100 * place + 10 * label + number, size=(8 + number, 11))


def packed(folder, kind):
    """A folder as it is, or packed beside itself as a zip or gzipped tar file of its contents."""
    if kind == "folder":
        return folder
    return Path(shutil.make_archive(str(folder), {"zip": "zip", "tar": "gztar"}[kind], folder))


def write_split_lists(folder, domain, test_numbers=(5,)):
    """``<domain>_{train,test}.txt`` of DomainNet: those of ``test_numbers`` in test, the rest in train."""
    files = sorted((folder / domain).rglob("*.png"))
    kinds = sorted({file.parent.name for file in files})
    for split in ("train", "test"):
        chosen = [file for file in files if (int(file.stem) in test_numbers) == (split == "test")]
        lines = [f"{file.relative_to(folder).as_posix()} {kinds.index(file.parent.name)}" for file in chosen]
        (folder / f"{domain}_{split}.txt").write_text("\n".join(lines) + "\n")


def write_bsds500(folder, layout="BSDS500/data/images", count=2):
    """BSDS500's photographs, a little larger than a digit: ``<layout>/{train,val,test}/<number>.jpg``."""
    for place, split in enumerate(("train", "val", "test")):
        for number in range(count):
            file = folder / layout / split / f"{10 * number + place}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(encode(photograph(10 * number + place, size=(31 + number, 30))))


def write_usps_arrays(folder, counts=(12, 4), **changed):
    """``usps.npz``; returns its arrays."""
    random = numpy.random.default_rng(0)
    arrays = {}
    for split, count in zip(("train", "test"), counts, strict=True):
        arrays[f"{split}_images"] = random.integers(0, 256, (count, 16, 16), dtype=numpy.uint8)
        arrays[f"{split}_labels"] = (numpy.arange(count) % 10).astype(numpy.uint8)
    arrays.update(changed)
    numpy.savez(folder / "usps.npz", **{name: array for name, array in arrays.items() if array is not None})
    return arrays


def write_digit_domains(folder):
    """All four domains side by side, with BSDS500 as the published archive."""
    write_mnist(folder)
    write_usps_arrays(folder)
    write_svhn(folder)
    unpacked = folder / "unpacked"
    write_bsds500(unpacked / "BSR")
    with tarfile.open(folder / "BSR_bsds500.tgz", "w:gz") as archive:
        archive.add(unpacked / "BSR", "BSR")
    shutil.rmtree(unpacked)
