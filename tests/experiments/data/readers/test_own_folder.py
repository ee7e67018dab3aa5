import shutil

import pytest
import torch
from character_trees import write_picture
from domain_trees import packed

from binorm.experiments.common.errors import UserError
from binorm.experiments.data import DATASETS, load

CLASSES = ("cat", "dog")


def write(root, layout, splits=("train", "test"), classes=CLASSES, per_class=5):
    """``layout`` with {split}, {kind} and {number}; different pictures of different sizes."""
    for place, split in enumerate(splits):
        for label, kind in enumerate(classes):
            for number in range(per_class):
                file = root / layout.format(split=split, kind=kind, number=number)
                write_picture(file, 100 * place + 10 * label + number, size=(8 + number, 11))
    return root


def counts(dataset):
    return {"train": len(dataset.train), **{name: len(images) for name, images in dataset.evaluation.items()}}


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
@pytest.mark.parametrize(
    "layout",
    [
        "{split}/{kind}/{number}.png",
        "{kind}/{split}/{number}.png",
        "my pictures/{split}/{kind}/{number}.png",
        "{split}/images/{kind}/{number}.png",
        "{split}/{kind}/monday/{number}.png",
    ],
)
def test_published_splits_are_found_at_any_level(tmp_path, layout, kind):
    dataset = load("folder", packed(write(tmp_path / "own", layout), kind), 16)
    assert dataset.classes == CLASSES
    assert counts(dataset) == {"train": 10, "test": 10}
    assert dataset.train.images.shape == (10, 16, 16, 3)
    assert sorted(dataset.train.labels.tolist()) == [0] * 5 + [1] * 5
    assert dataset.remarks == ()


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        (("train", "val", "test"), {"train": 10, "test": 10, "validation": 10}),
        (("Training", "Valid"), {"train": 10, "val": 10}),
        (("train_set", "test_set"), {"train": 10, "test": 10}),
    ],
)
def test_splits_may_be_called_as_people_do(tmp_path, splits, expected):
    dataset = load("folder", write(tmp_path, "{split}/{kind}/{number}.png", splits))
    assert counts(dataset) == expected
    assert next(iter(dataset.evaluation)) == list(expected)[1]  # the main one comes first


@pytest.mark.parametrize("layout", ["{kind}/{number}.png", "train/{kind}/{number}.png"])
def test_without_a_split_a_fifth_of_each_class_is_the_test_set(tmp_path, layout):
    root = write(tmp_path / "own", layout, splits=("train",), per_class=10)
    dataset = load("folder", root)
    assert counts(dataset) == {"train": 16, "test": 4}
    assert dataset.evaluation["test"].labels.tolist() == [0, 0, 1, 1]
    again = load("folder", shutil.copytree(root, tmp_path / "moved"))
    assert torch.equal(again.train.images, dataset.train.images)


def test_equal_pictures_stay_on_one_side_of_the_split_that_we_draw(tmp_path):
    root = write(tmp_path, "{kind}/{number}.png", splits=("",), per_class=10)
    for number in range(10):
        for copy in range(3):
            shutil.copy(root / f"cat/{number}.png", root / f"cat/{number}-{copy}.png")
    dataset = load("folder", root)
    trained = {each.numpy().tobytes() for each in dataset.train.images}
    tested = {each.numpy().tobytes() for each in dataset.evaluation["test"].images}
    assert not trained & tested
    assert counts(dataset) == {"train": 8 * 4 + 8, "test": 2 * 4 + 2}
    assert dataset.remarks == ("30 pictures equal others: the split that we draw keeps equal ones together",)


def test_broken_training_pictures_are_named_and_broken_test_pictures_an_error(tmp_path):
    root = write(tmp_path, "{split}/{kind}/{number}.png")
    (root / "train/cat/0.png").write_bytes(b"no picture")
    assert load("folder", root).skipped == ("train/cat/0.png",)
    (root / "test/dog/3.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"test/dog/3\.png"):
        load("folder", root)


@pytest.mark.parametrize(
    ("layout", "splits", "message"),
    [
        ("{kind}.png", ("",), "all pictures in .* lie in one folder, such as cat.png"),
        ("camA/{kind}/{number}.png", ("",), "camA, camB .*look like domains, for which there is --dataset domains"),
        ("{split}/{kind}/{number}.png", ("test",), "pictures of test alone"),
        (
            "{split}/{kind}/{number}.png",
            ("train", "other"),
            "train in .* beside other are names of splits|other, train",
        ),
        ("{split}/x/{kind}/test/{number}.png", ("train", "val"), "lies in two folders of splits"),
    ],
)
def test_what_is_no_folder_of_classes_is_refused(tmp_path, layout, splits, message):
    write(tmp_path, layout, splits)
    if layout.startswith("camA"):
        write(tmp_path, layout.replace("camA", "camB"), splits)
    with pytest.raises(UserError, match=message):
        load("folder", tmp_path)


def test_a_class_that_only_the_test_part_has_is_an_error(tmp_path):
    write(tmp_path, "{split}/{kind}/{number}.png")
    write_picture(tmp_path / "test/zebra/1.png", 1)
    with pytest.raises(UserError, match="test in .* has the classes zebra, which train has not"):
        load("folder", tmp_path)


def test_a_training_part_beside_another_folder_is_no_class(tmp_path):
    write(tmp_path, "train/{kind}/{number}.png", splits=("",))
    write(tmp_path, "more of them/{kind}/{number}.png", splits=("",), classes=("cat", "zebra"))
    with pytest.raises(UserError, match="train in .* beside more of them are names of splits and not of a class"):
        load("folder", tmp_path)


def test_splits_in_some_classes_alone_are_refused(tmp_path):
    write(tmp_path, "camA/{split}/{kind}/{number}.png")
    write(tmp_path, "camB/{kind}/{number}.png", splits=("",))
    with pytest.raises(UserError, match="camA in .* holds the splits test, train, and other folders beside it do not"):
        load("folder", tmp_path)


def test_a_class_may_be_called_train_among_others(tmp_path):
    write(tmp_path, "{kind}/{number}.png", splits=("",), classes=("train", "bus", "car"))
    assert load("folder", tmp_path).classes == ("bus", "car", "train")


def test_one_class_is_nothing_to_tell_apart(tmp_path):
    write(tmp_path, "{kind}/{number}.png", splits=("",), classes=("cat",))
    with pytest.raises(UserError, match="all pictures in .* lie in one folder, such as cat/0.png"):
        load("folder", tmp_path)


@pytest.mark.usefixtures("class_counts")
@pytest.mark.parametrize("name", ["pacs", "office-home", "cifar10"])
def test_a_published_set_with_some_of_its_classes_is_an_error(tmp_path, name):
    for split in DATASETS[name].domains or ("train", "test"):
        write(tmp_path / split, "{kind}/{number}.png", splits=("",))
    with pytest.raises(UserError, match=r"pictures of 2 classes \(cat, dog\), but .* has |without "):
        load(name, tmp_path)
