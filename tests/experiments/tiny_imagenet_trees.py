"""A small Tiny ImageNet in its published layout."""

import numpy
from PIL import Image

WNIDS = tuple(f"n{number:08}" for number in range(200))


def write_published(folder, size=(64, 64)):
    """One training and one validation picture a class, every tenth in greyscale, in a ``tiny-imagenet-200``."""
    random = numpy.random.default_rng(0)
    root = folder / "tiny-imagenet-200"
    lines = []
    for number, wnid in enumerate(WNIDS):
        shape = size[::-1] if number % 10 == 0 else (*size[::-1], 3)
        for place in (f"train/{wnid}/images/{wnid}_0.JPEG", f"val/images/val_{number}.JPEG"):
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 256, shape, dtype=numpy.uint8)).save(root / place)
        lines.append(f"val_{number}.JPEG\t{wnid}\t0\t0\t62\t62")
    (root / "val" / "val_annotations.txt").write_text("\n".join(lines[::-1]) + "\n")
    (root / "wnids.txt").write_text("\n".join(WNIDS[::-1]) + "\n")
    words = [f"{wnid}\tthing {int(wnid[1:]) // 2 if int(wnid[1:]) < 2 else wnid}, other word" for wnid in WNIDS]
    (root / "words.txt").write_text("n99999999\tunused\n" + "\n".join(words) + "\n")
    return root
