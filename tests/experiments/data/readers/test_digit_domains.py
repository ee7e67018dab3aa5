import shutil
from pathlib import Path

import numpy
import pytest
import torch
from domain_trees import write_bsds500, write_digit_domains, write_usps_arrays
from PIL import Image
from real_data import REAL
from torchvision_trees import write_mnist, write_svhn, write_usps

from binorm.experiments import data
from binorm.experiments.common.errors import UserError
from binorm.experiments.data.readers import digit_domains, mnist_m
from binorm.experiments.data.readers.digit_domains import DIGIT_DOMAINS

DOMAINS = ("mnist", "mnist-m", "usps", "svhn")


@pytest.fixture(autouse=True)
def checksums_of_tiny_sets(monkeypatch):
    monkeypatch.setattr("torchvision.datasets.svhn.check_integrity", lambda file, md5=None: Path(file).exists())


@pytest.fixture
def blended(monkeypatch):
    """How often digits were blended."""
    blend, calls = mnist_m.blend, []
    monkeypatch.setattr(mnist_m, "blend", lambda *arguments: calls.append(1) or blend(*arguments))
    return calls


def _load(path, *domains, size=0):
    return data.load_domains("digit-domains", path, size, only=domains or None).domains


def _resized(pixels, size):
    return numpy.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR))


def test_all_domains_have_one_size_ten_classes_and_their_published_splits(tmp_path):
    write_digit_domains(tmp_path)
    loaded = data.load_domains("digit-domains", tmp_path)
    assert loaded.classes == tuple("0123456789")
    assert loaded.published_split
    assert (loaded.mean, loaded.std) == ((0.5,) * 3, (0.5,) * 3)
    counts = {name: (len(domain.train), len(domain.test)) for name, domain in loaded.domains.items()}
    assert counts == {"mnist": (6, 6), "mnist-m": (6, 6), "usps": (12, 4), "svhn": (7, 5)}
    for domain in loaded.domains.values():
        assert domain.train.images.shape[1:] == (28, 28, 3)
        assert domain.train.images.dtype == torch.uint8


def test_plain_loading_mixes_all_domains(tmp_path):
    write_digit_domains(tmp_path)
    loaded = data.load("digit-domains", tmp_path)
    assert len(loaded.train) == 6 + 6 + 12 + 7
    assert list(loaded.evaluation) == list(DOMAINS)


def test_mnist_keeps_its_pixels_without_a_frame_and_is_resized_whole(tmp_path):
    pixels, labels = write_mnist(tmp_path)["test"]
    test = _load(tmp_path, "mnist")["mnist"].test
    assert numpy.array_equal(test.images.numpy(), numpy.repeat(pixels[..., None], 3, -1))
    assert test.labels.tolist() == labels
    larger = _load(tmp_path, "mnist", size=32)["mnist"].test
    assert numpy.array_equal(larger.images[0, ..., 1].numpy(), _resized(pixels[0], 32))


def test_mnist_m_is_blended_from_mnist_and_photographs(tmp_path):
    write_mnist(tmp_path)
    write_bsds500(tmp_path)
    domains = _load(tmp_path, "mnist", "mnist-m")
    with digit_domains.open_tree(tmp_path / "BSDS500") as tree:
        photographs = mnist_m.read_photographs(tree)
    for split, seed in mnist_m.SEEDS.items():
        digits, mixed = getattr(domains["mnist"], split), getattr(domains["mnist-m"], split)
        expected = mnist_m.blend(digits.images[..., 0].numpy(), photographs, seed)
        assert numpy.array_equal(mixed.images.numpy(), expected)
        assert torch.equal(mixed.labels, digits.labels)
    resized = _load(tmp_path, "mnist-m", size=14)["mnist-m"].train.images[2].numpy()
    assert numpy.array_equal(resized, _resized(domains["mnist-m"].train.images[2].numpy(), 14))


def test_mnist_m_is_made_once(tmp_path, blended):
    write_mnist(tmp_path)
    write_bsds500(tmp_path)
    first, second, _ = (_load(tmp_path, "mnist-m", size=size)["mnist-m"] for size in (0, 0, 20))
    assert len(blended) == 2
    assert torch.equal(first.train.images, second.train.images)
    (tmp_path / "BSDS500/data/images/train/0.jpg").unlink()
    _load(tmp_path, "mnist-m")
    assert len(blended) == 4


@pytest.mark.parametrize("place", ["BSR_bsds500.tgz", "BSR", "BSDS500", "photos.zip", "photos"])
def test_photographs_may_be_packed_or_not(tmp_path, place):
    name = place.split(".")[0].replace("BSR_bsds500", "BSR")
    layout = {"BSR": "BSDS500/data/images", "BSDS500": "data/images", "photos": "bsds500"}[name]
    write_mnist(tmp_path)
    write_bsds500(tmp_path / name, layout)
    if "." in place:
        made = shutil.make_archive(
            str(tmp_path / "made"), {"tgz": "gztar", "zip": "zip"}[place.split(".")[1]], tmp_path, name
        )
        Path(made).rename(tmp_path / place)
        shutil.rmtree(tmp_path / name)
    assert DIGIT_DOMAINS.names_at(tmp_path) == ("mnist", "mnist-m")
    assert len(_load(tmp_path, "mnist-m")["mnist-m"].train) == 6


@pytest.mark.parametrize("packed", [False, True])
def test_torchvision_s_sets_may_lie_in_folders_and_archives_of_their_own(tmp_path, packed):
    for domain, write in (("mnist", write_mnist), ("svhn", write_svhn)):
        write(tmp_path / domain)
        if packed:
            shutil.make_archive(str(tmp_path / domain), "zip", tmp_path / domain)
            shutil.rmtree(tmp_path / domain)
    assert list(_load(tmp_path, "mnist", "svhn")) == ["mnist", "svhn"]


def test_a_damaged_archive_hides_no_whole_folder(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / "mnist.zip").write_bytes(b"no archive")
    assert list(_load(tmp_path, "mnist")) == ["mnist"]


def test_usps_is_resized_from_its_own_size(tmp_path):
    arrays = write_usps_arrays(tmp_path)
    usps = _load(tmp_path, "usps")["usps"]
    expected = [_resized(digit, 28) for digit in arrays["train_images"]]
    assert numpy.array_equal(usps.train.images[..., 2].numpy(), expected)
    own = _load(tmp_path, "usps", size=16)["usps"]
    assert numpy.array_equal(own.test.images[..., 0].numpy(), arrays["test_images"])


def test_usps_may_be_torchvision_s(tmp_path):
    write_usps(tmp_path)
    usps = _load(tmp_path, "usps")["usps"]
    assert usps.train.images.shape == (2, 28, 28, 3)
    assert usps.train.images.flatten(1).float().mean(1).tolist() == [0, 255]
    assert usps.train.labels.tolist() == [9, 0]


def test_svhn_is_resized_from_its_own_size(tmp_path):
    pixels, labels = write_svhn(tmp_path)["train"]
    svhn = _load(tmp_path, "svhn")["svhn"]
    assert numpy.array_equal(svhn.train.images.numpy(), [_resized(digit, 28) for digit in pixels])
    assert svhn.train.labels.tolist() == labels


@pytest.mark.parametrize("domain", DOMAINS)
def test_absent_domains_are_named_with_what_was_expected(tmp_path, domain):
    with pytest.raises(UserError) as caught:
        _load(tmp_path, domain)
    assert f"the digits of {domain} are not at {tmp_path}: expected {digit_domains.FILES[domain]}" in str(caught.value)


def test_unknown_domains_get_the_nearest(tmp_path):
    with pytest.raises(UserError, match="unknown domain of digit-domains 'mnistm', did you mean 'mnist-m'"):
        _load(tmp_path, "mnistm")


def test_a_file_is_not_the_folder_that_is_needed(tmp_path):
    file = tmp_path / "usps.npz"
    file.touch()
    with pytest.raises(UserError, match=r"read from a folder, which .*usps\.npz is not: expected mnist as MNIST/raw"):
        _load(file, "usps")


def test_too_many_pictures_for_memory_are_refused(tmp_path):
    write_mnist(tmp_path)
    with pytest.raises(UserError, match="70,000 pictures of 224x224 pixels .* choose an --image_size of at most 202"):
        _load(tmp_path, "mnist", size=224)


def test_a_folder_with_two_domains_is_found(tmp_path):
    write_mnist(tmp_path)
    assert not DIGIT_DOMAINS.is_present(tmp_path)
    assert DIGIT_DOMAINS.find(tmp_path) is None
    write_usps_arrays(tmp_path)
    assert DIGIT_DOMAINS.names_at(tmp_path) == ("mnist", "usps")
    assert DIGIT_DOMAINS.find(tmp_path) == tmp_path
    assert data.domain_names("digit-domains", tmp_path) == DOMAINS


def test_every_digit_of_the_domains_that_are_there_is_examined(tmp_path):
    write_digit_domains(tmp_path)
    shutil.rmtree(tmp_path / "MNIST")
    found = list(DIGIT_DOMAINS.examine(tmp_path))
    splits = [each.split for each in found]
    assert {split: splits.count(split) for split in splits} == {
        "usps train": 12,
        "usps test": 4,
        "svhn train": 7,
        "svhn test": 5,
    }
    assert found[0].name == "usps train[0]"
    assert not any(each.fault for each in found)


@pytest.mark.skipif(not (REAL / "photos.zip").exists(), reason="the real digits and photographs are not here")
def test_real_domains_are_all_there_but_svhn():
    assert DIGIT_DOMAINS.names_at(REAL) == ("mnist", "mnist-m", "usps")
