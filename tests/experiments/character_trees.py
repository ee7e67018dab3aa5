"""Small trees of single characters in the layouts in which people have the data."""

import numpy
from PIL import Image

from binorm.experiments.data.readers.characters import CHARACTERS, FOLDERS

ICDAR_TAGS = {"train": ("S", "7", "a", "&quot;", "é"), "test": ("b", "0", "Q")}


def write_picture(path, seed, size=(9, 17)):
    pixels = numpy.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=numpy.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write_tagged(folder, tags=ICDAR_TAGS):
    """The published ``TrialTrain/char.xml`` and ``TrialTest/char.xml`` beside ``char/1/<number>.png``."""
    for split, each in tags.items():
        place = folder / f"Trial{split.title()}"
        lines = []
        for number, tag in enumerate(each):
            write_picture(place / "char" / "1" / f"{number}.png", number)
            lines.append(f'<image file="char/1/{number}.png" tag="{tag}" />')
        write_tag_file(place, "\n".join(lines))


def write_tag_file(place, content, prolog=""):
    place.mkdir(parents=True, exist_ok=True)
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n{prolog}<imagelist>\n{content}\n</imagelist>\n'
    (place / "char.xml").write_text(text, encoding="utf-8")


def write_class_folders(folder, splits=("train", "test"), classes=FOLDERS, per_class=1):
    """``<split>/<kind>_<character>/<number>.png``."""
    for split in splits:
        for name in classes:
            for number in range(1, per_class + 1):
                write_picture(folder / split / name / f"img-{number:05}.png", number)


def write_samples(folder, per_class=4):
    """Chars74K's published ``English/Img/{GoodImg,BadImag}/Bmp/Sample001/img001-00001.png`` with the masks beside."""
    for kind, part, count in (("GoodImg", "Bmp", per_class), ("GoodImg", "Msk", 1), ("BadImag", "Bmp", 1)):
        for sample in range(1, len(CHARACTERS) + 1):
            for number in range(1, count + 1):
                name = f"English/Img/{kind}/{part}/Sample{sample:03}/img{sample:03}-{number:05}.png"
                write_picture(folder / name, number)
