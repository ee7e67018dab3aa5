import pytest
import torch

from binorm.experiments.common.errors import UserError
from binorm.experiments.data.dataset import ImageSet
from binorm.experiments.data.domains import (
    Domain,
    DomainSet,
    choose,
    common_classes,
    mix,
    relabel,
    split_off_test,
)

CLASSES = ("cat", "dog", "owl")


def _pictures(labels, start=0):
    """One pixel each, all different."""
    values = torch.arange(start, start + len(labels), dtype=torch.uint8)
    return ImageSet(values[:, None, None, None].expand(-1, 1, 1, 3), torch.tensor(labels))


def _values(pictures):
    return pictures.images[:, 0, 0, 0].tolist()


def _set():
    domains = {
        "photo": Domain(_pictures([0, 1]), _pictures([1], 50)),
        "sketch": Domain(_pictures([1, 0, 0], 10), _pictures([0, 1], 60)),
    }
    return DomainSet("pets", "pets.zip", ("cat", "dog"), domains, (0.1,) * 3, (0.2,) * 3, False, ("broken.jpg",))


def test_mixed_trains_on_all_domains_and_evaluates_each():
    data = mix(_set())
    assert _values(data.train) == [0, 1, 10, 11, 12]
    assert data.train.labels.tolist() == [0, 1, 1, 0, 0]
    assert {name: _values(pictures) for name, pictures in data.evaluation.items()} == {
        "photo": [50],
        "sketch": [60, 61],
    }
    assert (data.name, data.source, data.classes, data.skipped) == ("pets", "pets.zip", ("cat", "dog"), ("broken.jpg",))
    assert (data.mean, data.std) == ((0.1,) * 3, (0.2,) * 3)


def test_mixed_of_some_sources_still_evaluates_every_domain():
    data = mix(_set(), ["sketch"])
    assert _values(data.train) == [10, 11, 12]
    assert list(data.evaluation) == ["photo", "sketch"]


def test_unknown_and_no_sources_are_errors():
    with pytest.raises(UserError, match="unknown domain of pets 'skech', did you mean 'sketch'"):
        mix(_set(), ["skech"])
    with pytest.raises(UserError, match="no domain of pets is named: choose from photo, sketch"):
        mix(_set(), [])


def test_chosen_domains_keep_the_set_s_order_and_unknown_ones_get_the_nearest():
    assert choose("pacs", ("art", "photo", "sketch"), None) == ("art", "photo", "sketch")
    assert choose("pacs", ("art", "photo", "sketch"), ["sketch", "art"]) == ("art", "sketch")
    with pytest.raises(UserError, match=r"unknown domain of pacs 'fotos', did you mean 'photo'\? Known: art, photo"):
        choose("pacs", ("art", "photo"), ["fotos"])


def test_a_test_set_of_a_fifth_of_each_class_is_fixed_and_disjoint():
    pictures = _pictures([0] * 10 + [1] * 25 + [2] * 2)
    first, second = (split_off_test("photo", pictures, CLASSES) for _ in range(2))
    assert torch.bincount(first.test.labels).tolist() == [2, 5, 1]
    assert sorted(_values(first.train) + _values(first.test)) == list(range(37))
    assert _values(first.test) == _values(second.test)
    assert _values(first.test) != list(range(len(first.test)))


def test_domain_of_single_pictures_has_no_test_set():
    with pytest.raises(UserError, match="no class of the domain photo has two pictures"):
        split_off_test("photo", _pictures([0, 1, 2]), CLASSES)


def test_equal_classes_are_common_classes():
    assert common_classes("pets", {"photo": ("dog", "cat"), "sketch": ("cat", "dog")}, False) == ("cat", "dog")


def test_different_classes_are_named_by_domain_with_the_way_out():
    classes = {"photo": ("cat", "dog"), "sketch": ("dog", "owl"), "art": CLASSES}
    with pytest.raises(UserError) as caught:
        common_classes("pets", classes, False)
    message = str(caught.value)
    assert "photo lacks owl; sketch lacks cat." in message
    assert "art lacks" not in message
    assert "--shared-classes keeps the 1 that all have" in message
    assert common_classes("pets", classes, True) == ("dog",)


def test_no_shared_class_is_an_error_either_way():
    for shared in (False, True):
        with pytest.raises(UserError, match="no class is in all of the domains photo, sketch of pets"):
            common_classes("pets", {"photo": ("cat",), "sketch": ("dog",)}, shared)


def test_relabelled_pictures_keep_their_classes_by_name():
    domain = relabel(Domain(_pictures([0, 1, 2, 2]), _pictures([2, 0], 50)), CLASSES, ("dog", "owl"))
    assert (_values(domain.train), domain.train.labels.tolist()) == ([1, 2, 3], [0, 1, 1])
    assert (_values(domain.test), domain.test.labels.tolist()) == ([50], [1])
