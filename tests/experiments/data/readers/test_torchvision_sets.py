import inspect
import io
import shutil
import zipfile
from pathlib import Path

import numpy
import pytest
import torch
import torchvision
from photo_trees import encode, photograph
from PIL import Image
from torchvision_trees import write_eurosat, write_mnist, write_svhn, write_usps

from binorm.experiments.common.errors import UserError
from binorm.experiments.data.readers import image_folder
from binorm.experiments.data.readers.torchvision_sets import TORCHVISION_SETS


@pytest.fixture(autouse=True)
def checksums_of_tiny_sets(monkeypatch):
    for module in ("svhn", "stl10"):
        monkeypatch.setattr(
            f"torchvision.datasets.{module}.check_integrity", lambda file, md5=None: Path(file).exists()
        )


@pytest.fixture
def no_decoding(monkeypatch):
    """Called when nothing should be decoded any more."""

    def forbid():
        monkeypatch.setattr(
            "binorm.experiments.data.readers.torchvision_sets._decode", lambda *arguments: pytest.fail("decoded again")
        )

    return forbid


class FakePhotographs:
    """Stands for a set of photographs of 47 classes, two each, landscape or portrait."""

    broken = ()

    def __init__(self, root, split, partition, download):
        assert download is False
        self.split, self.classes = split, [f"texture {k}" for k in range(47)]
        self._image_files = [Path(root) / f"{split}_{k}.jpg" for k in range(94)]

    def __len__(self):
        return 94

    def __getitem__(self, index):
        if (self.split, index) in self.broken:
            raise OSError("image file is truncated")
        picture = Image.new("RGB", (96, 48) if index % 2 else (48, 96), (255, 0, 0))
        picture.paste((0, index, 0), (24, 0, 72, 48) if index % 2 else (0, 24, 48, 72))
        return picture, index // 2


@pytest.fixture
def fake_textures(tmp_path, monkeypatch):
    monkeypatch.setattr("torchvision.datasets.DTD", FakePhotographs)
    (tmp_path / "dtd").mkdir()
    return tmp_path


@pytest.mark.parametrize("name", TORCHVISION_SETS)
def test_torchvision_offers_every_set_with_these_arguments(name):
    spec = TORCHVISION_SETS[name]
    signature = inspect.signature(getattr(torchvision.datasets, spec.constructor))
    for arguments in spec.splits.values():
        signature.bind("root", **arguments, **({"download": False} if spec.downloads else {}))
    assert list(spec.splits) == list(spec.pictures)
    assert len(spec.names) in (0, spec.classes)
    assert "train" in spec.splits or list(spec.splits) == ["all"]


def test_files_of_a_set_are_decoded_as_all_others(tmp_path):
    write_eurosat(tmp_path)
    turned = photograph(1, (64, 64))
    exif = Image.Exif()
    exif[0x0112] = 3
    for file in tmp_path.rglob("*.jpg"):
        file.write_bytes(encode(turned, exif=exif))
    spec = TORCHVISION_SETS["eurosat"]
    pixels = spec.load(tmp_path, 64).train.images[0].numpy()
    upright = numpy.asarray(Image.open(io.BytesIO(encode(turned))).transpose(Image.Transpose.ROTATE_180))
    assert numpy.array_equal(pixels, upright)
    next(tmp_path.rglob("*.jpg")).write_bytes(b"\xff\x0a of JPEG XL")
    assert next(each.fault for each in spec.examine(tmp_path) if each.fault).startswith("it is a JPEG XL picture")


def test_reads_svhn_as_published(tmp_path, no_decoding):
    written = write_svhn(tmp_path)
    for again in (False, True):
        data = TORCHVISION_SETS["svhn"].load(tmp_path, 0)
        assert torch.equal(data.train.images, torch.from_numpy(written["train"][0]))
        assert data.train.labels.tolist() == written["train"][1]
        assert data.evaluation["test"].labels.tolist() == written["test"][1]
        assert data.classes == tuple("0123456789")
        if not again:
            no_decoding()


def test_changed_files_are_read_again_and_unrelated_ones_are_not_looked_at(tmp_path, no_decoding):
    write_svhn(tmp_path)
    TORCHVISION_SETS["svhn"].load(tmp_path, 0)
    write_svhn(tmp_path, counts=(4, 3))
    assert len(TORCHVISION_SETS["svhn"].load(tmp_path, 0).train) == 4
    (tmp_path / "another set").mkdir()
    no_decoding()
    assert len(TORCHVISION_SETS["svhn"].load(tmp_path, 0).train) == 4


@pytest.mark.parametrize("packed", [False, True])
def test_reads_mnist_with_a_black_frame(tmp_path, packed):
    written = write_mnist(tmp_path / "root")
    path = tmp_path / "root"
    if packed:
        path = Path(shutil.make_archive(str(tmp_path / "mnist"), "zip", path))
    data = TORCHVISION_SETS["mnist"].load(path, 0)
    pixels, labels = written["train"]
    expected = numpy.pad(pixels, ((0, 0), (2, 2), (2, 2)))
    assert torch.equal(data.train.images, torch.from_numpy(expected)[..., None].expand(-1, -1, -1, 3))
    assert data.train.labels.tolist() == labels


def test_mnist_at_its_own_size_has_no_frame(tmp_path):
    written = write_mnist(tmp_path)
    images = TORCHVISION_SETS["mnist"].load(tmp_path, 28).train.images
    assert torch.equal(images[..., 0], torch.from_numpy(written["train"][0]))


def test_emnist_stands_upright_and_its_letters_count_from_zero(tmp_path):
    prefixes = ("emnist-letters-train", "emnist-letters-test")
    written = write_mnist(tmp_path, "EMNIST/raw", prefixes, first_label=1, classes=26)
    data = TORCHVISION_SETS["emnist-letters"].load(tmp_path, 0)
    pixels, labels = written["train"]
    assert torch.equal(data.train.images[:, 2:30, 2:30, 0], torch.from_numpy(pixels.transpose(0, 2, 1).copy()))
    assert data.train.labels.tolist() == labels
    assert data.classes[0] == "a"
    assert {each.label for each in TORCHVISION_SETS["emnist-letters"].examine(tmp_path)} <= set(range(26))


def test_reads_usps(tmp_path):
    write_usps(tmp_path)
    data = TORCHVISION_SETS["usps"].load(tmp_path, 0)
    assert data.train.images[:, 0, 0, 0].tolist() == [0, 255]
    assert data.train.labels.tolist() == [9, 0]


def test_set_without_published_split_gets_the_same_one_every_time(tmp_path):
    write_eurosat(tmp_path)
    first, second = TORCHVISION_SETS["eurosat"].load(tmp_path, 16), TORCHVISION_SETS["eurosat"].load(tmp_path, 32)
    assert list(first.evaluation) == ["test"]
    assert first.evaluation["test"].labels.tolist() == list(range(10))  # a fifth of five
    assert (len(first.train), first.train.images.shape[1:]) == (40, (16, 16, 3))
    assert first.classes[3] == "Land3"
    small = torch.nn.functional.interpolate(second.train.images.permute(0, 3, 1, 2).float(), scale_factor=0.5)
    near = (small.mean((1, 2, 3)) - first.train.images.float().mean((1, 2, 3))).abs()
    assert near.max() < 8  # the same pictures at another size


def test_wrong_number_of_classes_is_an_error(tmp_path):
    write_eurosat(tmp_path, classes=9)
    with pytest.raises(UserError, match="eurosat .* has 9 classes, expected 10"):
        TORCHVISION_SETS["eurosat"].load(tmp_path, 0)


def test_photographs_lose_the_ends_of_their_longer_side(fake_textures):
    data = TORCHVISION_SETS["dtd"].load(fake_textures, 0)
    assert list(data.evaluation) == ["test", "val"]
    assert data.train.images.shape == (94, 64, 64, 3)
    assert data.train.images[:, :, :, 0].float().mean() < 8  # the red ends are gone
    assert data.classes[46] == "texture 46"
    assert data.mean == (0.485, 0.456, 0.406)


def test_class_names_are_kept_beside_the_pictures(fake_textures, monkeypatch):
    TORCHVISION_SETS["dtd"].load(fake_textures, 0)
    monkeypatch.delattr("torchvision.datasets.DTD")
    assert TORCHVISION_SETS["dtd"].load(fake_textures, 0).classes[1] == "texture 1"


def test_broken_training_picture_is_skipped_and_a_broken_test_picture_an_error(fake_textures, monkeypatch):
    monkeypatch.setattr(FakePhotographs, "broken", (("train", 5),))
    data = TORCHVISION_SETS["dtd"].load(fake_textures, 0)
    assert len(data.train) == 93
    assert [Path(file).name for file in data.skipped] == ["train_5.jpg"]
    monkeypatch.setattr(FakePhotographs, "broken", (("train", 5), ("test", 6), ("val", 7)))
    with pytest.raises(UserError, match=r"test_6\.jpg of dtd .* is broken \(image file is truncated\)"):
        TORCHVISION_SETS["dtd"].load(fake_textures, 16)
    broken = [Path(each.name).name for each in TORCHVISION_SETS["dtd"].examine(fake_textures) if each.fault]
    assert broken == ["train_5.jpg", "test_6.jpg", "val_7.jpg"]


def test_more_than_fits_into_memory_is_refused_before_anything_is_decoded(fake_textures, monkeypatch, no_decoding):
    monkeypatch.setattr(image_folder, "MAX_MEMORY_BYTES", 3 * 282 * 100**2)
    no_decoding()
    with pytest.raises(UserError, match=r"282 pictures of 101x101 pixels .* --image_size of at most 100"):
        TORCHVISION_SETS["dtd"].load(fake_textures, 101)


def test_absent_set_says_how_to_get_it(tmp_path):
    with pytest.raises(UserError) as caught:
        TORCHVISION_SETS["svhn"].load(tmp_path, 0)
    message = str(caught.value)
    assert f"'binorm data prepare svhn --data {tmp_path}'" in message
    assert f"torchvision.datasets.SVHN('{tmp_path}', split='train', download=True)" in message
    assert f"torchvision.datasets.SVHN('{tmp_path}', split='test', download=True)" in message
    assert not any(tmp_path.iterdir())


def test_set_that_cannot_be_downloaded_names_its_page(tmp_path):
    with pytest.raises(UserError, match="get it by hand from https://www.kaggle.com"):
        TORCHVISION_SETS["fer2013"].load(tmp_path, 0)
    with pytest.raises(UserError, match="get it by hand from https://www.kaggle.com"):
        TORCHVISION_SETS["fer2013"].download(tmp_path)


def test_damaged_set_is_an_error_with_torchvision_s_reason(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / "MNIST" / "raw" / "t10k-images-idx3-ubyte").write_bytes(b"damaged")
    with pytest.raises(UserError, match="torchvision cannot read mnist .* delete it and get it again"):
        TORCHVISION_SETS["mnist"].load(tmp_path, 0)


def test_label_beyond_the_classes_is_an_error(tmp_path):
    write_mnist(tmp_path, first_label=20)
    with pytest.raises(UserError, match=r"train\[0\] of mnist .* has the label 2\d, expected 0 to 9"):
        TORCHVISION_SETS["mnist"].load(tmp_path, 0)


def test_downloading_asks_torchvision_for_every_split(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("torchvision.datasets.SVHN", lambda root, **arguments: asked.append((root, arguments)))
    TORCHVISION_SETS["svhn"].download(tmp_path / "new")
    assert asked == [(str(tmp_path / "new"), {"split": split, "download": True}) for split in ("train", "test")]


def test_failed_download_is_an_error_that_names_the_page(tmp_path, monkeypatch):
    def fail(root, **arguments):
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.datasets.SVHN", fail)
    with pytest.raises(UserError, match=r"cannot download svhn .*no route to host.* by hand from http://ufldl"):
        TORCHVISION_SETS["svhn"].download(tmp_path)


def test_archive_cannot_write_outside_its_place(tmp_path):
    write_mnist(tmp_path / "root")
    path = Path(shutil.make_archive(str(tmp_path / "mnist"), "zip", tmp_path / "root"))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("MNIST/raw/../../../../escaped", b"")
    folders = []

    class Watching(torchvision.datasets.MNIST):
        def __init__(self, root, **arguments):
            folders.append(Path(root))
            super().__init__(root, **arguments)

        raw_folder = property(lambda self: f"{self.root}/MNIST/raw")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torchvision.datasets.MNIST", Watching)
        TORCHVISION_SETS["mnist"].load(path, 0)
    assert not (folders[0].parents[1] / "escaped").exists()
    assert not (folders[0].parent / "escaped").exists()
    assert not folders[0].exists()  # the temporary folder is gone
