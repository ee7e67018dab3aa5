from pathlib import Path

import pytest
import torch

from binorm.experiments import data
from binorm.experiments.common.errors import UserError


def test_digits_have_the_promised_sets():
    digits = data.load("digits", None)
    assert len(digits.classes) == 10
    assert len(digits.train) == 2 * 1297
    assert {name: len(images) for name, images in digits.evaluation.items()} == {"test": 500, "unseen styles": 500}
    assert digits.train.images.shape == (2594, 32, 32, 3)
    assert digits.train.images.dtype == torch.uint8


def test_digits_are_the_same_every_time():
    first, second = data.load("digits", None), data.load("digits", None)
    assert torch.equal(first.train.images, second.train.images)


def test_both_evaluation_sets_hold_the_same_digits():
    digits = data.load("digits", None)
    assert torch.equal(digits.evaluation["test"].labels, digits.evaluation["unseen styles"].labels)


def test_digits_take_no_path():
    with pytest.raises(UserError, match="take no --data"):
        data.load("digits", Path("somewhere"))


def test_unknown_data_set_names_the_nearest():
    with pytest.raises(UserError, match="did you mean 'cifar10'"):
        data.load("cifar-10", None)
