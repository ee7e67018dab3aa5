import gc
import json
import sys

import pytest
import torch
from photo_trees import WNIDS, write_photographs

from binorm.experiments.common.errors import UserError
from binorm.experiments.data.batches.streaming import StreamedTrainingBatches
from binorm.experiments.data.dataset import Dataset, ImageSet
from binorm.experiments.data.processes import Process
from binorm.experiments.data.readers import encoded
from binorm.experiments.data.readers.imagenet import IMAGENET
from binorm.experiments.data.readers.shards import INDEX_FILE, write_shards
from binorm.experiments.data.samples import write_samples
from binorm.experiments.recipes.classification import ClassificationRecipe

SHARD_BYTES = 8000  # some five pictures


@pytest.fixture
def tree(tmp_path):
    write_photographs(tmp_path / "tree")
    return tmp_path / "tree"


@pytest.fixture
def shards(tree, tmp_path):
    write_shards(IMAGENET.load(tree), tmp_path / "shards", SHARD_BYTES)
    return tmp_path / "shards"


def _read(images, seed=None, rank=0, world_size=1):
    return [(picture.label, picture.read()) for picture in images.pictures(seed, Process(rank, world_size))]


def test_shards_hold_the_same_bytes_and_labels(tree, shards):
    files, data = IMAGENET.load(tree), IMAGENET.load(shards)
    assert data.classes == files.classes == WNIDS
    assert len(list(shards.glob("train-*.tar"))) > 3
    assert sorted(_read(data.train)) == sorted(_read(files.train))
    assert _read(data.evaluation["val"]) == _read(files.evaluation["val"])
    assert [label for label, _ in _read(data.train)] != sorted(label for label, _ in _read(data.train))


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the library leaves closing files to the interpreter
def test_shards_are_webdataset_for_any_reader(tree, shards):
    import webdataset

    urls = sorted(str(path) for path in shards.glob("val-*.tar"))
    samples = list(webdataset.WebDataset(urls, shardshuffle=False).decode("pil").to_tuple("jpeg", "cls"))
    assert [label for _, label in samples] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert samples[0][0].mode == "RGB"
    gc.collect()


def test_writing_twice_gives_the_same_files(tree, shards, tmp_path):
    write_shards(IMAGENET.load(tree), tmp_path / "again", SHARD_BYTES)
    files = sorted(path.name for path in shards.iterdir())
    assert files == sorted(path.name for path in (tmp_path / "again").iterdir())
    assert all((shards / file).read_bytes() == (tmp_path / "again" / file).read_bytes() for file in files)


def test_shards_can_be_written_anew_in_another_size(shards, tmp_path):
    counts = write_shards(IMAGENET.load(shards), tmp_path / "larger", 10**9)
    assert counts == {"train": 1, "val": 1}
    assert sorted(_read(IMAGENET.load(tmp_path / "larger").train)) == sorted(_read(IMAGENET.load(shards).train))


def test_a_seed_shuffles_shards_and_pictures(shards, monkeypatch):
    train = IMAGENET.load(shards).train
    orders = [_read(train, seed) for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    monkeypatch.setattr(encoded, "SHUFFLE_BUFFER", 1)
    unmixed = _read(train, 0)
    assert unmixed not in (_read(train), orders[0])  # the order of shards alone
    assert all(sorted(order) == sorted(unmixed) for order in orders)


@pytest.mark.parametrize("world_size", [1, 2, 3, 7])
def test_processes_get_disjoint_pictures_all_of_them_and_equally_many(tree, shards, world_size):
    train = IMAGENET.load(shards).train
    parts = [_read(train, 5, rank, world_size) for rank in range(world_size)]
    assert sorted(picture for part in parts for picture in part) == sorted(_read(IMAGENET.load(tree).train))
    assert {len(part) for part in parts} <= {24 // world_size, 24 // world_size + 1}


def test_a_process_opens_no_more_shards_than_its_part_touches(shards, monkeypatch):
    train = IMAGENET.load(shards).train
    opened = []
    read = encoded.EncodedShards._read
    monkeypatch.setattr(
        encoded.EncodedShards, "_read", lambda self, shard: opened.append(shard.path.name) or read(self, shard)
    )
    for rank in range(2):
        _read(train, 0, rank, 2)
    assert len(opened) <= len(train.shards) + 1


def test_training_from_shards_depends_on_seed_and_epoch_alone(shards):
    recipe = ClassificationRecipe(
        name="r",
        title="",
        dataset="imagenet",
        model="resnet18",
        epochs=1,
        batch_size=4,
        image_size=16,
        resized_crop=True,
        flip=True,
    )
    epochs = []
    for threads in (1, 4):
        batches = StreamedTrainingBatches(IMAGENET.load(shards), recipe, 0, torch.device("cpu"), threads)
        batches.set_epoch(2)
        epochs.append(list(batches))
    assert len(epochs[0]) == 6
    assert all(torch.equal(x, y) for a, b in zip(*epochs, strict=True) for x, y in zip(a, b, strict=True))


def test_samples_come_from_the_first_shard_alone(shards, tmp_path):
    for path in shards.glob("*-00000[1-9].tar"):
        path.write_bytes(b"\0" * path.stat().st_size)
    write_samples(tmp_path / "samples", IMAGENET.load(shards))
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == ["train.png", "val.png"]


def test_a_folder_in_use_is_refused_and_untouched(tree, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="holds something already"):
        write_shards(IMAGENET.load(tree), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.tex"]


def test_writing_that_fails_leaves_nothing(tree, tmp_path):
    data = IMAGENET.load(tree)
    (tree / "val" / WNIDS[2] / "ILSVRC2012_val_00000008.JPEG").unlink()
    with pytest.raises(UserError, match="cannot read val/n02084071/ILSVRC2012_val_00000008"):
        write_shards(data, tmp_path / "out", SHARD_BYTES)
    assert [path.name for path in tmp_path.iterdir()] == ["tree"]


def test_progress_is_reported_for_every_picture(tree, tmp_path):
    seen = []
    write_shards(IMAGENET.load(tree), tmp_path / "out", report=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 33) for done in range(1, 34)]


def test_pictures_in_memory_need_no_shards(tmp_path):
    images = ImageSet(torch.zeros(2, 4, 4, 3, dtype=torch.uint8), torch.arange(2))
    data = Dataset("small", "", ("a", "b"), images, {"test": images}, (0, 0, 0), (1, 1, 1))
    with pytest.raises(UserError, match="small fits into memory"):
        write_shards(data, tmp_path / "out")


def test_a_missing_index_is_named(shards):
    (shards / INDEX_FILE).unlink()
    with pytest.raises(UserError, match=rf"has shards, but not their {INDEX_FILE}"):
        IMAGENET.load(shards)


@pytest.mark.parametrize(
    "damage",
    [
        lambda index: "{",
        lambda index: "[]",
        lambda index: json.dumps(index | {"format": "other"}),
        lambda index: json.dumps(index | {"splits": {"train": index["splits"]["train"]}}),
    ],
)
def test_a_damaged_index_is_named(shards, damage):
    index = json.loads((shards / INDEX_FILE).read_text())
    (shards / INDEX_FILE).write_text(damage(index))
    with pytest.raises(UserError, match=rf"{INDEX_FILE} is damaged"):
        IMAGENET.load(shards)


def test_a_missing_shard_is_named(shards):
    (shards / "train-000002.tar").unlink()
    with pytest.raises(UserError, match=r"lacks train-000002\.tar"):
        IMAGENET.load(shards)


def test_a_truncated_shard_is_named(shards):
    path = shards / "train-000001.tar"
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(UserError, match=r"train-000001\.tar has 3,000 bytes, expected"):
        IMAGENET.load(shards)


@pytest.mark.parametrize("kept", [0, 2200, 2560])
def test_a_shard_that_breaks_off_inside_is_named_when_it_is_read(shards, kept):
    path = shards / "train-000001.tar"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:kept] + b"\0" * (size - kept))
    data = IMAGENET.load(shards)
    with pytest.raises(UserError, match=r"train-000001\.tar"):
        _read(data.train)


def test_a_label_out_of_range_is_named(shards):
    index = json.loads((shards / INDEX_FILE).read_text())
    (shards / INDEX_FILE).write_text(json.dumps(index | {"classes": list(WNIDS[:2])}))
    with pytest.raises(UserError, match=r"train-.*\.tar has the label b'2', expected 0 to 1"):
        _read(IMAGENET.load(shards).train)


def test_without_webdataset_the_way_to_install_it_is_named(tree, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "webdataset", None)
    with pytest.raises(UserError, match=r"pip install 'binorm\[scale\]'"):
        write_shards(IMAGENET.load(tree), tmp_path / "out")
