import pytest
import tiny
import torch
from tiny_domains import dataset, recipe

from binorm.experiments.data.batches.domain_batches import (
    DomainBatches,
    EndlessOrder,
    pictures_a_step,
    steps_an_epoch,
)


def batches(given, seed=0):
    return DomainBatches(dataset(given), given, seed, torch.device("cpu"))


def test_a_step_holds_as_many_pictures_of_every_domain_and_the_target_without_labels():
    batch = next(iter(batches(recipe(source="day,dusk"))))
    assert [each.domain for each in batch] == ["day", "dusk", "night"]
    assert [each.pictures.shape for each in batch] == [(4, 3, 16, 16)] * 3
    assert [each.labels is None for each in batch] == [False, False, True]
    assert all(each.pictures.is_contiguous(memory_format=torch.channels_last) for each in batch)


def test_pictures_are_their_domains_own_with_their_labels():
    given = recipe(task="mixed", method="", source="", target="", crop_padding=0, flip=False, steps=5)
    data = dataset(given)
    for batch in DomainBatches(data, given, 0, torch.device("cpu")):
        for number, (_, pictures, labels) in enumerate(batch):
            own = data.train_domains == number
            images = data.train.images[own].permute(0, 3, 1, 2)
            found = ((pictures * 0.5 + 0.5) * 255).round().byte()
            for picture, label in zip(found, labels, strict=True):
                matches = (images == picture).all((1, 2, 3))
                assert matches.any()
                assert label in data.train.labels[own][matches]


def test_small_domains_come_as_often_as_large_ones_and_every_picture_once_a_pass():
    order = EndlessOrder(10, (3, 1))
    first, second = order.indices(0, 10), order.indices(10, 10)
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(10))
    assert first.tolist() != second.tolist()
    assert torch.equal(EndlessOrder(10, (3, 1)).indices(7, 6), torch.cat([first[7:], second[:3]]))
    assert EndlessOrder(3, (0,)).indices(1, 10).shape == (10,)


def test_what_an_epoch_holds_depends_on_seed_and_epoch_alone():
    one, other = batches(recipe()), batches(recipe())
    list(one)  # an epoch that the other does not see
    for each in (one, other):
        each.set_epoch(1)
    for left, right in zip(one, other, strict=True):
        assert all(torch.equal(a.pictures, b.pictures) for a, b in zip(left, right, strict=True))
    different = next(iter(batches(recipe(), seed=1)))
    assert not torch.equal(next(iter(batches(recipe())))[0].pictures, different[0].pictures)


def test_counts_of_steps_and_pictures():
    adapted = recipe(source="day")
    assert steps_an_epoch(adapted, dataset(adapted)) == 3
    assert pictures_a_step(adapted, dataset(adapted)) == 8
    alone = recipe(method="source-only")
    assert pictures_a_step(alone, dataset(alone)) == 4
    passes = recipe(task="mixed", method="", source="", target="", steps=0)
    assert steps_an_epoch(passes, dataset(passes)) == 24 // 12
    assert steps_an_epoch(tiny.RECIPE, tiny.dataset()) == 42 // 8


def test_pictures_without_domains_are_refused():
    with pytest.raises(TypeError, match="does not say which domains"):
        DomainBatches(tiny.dataset(), recipe(), 0, torch.device("cpu"))
