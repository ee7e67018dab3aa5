"""Digits in themes: scikit-learn's real handwritten digits, drawn under random themes; embedded, needs no files.

1,797 digits by 13 writers, 8x8 pixels (E. Alpaydin & C. Kaynak, *Optical Recognition of Handwritten Digits*, UCI).
They come in the order in which they were collected, so the last 500 make a test set by other hands.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor

from binorm.experiments.common.errors import UserError
from binorm.experiments.data.dataset import Dataset, ImageSet
from binorm.experiments.data.readers.digit_themes import TRAINING_THEMES, UNSEEN_THEMES, Theme, draw
from binorm.experiments.data.readers.entry import Entry

TEST_DIGITS = 500
DRAWINGS_PER_DIGIT = 2
CLASSES = tuple(str(digit) for digit in range(10))


@dataclass(frozen=True, kw_only=True)
class Digits(Entry):
    """The training digits drawn twice each, the test digits once under training themes and once under unseen ones."""

    def load(self, path: Path | None, image_size: int = 0) -> Dataset:
        """Draw them; ``path`` should be None, and ``image_size`` changes nothing."""
        if path is not None:
            raise UserError(f"the digits are embedded and take no --data (got {path}): leave it out")
        bunch = load_digits()
        strokes, labels = torch.from_numpy(bunch.images / 16).float(), torch.from_numpy(bunch.target).long()
        train, test = slice(None, -TEST_DIGITS), slice(-TEST_DIGITS, None)
        repeated = strokes[train].repeat(DRAWINGS_PER_DIGIT, 1, 1), labels[train].repeat(DRAWINGS_PER_DIGIT)
        return Dataset(
            name=self.name,
            source="embedded in scikit-learn",
            classes=CLASSES,
            train=_drawn(*repeated, TRAINING_THEMES, seed=0),
            evaluation={
                "test": _drawn(strokes[test], labels[test], TRAINING_THEMES, seed=1),
                "unseen styles": _drawn(strokes[test], labels[test], UNSEEN_THEMES, seed=2),
            },
            mean=self.mean,
            std=self.std,
        )

    def read(self, path: Path, size: int) -> Dataset:
        """Never asked for: there is no place to read from."""
        return self.load(path)


DIGITS = Digits(
    name="digits",
    title="scikit-learn's handwritten digits, drawn under random styles",
    pictures={"train": 2_594, "test": 500, "unseen styles": 500},
    classes=10,
    url="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
    licence="CC BY 4.0",
    resizes=False,
    uniform=True,
)


def _drawn(strokes: Tensor, labels: Tensor, themes: Sequence[Theme], seed: int) -> ImageSet:
    pictures = draw(strokes, themes, torch.Generator().manual_seed(seed))
    return ImageSet(pictures.permute(0, 2, 3, 1).contiguous(), labels)
