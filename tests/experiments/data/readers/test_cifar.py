import os
import pickle
import shutil
import tarfile

import pytest
import torch
from cifar_trees import write_batches, write_fine_batches, write_pictures

from binorm.experiments.common.errors import UserError
from binorm.experiments.data.readers.cifar import (
    CIFAR10,
    CIFAR10_CLASSES,
    CIFAR100,
    CIFAR100_CLASSES,
)


def test_reads_published_batches_as_rows_of_red_green_blue(tmp_path):
    written = write_batches(tmp_path / "cifar-10-batches-py")
    data = CIFAR10.load(tmp_path)
    assert len(data.train) == 20
    assert len(data.evaluation["test"]) == 4
    rows, labels = written["data_batch_2"]
    expected = torch.from_numpy(rows[1].copy()).view(3, 32, 32).permute(1, 2, 0)
    assert torch.equal(data.train.images[5], expected)
    assert data.train.labels[4:8].tolist() == labels


def test_reads_published_tar_file(tmp_path):
    write_batches(tmp_path / "cifar-10-batches-py")
    archive = tmp_path / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / "cifar-10-batches-py", "cifar-10-batches-py")
    assert torch.equal(CIFAR10.load(archive).train.images, CIFAR10.load(tmp_path / "cifar-10-batches-py").train.images)


@pytest.mark.parametrize("packed", [False, True])
def test_reads_picture_folder_and_zip(tmp_path, packed):
    written = write_pictures(tmp_path / "cifar10")
    path = tmp_path / "cifar10"
    if packed:
        path = tmp_path / shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "cifar10")
    data = CIFAR10.load(path)
    assert data.classes == CIFAR10_CLASSES
    assert data.train.labels.tolist() == [label for label in range(10) for _ in range(2)]
    assert torch.equal(data.evaluation["test"].images[3], torch.from_numpy(written["test/automobile/0001.png"].copy()))


def test_second_load_comes_from_the_cache_bit_for_bit(tmp_path, monkeypatch):
    write_pictures(tmp_path)
    first = CIFAR10.load(tmp_path)
    monkeypatch.setattr("binorm.experiments.data.readers.cifar._read", lambda kind, tree: pytest.fail("decoded again"))
    second = CIFAR10.load(tmp_path)
    assert torch.equal(first.train.images, second.train.images)
    assert torch.equal(first.evaluation["test"].labels, second.evaluation["test"].labels)


def test_changed_data_is_decoded_again(tmp_path):
    write_pictures(tmp_path)
    before = CIFAR10.load(tmp_path)
    (tmp_path / "train" / "cat" / "0000.png").unlink()
    assert len(CIFAR10.load(tmp_path).train) == len(before.train) - 1


def test_broken_training_picture_is_named_and_left_out(tmp_path):
    write_pictures(tmp_path)
    broken = tmp_path / "train" / "dog" / "0001.png"
    broken.write_bytes(broken.read_bytes()[:100])
    for _ in ("decoded", "from the cache"):
        data = CIFAR10.load(tmp_path)
        assert data.skipped == ("train/dog/0001.png",)
        assert len(data.train) == 19


def test_broken_test_picture_is_an_error_that_names_it(tmp_path):
    write_pictures(tmp_path)
    (tmp_path / "test" / "dog" / "0001.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"test/dog/0001\.png .* broken \(not a picture\)"):
        CIFAR10.load(tmp_path)


def test_wrong_classes_are_named(tmp_path):
    write_pictures(tmp_path)
    (tmp_path / "train" / "cat").rename(tmp_path / "train" / "kitten")
    with pytest.raises(UserError, match="without cat and with the unknown kitten"):
        CIFAR10.load(tmp_path)


def test_other_size_is_an_error(tmp_path):
    write_pictures(tmp_path, size=(64, 48))
    with pytest.raises(UserError, match="is 64x48 pixels, expected 32x32"):
        CIFAR10.load(tmp_path)


def test_empty_folder_says_what_was_expected(tmp_path):
    with pytest.raises(UserError, match=r"no pictures for train .* expected: train/<class>/"):
        CIFAR10.load(tmp_path)


def test_absent_place_is_named(tmp_path):
    with pytest.raises(UserError, match="there is no data at .*nowhere"):
        CIFAR10.load(tmp_path / "nowhere")


def test_truncated_zip_is_an_error(tmp_path):
    write_pictures(tmp_path / "cifar10")
    path = tmp_path / "c.zip"
    shutil.make_archive(str(path.with_suffix("")), "zip", tmp_path, "cifar10")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match=r"c\.zip"):
        CIFAR10.load(path)


def test_missing_batch_is_named(tmp_path):
    write_batches(tmp_path)
    (tmp_path / "data_batch_3").unlink()
    with pytest.raises(UserError, match="not data_batch_3"):
        CIFAR10.load(tmp_path)


def test_truncated_batch_is_an_error(tmp_path):
    write_batches(tmp_path)
    file = tmp_path / "data_batch_3"
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(UserError, match="data_batch_3 .* not a whole CIFAR-10 batch"):
        CIFAR10.load(tmp_path)


class _Malicious:
    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


def test_malicious_batch_is_refused_and_not_run(tmp_path):
    write_batches(tmp_path / "data")
    trace = tmp_path / "it ran"
    (tmp_path / "data" / "data_batch_1").write_bytes(pickle.dumps(_Malicious(trace)))
    with pytest.raises(UserError, match="asks for posix.mkdir"):
        CIFAR10.load(tmp_path / "data")
    assert not trace.exists()


def test_cifar100_has_the_published_fine_classes_in_their_order():
    assert len(set(CIFAR100_CLASSES)) == 100
    assert list(CIFAR100_CLASSES) == sorted(CIFAR100_CLASSES)
    assert CIFAR100_CLASSES[1] == "aquarium_fish"


def test_cifar100_reads_fine_labels_of_published_batches(tmp_path):
    written = write_fine_batches(tmp_path / "cifar-100-python")
    data = CIFAR100.load(tmp_path)
    assert data.name == "cifar100"
    assert data.classes == CIFAR100_CLASSES
    rows, labels = written["train"]
    assert data.train.labels.tolist() == labels
    assert torch.equal(data.train.images[3], torch.from_numpy(rows[3].copy()).view(3, 32, 32).permute(1, 2, 0))
    assert data.evaluation["test"].labels.tolist() == written["test"][1]


def test_cifar100_reads_published_tar_file_without_meta(tmp_path):
    write_fine_batches(tmp_path / "cifar-100-python")
    (tmp_path / "cifar-100-python" / "meta").unlink()
    archive = tmp_path / "cifar-100-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / "cifar-100-python", "cifar-100-python")
    assert len(CIFAR100.load(archive).train) == 6


@pytest.mark.parametrize("packed", [False, True])
def test_cifar100_reads_pictures_even_of_the_class_train(tmp_path, packed):
    written = write_pictures(tmp_path / "cifar100", per_class=1, classes=CIFAR100_CLASSES)
    path = tmp_path / "cifar100"
    if packed:
        path = tmp_path / shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "cifar100")
    data = CIFAR100.load(path)
    train = CIFAR100_CLASSES.index("train")
    assert data.evaluation["test"].labels.tolist() == list(range(100))
    assert torch.equal(data.train.images[train], torch.from_numpy(written["train/train/0000.png"].copy()))


def test_both_sets_are_normalized_alike(tmp_path):
    write_batches(tmp_path / "10")
    write_fine_batches(tmp_path / "100")
    ten, hundred = CIFAR10.load(tmp_path / "10"), CIFAR100.load(tmp_path / "100")
    assert (ten.mean, ten.std) == (hundred.mean, hundred.std)


@pytest.mark.parametrize("pictures", [False, True])
def test_each_set_names_its_sister(tmp_path, pictures):
    if pictures:
        write_pictures(tmp_path / "10", per_class=1)
        write_pictures(tmp_path / "100", per_class=1, classes=CIFAR100_CLASSES)
    else:
        write_batches(tmp_path / "10")
        write_fine_batches(tmp_path / "100")
    with pytest.raises(UserError, match="holds CIFAR-100, not CIFAR-10: choose the data set cifar100"):
        CIFAR10.load(tmp_path / "100")
    with pytest.raises(UserError, match="holds CIFAR-10, not CIFAR-100: choose the data set cifar10"):
        CIFAR100.load(tmp_path / "10")


def test_both_sets_can_lie_in_one_folder(tmp_path):
    write_batches(tmp_path / "cifar-10-batches-py")
    write_fine_batches(tmp_path / "cifar-100-python")
    assert len(CIFAR10.load(tmp_path).train) == 20
    assert len(CIFAR100.load(tmp_path).train) == 6


@pytest.mark.parametrize("change", [{b"fine_labels": [100] * 6}, {b"fine_labels": [0] * 5}, {b"data": [0]}])
def test_cifar100_batch_with_other_content_is_an_error(tmp_path, change):
    write_fine_batches(tmp_path)
    batch = pickle.loads((tmp_path / "train").read_bytes(), encoding="bytes")
    (tmp_path / "train").write_bytes(pickle.dumps(batch | change, protocol=2))
    with pytest.raises(UserError, match=r"train in .* (labels outside 0\.\.99|not a whole CIFAR-100 batch)"):
        CIFAR100.load(tmp_path)


def test_coarse_labels_alone_are_not_enough(tmp_path):
    write_fine_batches(tmp_path)
    (tmp_path / "test").write_bytes(pickle.dumps({b"data": [], b"coarse_labels": []}, protocol=2))
    with pytest.raises(UserError, match="not a whole CIFAR-100 batch .*fine_labels"):
        CIFAR100.load(tmp_path)


def test_examination_finds_every_broken_picture_and_ignores_the_cache(tmp_path):
    write_pictures(tmp_path)
    CIFAR10.load(tmp_path)
    for name in ("train/dog/0001.png", "test/cat/0000.png"):
        stat = (tmp_path / name).stat()
        (tmp_path / name).write_bytes(bytes(stat.st_size))
        os.utime(tmp_path / name, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    broken = [each.name for each in CIFAR10.examine(tmp_path) if each.fault]
    assert broken == ["train/dog/0001.png", "test/cat/0000.png"]


def test_examination_counts_published_batches(tmp_path):
    write_batches(tmp_path)
    found = list(CIFAR10.examine(tmp_path))
    assert [each.split for each in found] == ["train"] * 20 + ["test"] * 4
    assert {each.size for each in found} == {(32, 32)}
