"""Small trees of JPEG photographs of different sizes, in ImageNet's layouts."""

import io

import numpy
from PIL import Image

WNIDS = ("n01440764", "n01443537", "n02084071")


def photograph(seed, size=None):
    """Something smooth, as photographs are: a few random colours, enlarged."""
    random = numpy.random.default_rng(seed)
    size = size or tuple(random.integers(40, 90, 2))
    colours = random.integers(0, 256, (4, 5, 3), dtype=numpy.uint8)
    return Image.fromarray(colours).resize(size, Image.Resampling.BICUBIC)


def encode(picture, format="JPEG", **options):
    """The bytes of a picture's file."""
    file = io.BytesIO()
    picture.save(file, format, **({"quality": 90} if format == "JPEG" else {}), **options)
    return file.getvalue()


def write_photographs(folder, train=8, val=3, classes=WNIDS):
    """``train/<wnid>/<wnid>_<k>.JPEG`` and ``val/<wnid>/ILSVRC2012_val_<k>.JPEG``; returns their bytes by name."""
    written = {}
    for split, count in (("train", train), ("val", val)):
        for label, wnid in enumerate(classes):
            for k in range(count):
                number = label * count + k
                file = f"{wnid}_{k}.JPEG" if split == "train" else f"ILSVRC2012_val_{number:08}.JPEG"
                written[f"{split}/{wnid}/{file}"] = encode(photograph((split == "val", number)))
    for name, data in written.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return written
