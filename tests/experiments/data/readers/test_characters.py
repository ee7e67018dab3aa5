import shutil
from pathlib import Path

import numpy
import pytest
import torch
from character_trees import write_class_folders, write_picture, write_samples, write_tag_file, write_tagged
from PIL import Image
from real_data import REAL

from binorm.experiments.common.errors import UserError
from binorm.experiments.data.entries import DATASETS
from binorm.experiments.data.readers.characters import (
    CHARACTERS,
    CHARS74K,
    FOLDERS,
    ICDAR2003,
)


def _icdar2005(path, subset):
    return DATASETS[f"icdar2005{subset}"].load(path)


def _labels(images):
    return [CHARACTERS[label] for label in images.labels.tolist()]


@pytest.mark.parametrize("packed", [False, True])
def test_reads_published_tags_and_leaves_other_signs_out(tmp_path, packed):
    write_tagged(tmp_path / "icdar")
    path = tmp_path / "icdar"
    if packed:
        path = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "icdar"))
    data = ICDAR2003.load(path)
    assert _labels(data.train) == ["S", "7", "a"]
    assert _labels(data.evaluation["test"]) == ["b", "0", "Q"]
    assert data.classes == CHARACTERS
    assert data.train.images.shape == (3, 32, 32, 3)


def test_pictures_are_stretched_to_one_size_that_can_be_chosen(tmp_path):
    write_tagged(tmp_path)
    data = ICDAR2003.load(tmp_path, 48)
    with Image.open(tmp_path / "TrialTrain" / "char" / "1" / "1.png") as picture:
        expected = numpy.asarray(picture.resize((48, 48), Image.Resampling.BILINEAR))
    assert torch.equal(data.train.images[1], torch.from_numpy(expected.copy()))
    assert ICDAR2003.load(tmp_path).train.images.shape[1:3] == (32, 32)  # the other size is not what the cache gives


def test_a_split_is_named_by_the_innermost_folder(tmp_path):
    write_tagged(tmp_path / "contest")
    assert len(ICDAR2003.load(tmp_path).train) == 3
    (tmp_path / "contest" / "TrialTrain").rename(tmp_path / "contest" / "other")
    with pytest.raises(UserError, match="expected char.xml below a folder with train in its name"):
        ICDAR2003.load(tmp_path)


def test_reads_class_folders_of_which_a_split_may_lack_some(tmp_path):
    write_class_folders(tmp_path, splits=("train",), classes=FOLDERS[:-1])
    write_class_folders(tmp_path, splits=("test",))
    data = ICDAR2003.load(tmp_path)
    assert _labels(data.train) == list(CHARACTERS[:-1])
    assert _labels(data.evaluation["test"]) == list(CHARACTERS)


def test_unknown_class_folder_is_named(tmp_path):
    write_class_folders(tmp_path, classes=("upper_A", "upper_Ä"))
    with pytest.raises(UserError, match="with the unknown upper_Ä"):
        ICDAR2003.load(tmp_path)


def test_empty_folder_says_what_was_expected(tmp_path):
    with pytest.raises(UserError, match="no pictures for train"):
        ICDAR2003.load(tmp_path)


def test_missing_pictures_are_counted_and_named(tmp_path):
    write_tagged(tmp_path)
    (tmp_path / "TrialTest" / "char" / "1" / "1.png").unlink()
    with pytest.raises(UserError, match=r"names 3 pictures, of which 1 are not there, such as .*char/1/1\.png"):
        ICDAR2003.load(tmp_path)


@pytest.mark.parametrize("file", ["../../secret.png", "{root}/secret.png", "char/../../../secret.png"])
def test_tags_cannot_name_files_outside_the_data(tmp_path, file):
    write_tagged(tmp_path / "data")
    write_picture(tmp_path / "secret.png", 0)
    content = f'<image file="{file.format(root=tmp_path)}" tag="A" />'
    write_tag_file(tmp_path / "data" / "TrialTrain", content)
    with pytest.raises(UserError, match="of which 1 are not there"):
        ICDAR2003.load(tmp_path / "data")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_refused_in_every_encoding(tmp_path, encoding):
    write_tagged(tmp_path)
    bomb = '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
    text = f'<?xml version="1.0" encoding="{encoding}"?>{bomb}<imagelist><image file="&b;" tag="A"/></imagelist>'
    (tmp_path / "TrialTrain" / "char.xml").write_bytes(text.encode(encoding))
    with pytest.raises(UserError, match=r"char\.xml .* defines entities"):
        ICDAR2003.load(tmp_path)


def test_damaged_tag_file_is_named(tmp_path):
    write_tagged(tmp_path)
    (tmp_path / "TrialTrain" / "char.xml").write_text("<imagelist><image")
    with pytest.raises(UserError, match=r"TrialTrain/char\.xml .* is not XML"):
        ICDAR2003.load(tmp_path)


def test_tag_file_without_letters_is_named(tmp_path):
    write_tagged(tmp_path)
    write_tag_file(tmp_path / "TrialTrain", '<image file="char/1/0.png" tag="!" />')
    with pytest.raises(UserError, match="tags no letter or digit"):
        ICDAR2003.load(tmp_path)


def test_broken_training_picture_is_skipped_and_a_broken_test_picture_an_error(tmp_path):
    write_tagged(tmp_path)
    (tmp_path / "TrialTrain" / "char" / "1" / "2.png").write_bytes(b"no picture")
    assert ICDAR2003.load(tmp_path).skipped == ("TrialTrain/char/1/2.png",)
    (tmp_path / "TrialTest" / "char" / "1" / "2.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"TrialTest/char/1/2\.png .* is broken"):
        ICDAR2003.load(tmp_path)


@pytest.mark.parametrize(
    ("subset", "classes", "train"), [("-digits", "0123456789", "7"), ("-lower", None, "a"), ("-upper", None, "S")]
)
def test_subsets_have_their_own_classes_and_labels(tmp_path, subset, classes, train):
    write_tagged(tmp_path)
    data = _icdar2005(tmp_path, subset)
    assert data.name == f"icdar2005{subset}"
    assert len(data.classes) == (10 if classes else 26)
    assert [data.classes[label] for label in data.train.labels.tolist()] == [train]
    assert len(data.evaluation["test"]) == 1


def test_subset_without_pictures_is_an_error(tmp_path):
    write_class_folders(tmp_path, classes=FOLDERS[:10])
    assert len(_icdar2005(tmp_path, "-digits").train) == 10
    with pytest.raises(UserError, match="no characters of the kind upper in train"):
        _icdar2005(tmp_path, "-upper")


def test_chars74k_takes_good_pictures_alone_and_tests_on_each_class_s_last_quarter(tmp_path):
    write_samples(tmp_path)
    data = CHARS74K.load(tmp_path)
    assert len(data.train) == 62 * 3
    assert _labels(data.evaluation["test"]) == list(CHARACTERS)
    found = list(CHARS74K.examine(tmp_path))
    assert all("/GoodImg/Bmp/" in each.name for each in found)
    assert {each.name[-9:] for each in found if each.split == "test"} == {"00004.png"}


def test_chars74k_reads_class_folders_and_keeps_one_test_picture_of_small_classes(tmp_path):
    write_class_folders(tmp_path, splits=("good", "bad"), per_class=2)
    data = CHARS74K.load(tmp_path)
    assert _labels(data.train) == _labels(data.evaluation["test"]) == list(CHARACTERS)


def test_chars74k_without_a_class_is_an_error(tmp_path):
    write_samples(tmp_path, per_class=1)
    shutil.rmtree(tmp_path / "English" / "Img" / "GoodImg" / "Bmp" / "Sample017")
    with pytest.raises(UserError, match="missing or unknown: Sample017"):
        CHARS74K.load(tmp_path)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real pictures are not here")
@pytest.mark.parametrize(
    ("entry", "train", "test"), [(ICDAR2003, 6113, 5379), (CHARS74K, 5772, 1933)], ids=["icdar2003", "chars74k"]
)
def test_real_pictures_are_all_there(entry, train, test):
    splits = [each.split for each in entry.examine(REAL / f"{entry.name}.zip") if not each.fault]
    assert (splits.count("train"), splits.count("test")) == (train, test)
