import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from tiny_imagenet_trees import WNIDS, write_published

from binorm.experiments.common.errors import UserError
from binorm.experiments.data.readers.tiny_imagenet import TINY_IMAGENET


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return write_published(tmp_path_factory.mktemp("published"))


@pytest.fixture
def copy(published, tmp_path):
    return Path(shutil.copytree(published, tmp_path / published.name))


@pytest.mark.parametrize("packed", [False, True])
def test_reads_the_published_layout(published, tmp_path, packed):
    path = published
    if packed:
        path = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", published.parent, published.name))
    data = TINY_IMAGENET.load(path)
    assert data.train.images.shape == (200, 64, 64, 3)
    assert list(data.evaluation) == ["val"]
    assert data.train.labels.tolist() == list(range(200))
    assert sorted(data.evaluation["val"].labels.tolist()) == list(range(200))
    assert data.evaluation["val"].labels.tolist() == list(range(199, -1, -1))  # the annotations run backwards


def test_greyscale_pictures_become_colour(published):
    picture = TINY_IMAGENET.load(published).train.images[10]
    assert torch.equal(picture[..., 0], picture[..., 1])
    assert torch.equal(picture[..., 0], picture[..., 2])


def test_classes_are_called_by_their_first_word_and_told_apart(published):
    classes = TINY_IMAGENET.load(published).classes
    assert classes[:3] == (f"thing 0 ({WNIDS[0]})", f"thing 0 ({WNIDS[1]})", f"thing {WNIDS[2]}")


def test_classes_are_called_by_their_id_without_words(copy):
    (copy / "words.txt").unlink()
    assert TINY_IMAGENET.load(copy).classes == WNIDS


def test_labels_do_not_depend_on_the_list_of_classes(copy):
    before = TINY_IMAGENET.load(copy).train.labels
    (copy / "wnids.txt").unlink()
    assert torch.equal(TINY_IMAGENET.load(copy).train.labels, before)


def test_reads_validation_pictures_sorted_into_folders(copy):
    for number, wnid in enumerate(WNIDS):
        (copy / "val" / wnid).mkdir()
        (copy / "val" / "images" / f"val_{number}.JPEG").rename(copy / "val" / wnid / f"val_{number}.JPEG")
    assert TINY_IMAGENET.load(copy).evaluation["val"].labels.tolist() == list(range(200))


def test_other_sizes_are_resized_to(published):
    assert TINY_IMAGENET.load(published, 16).evaluation["val"].images.shape == (200, 16, 16, 3)


def test_picture_of_another_size_is_an_error_at_its_own_size(copy):
    Image.new("RGB", (40, 64)).save(copy / "val" / "images" / "val_3.JPEG")
    with pytest.raises(UserError, match=r"val_3\.JPEG .* is 40x64 pixels, expected 64x64"):
        TINY_IMAGENET.load(copy)


def test_annotation_of_an_absent_picture_is_named(copy):
    (copy / "val" / "images" / "val_7.JPEG").unlink()
    with pytest.raises(UserError, match=r"names absent pictures: 1, such as .*val_7\.JPEG"):
        TINY_IMAGENET.load(copy)


def test_picture_without_annotation_is_named(copy):
    shutil.copy(copy / "val" / "images" / "val_7.JPEG", copy / "val" / "images" / "val_777.JPEG")
    with pytest.raises(UserError, match=r"misses pictures: 1, such as .*val_777\.JPEG"):
        TINY_IMAGENET.load(copy)


@pytest.mark.parametrize("line", ["val_7.JPEG\tn77777777\t0\t0\t1\t1", "val_7.JPEG"])
def test_unknown_class_in_the_annotations_is_named(copy, line):
    file = copy / "val" / "val_annotations.txt"
    lines = [line if each.startswith("val_7.JPEG") else each for each in file.read_text().splitlines()]
    file.write_text("\n".join(lines))
    with pytest.raises(UserError, match="1 unknown classes, such as '(n77777777)?'"):
        TINY_IMAGENET.load(copy)


def test_missing_training_class_is_named(copy):
    shutil.rmtree(copy / "train" / WNIDS[5])
    with pytest.raises(UserError, match=f"199 classes and wnids.txt 200; not in both: {WNIDS[5]}"):
        TINY_IMAGENET.load(copy)
    (copy / "wnids.txt").unlink()
    with pytest.raises(UserError, match="199 classes, expected 200"):
        TINY_IMAGENET.load(copy)


def test_no_validation_pictures_at_all_is_an_error(copy):
    shutil.rmtree(copy / "val")
    with pytest.raises(UserError, match="no pictures for val"):
        TINY_IMAGENET.load(copy)


def test_empty_folder_says_what_was_expected(tmp_path):
    with pytest.raises(UserError, match="no pictures for train .* expected: train/<wnid>/images/"):
        TINY_IMAGENET.load(tmp_path)


def test_examination_finds_every_broken_picture(copy):
    for name in ("train/n00000003/images/n00000003_0.JPEG", "val/images/val_9.JPEG"):
        (copy / name).write_bytes((copy / name).read_bytes()[:200])
    found = list(TINY_IMAGENET.examine(copy))
    assert len(found) == 400
    assert [each.name for each in found if each.fault] == [
        "train/n00000003/images/n00000003_0.JPEG",
        "val/images/val_9.JPEG",
    ]
