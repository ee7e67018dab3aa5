import io
import threading

import pytest
import torch
from photo_trees import WNIDS, encode, photograph, write_photographs
from PIL import Image

from binorm.experiments.common.errors import UserError
from binorm.experiments.data.batches.batches import evaluation_batches, training_batches
from binorm.experiments.data.batches.evaluation_check import check_evaluation_pictures
from binorm.experiments.data.batches.streaming import (
    StreamedEvaluationBatches,
    StreamedTrainingBatches,
)
from binorm.experiments.data.batches.transforms import CentreCrop
from binorm.experiments.data.processes import default_threads, this_process
from binorm.experiments.data.readers.imagenet import IMAGENET
from binorm.experiments.recipes.classification import ClassificationRecipe

CPU = torch.device("cpu")
RECIPE = {
    "name": "photographs",
    "title": "",
    "dataset": "imagenet",
    "model": "resnet18",
    "epochs": 1,
    "batch_size": 5,
    "image_size": 24,
    "resized_crop": True,
    "flip": True,
}


@pytest.fixture(autouse=True)
def _one_process(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def tree(tmp_path):
    write_photographs(tmp_path)
    return tmp_path


def _training(tree, seed=0, threads=2, **changes):
    return StreamedTrainingBatches(IMAGENET.load(tree), ClassificationRecipe(**RECIPE | changes), seed, CPU, threads)


def _evaluation(tree, **changes):
    dataset = IMAGENET.load(tree)
    return StreamedEvaluationBatches(
        dataset.evaluation["val"], dataset, ClassificationRecipe(**RECIPE | changes), CPU, 2
    )


def _epoch(batches, epoch=0):
    batches.set_epoch(epoch)
    pictures, labels = zip(*batches, strict=True)
    return torch.cat(pictures), torch.cat(labels)


def _same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def _names(batches):
    """The names of the pictures that an epoch decodes."""
    names = []
    transform = batches.transform
    entries = batches._entries

    def noting(*arguments):
        for position, picture in entries(*arguments):
            names.append(picture.name)
            yield position, picture

    batches._entries, batches.transform = noting, transform
    list(batches)
    return names


def test_batches_have_the_form_that_networks_train_on(tree):
    batches = _training(tree)
    assert len(batches) == 4  # 24 pictures; the last four are left out
    for pictures, labels in batches:
        assert pictures.shape == (5, 3, 24, 24)
        assert pictures.dtype == torch.float32
        assert pictures.is_contiguous(memory_format=torch.channels_last)
        assert labels.dtype == torch.int64


@pytest.mark.parametrize("resized_crop", [True, False])
def test_any_number_of_threads_gives_the_same_bits(tree, resized_crop):
    changes = {"resized_crop": resized_crop, "crop_padding": 0 if resized_crop else 2}
    assert _same(_epoch(_training(tree, threads=1, **changes)), _epoch(_training(tree, threads=4, **changes)))


def test_a_resumed_run_sees_what_the_uninterrupted_one_saw(tree):
    uninterrupted = _training(tree)
    for epoch in range(3):
        _epoch(uninterrupted, epoch)
    torch.manual_seed(7)
    assert _same(_epoch(uninterrupted, 3), _epoch(_training(tree), 3))


@pytest.mark.parametrize(("seed", "epoch"), [(0, 1), (1, 0)])
def test_another_epoch_or_seed_is_another_order_and_augmentation(tree, seed, epoch):
    assert not _same(_epoch(_training(tree)), _epoch(_training(tree, seed), epoch))


def test_an_epoch_holds_every_picture_once(tree):
    names = _names(_training(tree, batch_size=6))
    assert len(names) == len(set(names)) == 24


def test_the_processes_of_a_run_share_the_pictures_and_get_equally_many_batches(tree, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "5")
    seen, lengths = [], set()
    for rank in range(5):
        monkeypatch.setenv("RANK", str(rank))
        batches = _training(tree, batch_size=2)
        names = _names(batches)
        seen += names
        lengths.add(len(batches))
        assert len(names) == 4
    assert lengths == {2}
    assert len(seen) == len(set(seen)) == 20


def test_a_process_number_out_of_range_is_named(monkeypatch):
    monkeypatch.setenv("RANK", "3")
    with pytest.raises(UserError, match="RANK=3 and WORLD_SIZE=1"):
        this_process()


def test_cores_are_shared_among_the_processes_of_a_machine(monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1000")
    assert default_threads() == 1


def test_a_broken_training_picture_is_named_and_another_takes_its_place(tree):
    whole = _epoch(_training(tree))[1]
    broken = tree / "train" / "n01440764" / "n01440764_3.JPEG"
    broken.write_bytes(broken.read_bytes()[:60])
    batches = _training(tree)
    pictures, labels = _epoch(batches)
    _epoch(batches, 1)
    assert batches.skipped == ("train/n01440764/n01440764_3.JPEG",)
    assert len(pictures) == len(whole)
    assert _same(_epoch(_training(tree, threads=4)), (pictures, labels))


def test_damaged_metadata_neither_warns_nor_breaks_a_picture(tree):
    damaged = encode(photograph(0), exif=b"Exif\0\0II*\0\x08\0\0\0\x03\0\x28\x01\x03\0")
    (tree / "val" / WNIDS[0] / "ILSVRC2012_val_00000000.JPEG").write_bytes(damaged)
    with pytest.warns(UserWarning, match="EXIF"):
        Image.open(io.BytesIO(damaged))
    assert len(list(_evaluation(tree))) == 2


def test_the_number_of_batches_stays_when_an_epoch_runs_out_of_pictures(tree):
    for k in range(7):
        (tree / "train" / "n01440764" / f"n01440764_{k}.JPEG").write_bytes(b"nothing")
    batches = _training(tree)
    assert len(list(batches)) == len(batches) == 4
    assert len(batches.skipped) == 7


def test_a_training_set_without_one_readable_picture_is_an_error(tree):
    for path in (tree / "train").rglob("*.JPEG"):
        path.write_bytes(b"nothing")
    with pytest.raises(UserError, match="none of 24 training pictures can be decoded, such as train/"):
        list(_training(tree))


def test_a_training_picture_that_vanished_is_an_error_in_the_consumer(tree):
    batches = _training(tree)
    (tree / "train" / "n01440764" / "n01440764_3.JPEG").unlink()
    with pytest.raises(UserError, match=r"cannot read train/n01440764/n01440764_3\.JPEG"):
        list(batches)


def test_broken_evaluation_pictures_are_found_before_training(tree):
    check_evaluation_pictures(IMAGENET.load(tree))
    cut = tree / "val" / "n01443537" / "ILSVRC2012_val_00000004.JPEG"
    cut.write_bytes(cut.read_bytes()[:-30])
    (tree / "val" / "n02084071" / "ILSVRC2012_val_00000006.JPEG").write_bytes(b"no picture")
    with pytest.raises(UserError) as caught:
        check_evaluation_pictures(IMAGENET.load(tree))
    message = str(caught.value)
    assert message.startswith("2 of the 9 pictures of val in ")
    assert "val/n01443537/ILSVRC2012_val_00000004.JPEG (" in message
    assert "val/n02084071/ILSVRC2012_val_00000006.JPEG (not a picture). Evaluation needs every picture" in message


def test_evaluation_pictures_are_checked_once(tree, monkeypatch):
    dataset = IMAGENET.load(tree)
    check_evaluation_pictures(dataset)
    monkeypatch.setattr(type(dataset.evaluation["val"]), "pictures", lambda *_: pytest.fail("looked again"))
    check_evaluation_pictures(dataset)


def test_a_broken_evaluation_picture_is_an_error_that_names_it(tree):
    (tree / "val" / "n01443537" / "ILSVRC2012_val_00000004.JPEG").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"val/n01443537/ILSVRC2012_val_00000004\.JPEG .* broken \(not a picture\)"):
        list(_evaluation(tree))


@pytest.mark.parametrize(("resized_crop", "short_side"), [(True, 27), (False, 24)])
def test_evaluation_goes_in_order_with_one_batch_shape(tree, resized_crop, short_side):
    written = write_photographs(tree)
    batches = list(_evaluation(tree, resized_crop=resized_crop))
    assert [count for _, _, count in batches] == [5, 4]
    assert {tuple(pictures.shape) for pictures, _, _ in batches} == {(5, 3, 24, 24)}
    assert torch.cat([labels[:count] for _, labels, count in batches]).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert torch.equal(batches[1][0][4], batches[1][0][0])
    pixels = CentreCrop(24, short_side)(written["val/n01440764/ILSVRC2012_val_00000002.JPEG"])
    mean, std = torch.tensor((0.485, 0.456, 0.406)), torch.tensor((0.229, 0.224, 0.225))
    expected = (torch.from_numpy(pixels.copy()) / 255 - mean) / std
    torch.testing.assert_close(batches[0][0][2], expected.permute(2, 0, 1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("how", ["break", "error"])
def test_leaving_early_leaves_no_threads(tree, how):
    def leave():
        for _ in _training(tree, batch_size=2):
            if how == "break":
                break
            raise KeyboardInterrupt

    if how == "error":
        with pytest.raises(KeyboardInterrupt):
            leave()
    else:
        leave()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("binorm")]


def test_the_recipe_chooses_batches_by_where_the_pictures_are(tree):
    dataset, recipe = IMAGENET.load(tree), ClassificationRecipe(**RECIPE)
    assert isinstance(training_batches(dataset, recipe, 0, CPU), StreamedTrainingBatches)
    assert isinstance(evaluation_batches(dataset.evaluation["val"], dataset, recipe, CPU), StreamedEvaluationBatches)
