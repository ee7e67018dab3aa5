import dataclasses

import pytest
import tiny
import torch

from binorm.experiments.common.errors import UserError
from binorm.experiments.data.dataset import hold_out


def test_a_share_of_each_class_is_held_out_and_nothing_is_lost():
    data = tiny.dataset()
    split = hold_out(data, 0.25)
    assert len(split.train) == 30
    assert split.evaluation["validation"].labels.bincount().tolist() == [4, 4, 4]
    together = torch.cat([split.train.images, split.evaluation["validation"].images]).flatten(1)
    assert sorted(map(tuple, together.tolist())) == sorted(map(tuple, data.train.images.flatten(1).tolist()))
    assert list(split.evaluation) == ["test", "dark", "validation"]


def test_the_split_is_always_the_same():
    torch.manual_seed(1)
    first = hold_out(tiny.dataset(), 0.3).evaluation["validation"].images
    torch.manual_seed(2)
    assert torch.equal(hold_out(tiny.dataset(), 0.3).evaluation["validation"].images, first)


def test_pictures_keep_their_labels():
    data = tiny.dataset()
    held = hold_out(data, 0.3).evaluation["validation"]
    for image, label in zip(held.images, held.labels, strict=True):
        (place,) = (data.train.images == image).flatten(1).all(1).nonzero()[:, 0].tolist()
        assert data.train.labels[place] == label


def test_no_share_changes_nothing():
    data = tiny.dataset()
    assert hold_out(data, 0.0) is data


def test_a_class_of_one_picture_stays_in_training():
    data = tiny.dataset()
    few = dataclasses.replace(data, train=dataclasses.replace(data.train, labels=torch.tensor([0] * 41 + [2])))
    split = hold_out(few, 0.5)
    assert split.train.labels.bincount(minlength=3).tolist() == [21, 0, 1]


def test_a_second_validation_set_is_refused():
    with pytest.raises(UserError, match="has a validation set of its own"):
        hold_out(hold_out(tiny.dataset(), 0.25), 0.25)
