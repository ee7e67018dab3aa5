import os
import pickle
import shutil
import tarfile

import pytest
import torch
from cifar_trees import write_batches, write_pictures

from binorm.experiments.data.cifar import CIFAR10_CLASSES, load_cifar10
from binorm.experiments.errors import UserError


def test_reads_published_batches_as_rows_of_red_green_blue(tmp_path):
    written = write_batches(tmp_path / "cifar-10-batches-py")
    data = load_cifar10(tmp_path)
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
    assert torch.equal(load_cifar10(archive).train.images, load_cifar10(tmp_path / "cifar-10-batches-py").train.images)


@pytest.mark.parametrize("packed", [False, True])
def test_reads_picture_folder_and_zip(tmp_path, packed):
    written = write_pictures(tmp_path / "cifar10")
    path = tmp_path / "cifar10"
    if packed:
        path = tmp_path / shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "cifar10")
    data = load_cifar10(path)
    assert data.classes == CIFAR10_CLASSES
    assert data.train.labels.tolist() == [label for label in range(10) for _ in range(2)]
    assert torch.equal(data.evaluation["test"].images[3], torch.from_numpy(written["test/automobile/0001.png"].copy()))


def test_second_load_comes_from_the_cache_bit_for_bit(tmp_path, monkeypatch):
    write_pictures(tmp_path)
    first = load_cifar10(tmp_path)
    monkeypatch.setattr("binorm.experiments.data.cifar._read", lambda tree: pytest.fail("decoded again"))
    second = load_cifar10(tmp_path)
    assert torch.equal(first.train.images, second.train.images)
    assert torch.equal(first.evaluation["test"].labels, second.evaluation["test"].labels)


def test_changed_data_is_decoded_again(tmp_path):
    write_pictures(tmp_path)
    before = load_cifar10(tmp_path)
    (tmp_path / "train" / "cat" / "0000.png").unlink()
    assert len(load_cifar10(tmp_path).train) == len(before.train) - 1


def test_broken_training_picture_is_named_and_left_out(tmp_path):
    write_pictures(tmp_path)
    broken = tmp_path / "train" / "dog" / "0001.png"
    broken.write_bytes(broken.read_bytes()[:100])
    for _ in ("decoded", "from the cache"):
        data = load_cifar10(tmp_path)
        assert data.skipped == ("train/dog/0001.png",)
        assert len(data.train) == 19


def test_broken_test_picture_is_an_error_that_names_it(tmp_path):
    write_pictures(tmp_path)
    (tmp_path / "test" / "dog" / "0001.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"test/dog/0001\.png .* broken \(not a picture\)"):
        load_cifar10(tmp_path)


def test_wrong_classes_are_named(tmp_path):
    write_pictures(tmp_path)
    (tmp_path / "train" / "cat").rename(tmp_path / "train" / "kitten")
    with pytest.raises(UserError, match="without cat and with the unknown kitten"):
        load_cifar10(tmp_path)


def test_other_size_is_an_error(tmp_path):
    write_pictures(tmp_path, size=(64, 48))
    with pytest.raises(UserError, match="is 64x48 pixels, expected 32x32"):
        load_cifar10(tmp_path)


def test_empty_folder_says_what_was_expected(tmp_path):
    with pytest.raises(UserError, match=r"no pictures for train .* expected train/<class>/"):
        load_cifar10(tmp_path)


def test_absent_place_is_named(tmp_path):
    with pytest.raises(UserError, match="there is no data at .*nowhere"):
        load_cifar10(tmp_path / "nowhere")


def test_no_place_at_all_says_where_the_data_is_published():
    with pytest.raises(UserError, match="needs --data"):
        load_cifar10(None)


def test_truncated_zip_is_an_error(tmp_path):
    write_pictures(tmp_path / "cifar10")
    path = tmp_path / "c.zip"
    shutil.make_archive(str(path.with_suffix("")), "zip", tmp_path, "cifar10")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match=r"c\.zip"):
        load_cifar10(path)


def test_missing_batch_is_named(tmp_path):
    write_batches(tmp_path)
    (tmp_path / "data_batch_3").unlink()
    with pytest.raises(UserError, match="not data_batch_3"):
        load_cifar10(tmp_path)


def test_truncated_batch_is_an_error(tmp_path):
    write_batches(tmp_path)
    file = tmp_path / "data_batch_3"
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(UserError, match="data_batch_3 .* not a whole CIFAR-10 batch"):
        load_cifar10(tmp_path)


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
        load_cifar10(tmp_path / "data")
    assert not trace.exists()
