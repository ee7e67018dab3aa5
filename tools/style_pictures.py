"""Draw the picture of the README: two photographs in every style that comes with binorm.

Run: python tools/style_pictures.py [--out docs/images/styles.jpg]
"""

import argparse
from pathlib import Path

from PIL import Image

from binorm.experiments.style.drawing.stylizer import Stylizer
from binorm.experiments.style.style_file import load_style
from binorm.experiments.style.training.samples import sample_photographs

STYLES = ("starry-night", "great-wave", "the-scream", "composition-vii", "udnie", "shipwreck-of-the-minotaur")
TILE = (260, 173)
GAP = 4


def main() -> None:
    """Originals in the first column, then a column a style."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/images/styles.jpg"))
    options = parser.parse_args()
    photographs = list(sample_photographs().values())
    columns = [photographs, *([Stylizer(load_style(name)[0])(each) for each in photographs] for name in STYLES)]
    width, height = TILE[0] + GAP, TILE[1] + GAP
    sheet = Image.new("RGB", (len(columns) * width - GAP, len(photographs) * height - GAP), "white")
    for left, column in enumerate(columns):
        for top, pixels in enumerate(column):
            tile = Image.fromarray(pixels).resize(TILE, Image.Resampling.LANCZOS)
            sheet.paste(tile, (left * width, top * height))
    sheet.save(options.out, quality=88)


if __name__ == "__main__":
    main()
