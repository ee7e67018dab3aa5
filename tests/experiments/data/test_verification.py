import pytest
import torch
from cifar_trees import write_pictures
from PIL import Image

from binorm.experiments.common.errors import UserError
from binorm.experiments.data.dataset import Dataset, EncodedImage, ImageSet
from binorm.experiments.data.readers.examination import Examined, examine_dataset, examine_files
from binorm.experiments.data.trees.file_tree import open_tree
from binorm.experiments.data.verification import Verification, check


def _examined(name, split="train", label=0, size=(8, 8), fault="", content=None):
    return Examined(split, name, label, (content or name).encode(), size, fault)


def _checked(*pictures, expected=None, classes=1, size=(0, 0)):
    return check(Verification("a set", expected or {}, classes, size), iter(pictures), None)


def test_whole_copy_has_no_faults():
    found = _checked(_examined("a"), _examined("b", "test"), expected={"train": 1, "test": 1})
    assert found.ok
    assert found.faults == found.notes == []
    assert found.counts == {"train": 1, "test": 1}


def test_every_broken_picture_is_a_fault_by_name():
    found = _checked(_examined("a"), _examined("b", fault="cut short"), _examined("c", fault="not a picture"))
    assert not found.ok
    assert found.faults == ["broken: b (cut short)", "broken: c (not a picture)"]


def test_other_counts_and_absent_splits_are_faults():
    found = _checked(_examined("a"), expected={"train": 2_000, "test": 1})
    assert found.faults == ["train: 1 pictures, expected 2,000", "test: 0 pictures, expected 1"]


def test_a_class_that_no_split_has_is_a_fault_and_one_that_one_split_lacks_a_note():
    found = _checked(_examined("a"), _examined("b", label=1), _examined("c", "test", label=1), classes=3)
    assert found.faults == ["2 classes with pictures, expected 3"]
    found = _checked(_examined("a"), _examined("b", label=1), _examined("c", "test", label=1), classes=2)
    assert found.ok
    assert found.notes == ["test has pictures of 1 of the 2 classes"]


def test_a_broken_picture_does_not_stand_for_its_class():
    assert "0 classes with pictures, expected 1" in _checked(_examined("a", fault="cut short")).faults


def test_wrong_sizes_are_faults_where_there_is_one_size():
    pictures = [_examined("a"), _examined("b", size=(9, 8)), _examined("c", size=(8, 9))]
    assert _checked(*pictures).ok
    assert _checked(*pictures, size=(8, 8)).faults == ["2 pictures are not 8x8: b, c"]


def test_narrow_pictures_are_noted():
    assert _checked(_examined("a", size=(3, 90))).notes == ["pictures narrower than 4 pixels: 1, such as a"]


def test_equal_pictures_across_splits_and_with_other_labels_are_noted():
    pictures = [_examined("a"), _examined("b", "test", content="a"), _examined("c", content="a", label=1)]
    found = _checked(*pictures, classes=2)
    assert found.ok
    assert "equal pictures in different splits: 1, such as a = b" in found.notes
    assert "equal pictures with different labels: 1, such as a = c" in found.notes


def test_progress_is_told():
    told = []
    pictures = (_examined(str(number)) for number in range(1_000))
    check(Verification("a set", {}, 1), pictures, told.append)
    assert told == ["a set: 500 pictures", "a set: 1,000 pictures"]


def test_files_are_decoded_to_their_last_pixel(tmp_path):
    write_pictures(tmp_path, per_class=1)
    cut = tmp_path / "train" / "cat" / "0000.png"
    cut.write_bytes(cut.read_bytes()[:-60])
    Image.new("L", (5, 7)).save(tmp_path / "train" / "dog" / "0000.png")
    with open_tree(tmp_path) as tree:
        files = {"train": [(name, 0) for name in tree.names if name.startswith("train")]}
        found = {each.name: each for each in examine_files(tree, files)}
    assert [name for name, each in found.items() if each.fault] == ["train/cat/0000.png"]
    assert found["train/dog/0000.png"].size == (5, 7)


def test_unreadable_file_is_a_fault_and_not_the_end(tmp_path):
    write_pictures(tmp_path, per_class=1)
    with open_tree(tmp_path) as tree:
        (tmp_path / "train" / "cat" / "0000.png").unlink()
        found = list(examine_files(tree, {"train": [("train/cat/0000.png", 0), ("train/dog/0000.png", 1)]}))
    assert [bool(each.fault) for each in found] == [True, False]
    assert "cannot read train/cat/0000.png" in found[0].fault


class _Encoded:
    def __init__(self, pictures):
        self._pictures = pictures

    def __len__(self):
        return len(self._pictures)

    def pictures(self, seed):
        assert seed is None
        yield from self._pictures


def _unreadable():
    raise UserError("cannot read it")


@pytest.mark.parametrize("data", [b"no picture", None])
def test_streamed_pictures_are_examined_too(tmp_path, data):
    Image.new("RGB", (5, 7)).save(tmp_path / "whole.png")
    whole = EncodedImage("whole.png", (tmp_path / "whole.png").read_bytes, 1)
    broken = EncodedImage("broken.png", _unreadable if data is None else lambda: data, 0)
    dataset = Dataset("a", "b", ("c", "d"), _Encoded([whole]), {"val": _Encoded([whole, broken])}, (0,) * 3, (1,) * 3)
    found = list(examine_dataset(dataset))
    assert [(each.split, each.name, each.size) for each in found] == [
        ("train", "whole.png", (5, 7)),
        ("val", "whole.png", (5, 7)),
        ("val", "broken.png", (0, 0)),
    ]
    assert found[0].digest == found[1].digest


def test_pictures_in_memory_are_named_by_their_place():
    images = ImageSet(torch.zeros(2, 4, 6, 3, dtype=torch.uint8), torch.tensor([0, 1]))
    dataset = Dataset("a", "b", ("c", "d"), images, {"test": images}, (0,) * 3, (1,) * 3)
    found = list(examine_dataset(dataset))
    assert [each.name for each in found] == ["train[0]", "train[1]", "test[0]", "test[1]"]
    assert {each.size for each in found} == {(6, 4)}
