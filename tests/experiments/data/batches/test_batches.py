import pytest
import torch

from binorm.experiments.common.errors import UserError
from binorm.experiments.data.batches.batches import (
    EvaluationBatches,
    TrainingBatches,
    evaluation_batches,
    training_batches,
)
from binorm.experiments.data.dataset import Dataset, ImageSet
from binorm.experiments.recipes.classification import ClassificationRecipe

CPU = torch.device("cpu")


def _recipe(**fields):
    return ClassificationRecipe(name="r", title="", dataset="random", model="resnet20", epochs=1, **fields)


def _dataset(count=10, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)):
    images = torch.randint(1, 256, (count, 6, 4, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pictures = ImageSet(images, torch.arange(count))
    return Dataset("random", "nowhere", tuple("abc"), pictures, {"test": pictures}, mean, std)


def _training(dataset, **changes):
    seed = changes.pop("seed", 0)
    fields = {"batch_size": 4, "crop_padding": 2, "flip": True} | changes
    return TrainingBatches(
        dataset,
        _recipe(**fields),
        seed,
        CPU,
    )


def test_an_epoch_holds_every_picture_at_most_once_in_whole_batches():
    batches = list(_training(_dataset()))
    labels = torch.cat([labels for _, labels in batches])
    assert [len(labels) for _, labels in batches] == [4, 4]
    assert len(labels.unique()) == 8


def test_an_epoch_depends_on_seed_and_number_alone():
    first, again = _training(_dataset()), _training(_dataset())
    first.set_epoch(3)
    list(again)
    torch.manual_seed(7)
    again.set_epoch(3)
    for (x, labels), (x_again, labels_again) in zip(first, again, strict=True):
        assert torch.equal(x, x_again)
        assert torch.equal(labels, labels_again)


@pytest.mark.parametrize("change", [{"epoch": 1}, {"seed": 1}])
def test_another_epoch_or_seed_is_another_order(change):
    base, other = _training(_dataset()), _training(_dataset(), seed=change.get("seed", 0))
    other.set_epoch(change.get("epoch", 0))
    assert any(not torch.equal(a, b) for (_, a), (_, b) in zip(base, other, strict=True))


def test_without_augmentation_pictures_are_normalized_and_otherwise_unchanged():
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
    dataset = _dataset(mean=mean, std=std)
    for x, labels in _training(dataset, crop_padding=0, flip=False):
        expected = (dataset.train.images[labels] / 255 - torch.tensor(mean)) / torch.tensor(std)
        torch.testing.assert_close(x, expected.permute(0, 3, 1, 2))
        assert x.is_contiguous(memory_format=torch.channels_last)


def test_crops_and_flips_are_windows_of_the_padded_picture_and_all_occur():
    dataset = _dataset()
    batches = _training(dataset)
    padded = torch.nn.functional.pad(dataset.train.images, (0, 0, 2, 2, 2, 2)).permute(0, 3, 1, 2)
    seen = set()
    for epoch in range(120):
        batches.set_epoch(epoch)
        for x, labels in batches:
            for picture, label in zip((x * 255).round().to(torch.uint8), labels, strict=True):
                seen.add(_place(picture, padded[label]))
    assert len(seen) == 5 * 5 * 2


def test_mirrored_edges_are_what_lies_within_them():
    dataset = _dataset()
    images = dataset.train.images.permute(0, 3, 1, 2)
    padded = torch.nn.functional.pad(images.float(), (2, 2, 2, 2), mode="reflect").byte()
    for x, labels in _training(dataset, padding="mirrored"):
        for picture, label in zip((x * 255).round().to(torch.uint8), labels, strict=True):
            _place(picture, padded[label])


def test_mirrored_edges_wider_than_the_picture_are_refused():
    with pytest.raises(UserError, match="crop_padding 4 with mirrored padding .* 4x6"):
        _training(_dataset(), padding="mirrored", crop_padding=4)


def _place(picture, padded):
    for row in range(5):
        for column in range(5):
            window = padded[:, row : row + 6, column : column + 4]
            for flipped in (False, True):
                if torch.equal(picture, window.flip(2) if flipped else window):
                    return row, column, flipped
    raise AssertionError("not a window of its picture")


def test_evaluation_goes_in_order_with_one_batch_shape():
    batches = list(EvaluationBatches(_dataset().evaluation["test"], _dataset(), 4, CPU))
    assert [count for _, _, count in batches] == [4, 4, 2]
    assert {tuple(x.shape) for x, _, _ in batches} == {(4, 3, 6, 4)}
    assert torch.cat([labels[:count] for _, labels, count in batches]).tolist() == list(range(10))


def _photographs(size=(12, 16)):
    """Pictures whose red is the column and whose green is the row, in steps of 10."""
    height, width = size
    image = torch.zeros(height, width, 3, dtype=torch.uint8)
    image[..., 0], image[..., 1] = 10 * torch.arange(width), 10 * torch.arange(height)[:, None]
    images = ImageSet(image.expand(8, -1, -1, -1).contiguous(), torch.arange(8))
    return Dataset("ramps", "nowhere", tuple("abcdefgh"), images, {"test": images}, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def test_resized_crops_in_memory_are_random_parts_mirrored_half_of_the_time():
    batches = _training(_photographs(), crop_padding=0, resized_crop=True, image_size=6)
    mirrored, widths = 0, []
    for epoch in range(20):
        batches.set_epoch(epoch)
        for x, _ in batches:
            assert x.shape == (4, 3, 6, 6)
            assert x.is_contiguous(memory_format=torch.channels_last)
            step = (x[:, 0, 2, 3] - x[:, 0, 2, 2]) * 255 / 10 * 6  # the width of the part, in pixels of the picture
            mirrored += int((step < 0).sum())
            widths += step.abs().tolist()
            assert float(x.min()) >= 0
            assert float(x[:, 0].max()) <= 150 / 255 + 1e-5
            torch.testing.assert_close(x[:, 1, :, 0], x[:, 1, :, 5])
    assert 50 < mirrored < 110
    assert min(widths) > 0.9 * (0.08 * 12 * 16 * 0.75) ** 0.5
    assert 12 < max(widths) <= 16.01


def test_resized_crops_in_memory_depend_on_seed_and_epoch_alone():
    first, again = (_training(_photographs(), crop_padding=0, resized_crop=True, image_size=6) for _ in range(2))
    first.set_epoch(1)
    list(again)
    again.set_epoch(1)
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(first, again, strict=True))


def test_evaluation_batches_are_of_equal_size_and_small_enough_for_a_cpu():
    images = torch.zeros(130, 64, 64, 3, dtype=torch.uint8)
    dataset = Dataset("r", "", ("a",), ImageSet(images, torch.zeros(130, dtype=torch.int64)), {}, (0,) * 3, (1,) * 3)
    recipe = _recipe()
    batches = list(evaluation_batches(dataset.train, dataset, recipe, CPU))
    assert [len(pictures) for pictures, _, _ in batches] == [44, 44, 44]  # of at most 64
    assert [count for _, _, count in batches] == [44, 44, 42]


def test_pictures_in_memory_of_another_size_are_brought_to_the_recipes():
    dataset = _photographs()
    recipe = ClassificationRecipe(
        name="r", title="", dataset="ramps", model="resnet20", epochs=1, batch_size=4, image_size=8
    )
    x, _ = next(iter(training_batches(dataset, recipe, 0, CPU)))
    pictures, _, count = next(iter(evaluation_batches(dataset.evaluation["test"], dataset, recipe, CPU)))
    assert x.shape == (4, 3, 8, 8)
    assert (len(pictures), count) == (8, 8)
    torch.testing.assert_close(pictures[:4], x)
    torch.testing.assert_close(x[0, 0, 3, 2:6] * 255, torch.tensor([45.0, 65.0, 85.0, 105.0]), atol=1, rtol=0)
