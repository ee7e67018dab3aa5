"""Digits in styles: scikit-learn's real handwritten digits, drawn under random styles; embedded, needs no files.

1,797 digits by 13 writers, 8x8 pixels (E. Alpaydin & C. Kaynak, *Optical Recognition of Handwritten Digits*, UCI).
They come in the order in which they were collected, so the last 500 make a test set by other hands.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor

from binorm.experiments.common.errors import UserError
from binorm.experiments.data.dataset import Dataset, ImageSet
from binorm.experiments.data.readers.digit_themes import TRAINING_STYLES, UNSEEN_STYLES, Style, draw

TEST_DIGITS = 500
DRAWINGS_PER_DIGIT = 2
CLASSES = tuple(str(digit) for digit in range(10))


def load(path: Path | None) -> Dataset:
    """Draw the training digits twice each and the test digits once under training styles and once under unseen ones."""
    if path is not None:
        raise UserError(f"the digits are embedded and take no --data (got {path}): leave it out")
    bunch = load_digits()
    strokes, labels = torch.from_numpy(bunch.images / 16).float(), torch.from_numpy(bunch.target).long()
    train, test = slice(None, -TEST_DIGITS), slice(-TEST_DIGITS, None)
    repeated = strokes[train].repeat(DRAWINGS_PER_DIGIT, 1, 1), labels[train].repeat(DRAWINGS_PER_DIGIT)
    return Dataset(
        name="digits",
        source="embedded in scikit-learn",
        classes=CLASSES,
        train=_drawn(*repeated, TRAINING_STYLES, seed=0),
        evaluation={
            "test": _drawn(strokes[test], labels[test], TRAINING_STYLES, seed=1),
            "unseen styles": _drawn(strokes[test], labels[test], UNSEEN_STYLES, seed=2),
        },
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
    )


def _drawn(strokes: Tensor, labels: Tensor, styles: Sequence[Style], seed: int) -> ImageSet:
    pictures = draw(strokes, styles, torch.Generator().manual_seed(seed))
    return ImageSet(pictures.permute(0, 2, 3, 1).contiguous(), labels)
