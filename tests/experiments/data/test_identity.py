from dataclasses import replace

import pytest
import tiny
import torch

from binorm.experiments.data.dataset import ImageSet, UnlabelledSet
from binorm.experiments.data.identity import data_facts, identity, remarks_on_data


def _pictures(seed, count=6):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 4, 4, 3), dtype=torch.uint8, generator=generator)
    return ImageSet(images, torch.arange(count) % 3)


@pytest.fixture
def dataset():
    return replace(tiny.dataset(), train=_pictures(0), evaluation={"test": _pictures(1)})


def test_the_same_pictures_are_the_same_wherever_they_lie(dataset):
    moved = replace(dataset, source="elsewhere", remarks=("a remark",), skipped=("one",))
    assert identity(moved) == identity(dataset)


def _changed(pictures, pixel=False, label=False, order=False):
    images, labels = pictures.images.clone(), pictures.labels.clone()
    if pixel:
        images[3, 0, 0, 0] ^= 1
    if label:
        labels[3] = 1 - labels[3]
    return ImageSet(images.flip(0), labels.flip(0)) if order else ImageSet(images, labels)


@pytest.mark.parametrize("change", ["pixel", "label", "order"])
@pytest.mark.parametrize("place", ["train", "test"])
def test_any_change_of_what_is_trained_or_tested_on_is_another_identity(dataset, place, change):
    if place == "train":
        other = replace(dataset, train=_changed(dataset.train, **{change: True}))
    else:
        other = replace(dataset, evaluation={"test": _changed(dataset.evaluation["test"], **{change: True})})
    assert identity(other).fingerprint != identity(dataset).fingerprint


def test_other_names_of_classes_and_sets_are_another_identity(dataset):
    for other in (replace(dataset, classes=("a", "b", "x")), replace(dataset, evaluation={"x": _pictures(1)})):
        assert identity(other).fingerprint != identity(dataset).fingerprint


def test_unlabelled_pictures_have_a_fingerprint_of_their_own(dataset):
    targets = [replace(dataset, target=UnlabelledSet("night", _pictures(seed).images)) for seed in (5, 6)]
    assert identity(dataset).target == ""
    assert len({identity(each).fingerprint for each in (dataset, *targets)}) == 1
    assert len({identity(each).target for each in targets}) == 2


def test_test_pictures_among_the_training_pictures_are_counted_whatever_their_label(dataset):
    images = torch.cat([dataset.train.images[:2], _pictures(1).images])
    evaluation = {"test": ImageSet(images, torch.zeros(8, dtype=torch.long)), "clean": _pictures(2)}
    leaking = replace(dataset, evaluation=evaluation)
    found = identity(leaking)
    assert found.duplicates == {"test": 2, "clean": 0}
    assert data_facts(leaking, found)["duplicates"] == {"test": 2, "clean": 0}
    assert remarks_on_data(leaking, found) == (
        "2 of the 8 pictures of test are among the training pictures, pixel for pixel",
    )


def test_nobody_looks_at_pictures_that_stay_encoded(dataset):
    class Encoded:
        fingerprint = "x"

        def __len__(self):
            return 6

    streamed = replace(dataset, train=Encoded(), evaluation={"val": Encoded()})
    assert identity(streamed).duplicates == {"val": None}
    assert remarks_on_data(streamed, identity(streamed)) == ()


def test_what_is_broken_or_left_out_is_told_before_training(dataset):
    told = replace(
        dataset, skipped=tuple(f"{k}.png" for k in range(7)), remarks=("left out: videos (1, such as a.mp4)",)
    )
    assert remarks_on_data(told, identity(told)) == (
        "7 broken training pictures are left out: 0.png, 1.png, 2.png, 3.png, 4.png, …",
        "left out: videos (1, such as a.mp4)",
    )
