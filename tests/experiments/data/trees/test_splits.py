"""Folders of splits: found at any level, never taken for classes or domains."""

import pytest
from domain_trees import packed, write_domains

from binorm.experiments.common.errors import UserError
from binorm.experiments.data.readers.domain_folders import FOLDER_SETS
from binorm.experiments.data.trees.splits import COPY, TEST, TRAIN, UNSPLIT, VAL, place, refuse_splits, split_of

CAMERAS, HOME = ("camA", "camB"), ("art", "clipart", "product", "real_world")
LAYOUTS = [
    "{domain}/{split}/{{kind}}",
    "{split}/{domain}/{{kind}}",
    "{domain}/{{kind}}/{split}",
    "data/{domain}/images/{split}/{{kind}}",
    "set v2/{split}/{domain}/{{kind}}/monday",
]


def write(root, layout, splits, domains):
    for place_, split in enumerate(splits):
        for domain in domains:
            own = layout.format(split=split, domain=domain)
            write_domains(root, ("x",), per_class=2 + place_, layout=own)
    return root


def counts(found):
    return {name: (len(domain.train), len(domain.test)) for name, domain in found.domains.items()}


@pytest.mark.parametrize("kind", ["folder", "zip"])
@pytest.mark.parametrize(
    "splits", [("train", "test"), ("train", "val"), ("Training", "Testing"), ("train_set", "valid")]
)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_splits_inside_above_and_below_domains_are_read(tmp_path, layout, splits, kind):
    tree = packed(write(tmp_path / "own", layout, splits, CAMERAS), kind)
    found = FOLDER_SETS["domains"].load_domains(tree, 8)
    assert found.classes == ("dog", "house")
    assert counts(found) == {"camA": (4, 6), "camB": (4, 6)}
    assert found.published_split
    assert found.remarks == ()


@pytest.mark.parametrize("layout", LAYOUTS[:3])
def test_splits_of_published_domains_are_read_too(tmp_path, layout):
    found = FOLDER_SETS["office-home"].load_domains(write(tmp_path, layout, ("train", "val"), HOME), 8)
    assert counts(found) == dict.fromkeys(HOME, (4, 6))


def test_a_validation_part_beside_train_and_test_is_told(tmp_path):
    tree = write(tmp_path, LAYOUTS[0], ("train", "test", "val"), CAMERAS)
    found = FOLDER_SETS["domains"].load_domains(tree, 8)
    assert counts(found) == {"camA": (4, 6), "camB": (4, 6)}
    assert "pictures of a validation part, beside train and test (16, such as camA/val/dog/001.png" in found.remarks[0]


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (("train", "camA"), "train in .* beside camA are names of splits and not of a domain|train in .*beside camA"),
        (
            ("train", "test", "camA"),
            "test and train in .* beside camA .*: for pictures of one domain give --dataset folder",
        ),
    ],
)
def test_names_of_splits_beside_domains_are_refused(tmp_path, folders, message):
    write_domains(tmp_path, folders, per_class=2)
    with pytest.raises(UserError, match=message):
        FOLDER_SETS["domains"].load_domains(tmp_path, 8)


@pytest.mark.parametrize("splits", [("train", "test"), ("train",)])
def test_splits_in_some_domains_alone_are_refused(tmp_path, splits):
    for split in splits:
        write_domains(tmp_path, ("camA",), layout=f"{{domain}}/{split}/{{kind}}")
    write_domains(tmp_path, ("camB",))
    with pytest.raises(UserError, match="train in the domain camA of .*not of a class: have splits at the same level"):
        FOLDER_SETS["domains"].load_domains(tmp_path, 8)


def test_a_class_of_a_domain_may_be_called_train(tmp_path):
    write_domains(tmp_path, CAMERAS, classes=("train", "bus"))
    assert FOLDER_SETS["domains"].load_domains(tmp_path, 8).classes == ("bus", "train")


def test_one_split_set_of_pictures_is_no_set_of_domains(tmp_path):
    write_domains(tmp_path, ("train", "test"), per_class=2)
    with pytest.raises(UserError, match="--dataset folder"):
        FOLDER_SETS["domains"].load_domains(tmp_path, 8)


@pytest.mark.parametrize(
    ("folder", "split"),
    [
        ("train", TRAIN),
        ("Train Set", TRAIN),
        ("train_images", TRAIN),
        ("VALIDATION", VAL),
        ("dev", VAL),
        ("test-split", TEST),
        ("images", UNSPLIT),
        ("trains", None),
        ("testament", None),
        ("evaluator", None),
        ("", None),
    ],
)
def test_names_of_splits(folder, split):
    assert split_of(folder) == split


def test_a_level_counts_only_where_every_folder_is_a_split():
    files = ["train/a.png", "bus/b.png"]
    assert [each.split for each in place(files, {})] == [UNSPLIT, UNSPLIT]
    assert [each.parts for each in place(files, {})] == [("train", "a.png"), ("bus", "b.png")]


def test_a_training_part_alone_is_all_there_is():
    (found,) = place(["train/cat/a.png"], {})
    assert (found.split, found.parts, found.folder(0)) == (UNSPLIT, ("cat", "a.png"), "train/cat")


def test_folders_of_a_set_s_own_are_named_by_it():
    found = place(["full/cat/a.png", "test/cat/b.png", "crossval/cat/c.png"], {"full": TRAIN, "crossval": COPY})
    assert [each.split for each in found] == [TRAIN, TEST, COPY]


def test_splits_at_two_levels_are_refused():
    with pytest.raises(UserError, match=r"train/cat/test/a\.png lies in two folders of splits"):
        place(["train/cat/test/a.png", "val/cat/test/b.png"], {})


@pytest.mark.parametrize(("kind", "names", "refused"), [("class", ("train",), False), ("domain", ("train",), True)])
def test_one_class_may_be_called_train_and_no_domain(kind, names, refused):
    if refused:
        with pytest.raises(UserError, match=f"not of a {kind}"):
            refuse_splits(kind, (*names, "bus"), "here", "do so")
    else:
        refuse_splits(kind, (*names, "bus"), "here", "do so")
