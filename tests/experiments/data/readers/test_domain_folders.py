import shutil

import numpy
import pytest
import torch
from domain_trees import PACS, packed, write_domains, write_split_lists
from PIL import Image
from real_data import REAL

from binorm.experiments import data
from binorm.experiments.common.errors import UserError
from binorm.experiments.data.readers import domain_folders, image_folder
from binorm.experiments.data.readers.domain_folders import FOLDER_SETS

PACS_ZIP = REAL / "pacs.zip"


@pytest.fixture
def decoded(monkeypatch):
    """The files that were decoded."""
    read, files = domain_folders.read_pictures, []

    def noted(tree, labelled, *arguments, **keywords):
        files.extend(file for file, _ in labelled)
        return read(tree, labelled, *arguments, **keywords)

    monkeypatch.setattr(domain_folders, "read_pictures", noted)
    return files


def _counts(domain_set):
    return {name: (len(domain.train), len(domain.test)) for name, domain in domain_set.domains.items()}


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_domains_share_classes_and_keep_a_fifth_of_each_for_testing(tmp_path, kind):
    write_domains(tmp_path / "data", layout="PACS/{domain}/{kind}")
    loaded = data.load_domains("pacs", packed(tmp_path / "data", kind), 8)
    assert loaded.classes == ("dog", "house")
    assert _counts(loaded) == dict.fromkeys(PACS, (8, 2))
    for domain in loaded.domains.values():
        assert domain.train.images.shape == (8, 8, 8, 3)
        assert domain.test.labels.tolist() == [0, 1]
    assert not loaded.published_split
    assert loaded.skipped == ()
    assert loaded.mean == (0.485, 0.456, 0.406)


def test_pictures_are_resized_whole(tmp_path):
    write_domains(tmp_path, per_class=2)
    photo = data.load_domains("pacs", tmp_path, 6, only=["photo"]).domains["photo"]
    files = [tmp_path / "photo" / kind / f"{number:03}.png" for kind in ("dog", "house") for number in (1, 2)]
    expected = []
    for file in files:
        with Image.open(file) as picture:
            expected.append(numpy.asarray(picture.resize((6, 6), Image.Resampling.BILINEAR)).tobytes())
    together = torch.cat([photo.train.images, photo.test.images])
    assert sorted(each.numpy().tobytes() for each in together) == sorted(expected)


def test_the_usual_size_is_that_of_pretrained_networks(tmp_path):
    write_domains(tmp_path, per_class=2)
    loaded = data.load_domains("pacs", tmp_path, only=["photo"])
    assert loaded.domains["photo"].train.images.shape[1:3] == (224, 224)


def test_the_split_does_not_depend_on_what_else_is_used(tmp_path):
    write_domains(tmp_path, {**dict.fromkeys(PACS, ("dog", "house")), "photo": ("cat", "dog", "house")}, per_class=10)
    alone = data.load_domains("pacs", tmp_path, 8, only=["photo"])
    shared = data.load_domains("pacs", tmp_path, 8, shared_classes=True)
    assert alone.classes == ("cat", "dog", "house")
    assert shared.classes == ("dog", "house")
    kept = alone.domains["photo"].test.labels > 0
    assert torch.equal(alone.domains["photo"].test.images[kept], shared.domains["photo"].test.images)
    assert torch.equal(alone.domains["photo"].test.labels[kept] - 1, shared.domains["photo"].test.labels)


def test_only_the_named_domains_are_decoded_or_need_be_there(tmp_path, decoded):
    write_domains(tmp_path)
    shutil.rmtree(tmp_path / "cartoon")
    (tmp_path / "sketch" / "dog" / "001.png").write_bytes(b"no picture")
    (tmp_path / "sketch" / "stray.png").write_bytes(b"in no class")
    loaded = data.load_domains("pacs", tmp_path, 8, only=["photo", "art_painting"])
    assert list(loaded.domains) == ["art_painting", "photo"]
    assert loaded.skipped == ()
    assert {file.split("/")[0] for file in decoded} == {"art_painting", "photo"}


def test_each_domain_is_decoded_once_for_each_size(tmp_path, decoded):
    write_domains(tmp_path)
    for only in (["photo"], ["photo", "sketch"], ["sketch"]):
        data.load_domains("pacs", tmp_path, 8, only=only)
    assert len(decoded) == 20
    write_domains(tmp_path, ("cartoon",), per_class=6)  # another domain changes nothing
    data.load_domains("pacs", tmp_path, 8, shared_classes=True, only=["photo", "sketch"])
    assert len(decoded) == 20
    data.load_domains("pacs", tmp_path, 9, only=["photo"])
    assert len(decoded) == 30


def test_a_changed_picture_is_decoded_anew(tmp_path, decoded):
    write_domains(tmp_path)
    data.load_domains("pacs", tmp_path, 8, only=["photo"])
    Image.new("RGB", (40, 40)).save(tmp_path / "photo" / "dog" / "001.png")
    data.load_domains("pacs", tmp_path, 8, only=["photo"])
    assert len(decoded) == 20


def test_cached_domains_equal_decoded_ones(tmp_path):
    write_domains(tmp_path)
    first, second = (data.load_domains("pacs", tmp_path, 8) for _ in range(2))
    for name in PACS:
        for part in ("train", "test"):
            before, after = getattr(first.domains[name], part), getattr(second.domains[name], part)
            assert torch.equal(before.images, after.images)
            assert torch.equal(before.labels, after.labels)


def test_broken_pictures_without_a_split_are_left_out_and_named(tmp_path):
    write_domains(tmp_path)
    for number in (1, 2):
        (tmp_path / "sketch" / "dog" / f"00{number}.png").write_bytes(b"no picture")
    loaded = data.load_domains("pacs", tmp_path, 8)
    assert loaded.skipped == ("sketch/dog/001.png", "sketch/dog/002.png")
    assert _counts(loaded)["sketch"] == (6, 2)
    assert data.load("pacs", tmp_path, 8).skipped == loaded.skipped


def test_a_domain_of_broken_pictures_is_named(tmp_path):
    write_domains(tmp_path)
    for file in (tmp_path / "sketch").rglob("*.png"):
        file.write_bytes(b"no picture")
    with pytest.raises(UserError, match="the domain sketch of pacs: none of the 10 pictures .* can be decoded"):
        data.load_domains("pacs", tmp_path, 8)


def test_published_lists_are_the_split_and_their_test_pictures_must_be_whole(tmp_path):
    write_domains(tmp_path, ("clipart", "real"))
    for domain in ("clipart", "real"):
        write_split_lists(tmp_path, domain, test_numbers=(2, 3))
    only = ["clipart", "real"]
    (tmp_path / "real" / "dog" / "001.png").write_bytes(b"no picture")
    loaded = data.load_domains("domainnet", tmp_path, 8, only=only)
    assert loaded.published_split
    assert _counts(loaded) == {"clipart": (6, 4), "real": (5, 4)}
    assert loaded.skipped == ("real/dog/001.png",)
    (tmp_path / "real" / "dog" / "002.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"the domain real of domainnet: real/dog/002\.png .* is broken"):
        data.load_domains("domainnet", tmp_path, 8, only=only)


def test_a_split_published_for_some_domains_is_an_error(tmp_path):
    write_domains(tmp_path, ("clipart", "real"))
    write_split_lists(tmp_path, "real")
    assert data.load_domains("domainnet", tmp_path, 8, only=["real"]).published_split
    assert not data.load_domains("domainnet", tmp_path, 8, only=["clipart"]).published_split
    with pytest.raises(UserError, match="has a split of real, but none of clipart"):
        data.load_domains("domainnet", tmp_path, 8, only=["clipart", "real"])


def test_different_classes_are_an_error_unless_the_shared_ones_are_wanted(tmp_path):
    classes = {**dict.fromkeys(PACS, ("dog", "house")), "sketch": ("dog", "owl")}
    write_domains(tmp_path, classes)
    with pytest.raises(UserError, match="photo lacks owl; sketch lacks house. --shared-classes keeps the 1"):
        data.load_domains("pacs", tmp_path, 8)
    with pytest.raises(UserError, match="have different classes"):
        data.load("pacs", tmp_path, 8)
    loaded = data.load_domains("pacs", tmp_path, 8, shared_classes=True)
    assert loaded.classes == ("dog",)
    assert _counts(loaded) == dict.fromkeys(PACS, (4, 1))
    assert data.load_domains("pacs", tmp_path, 8, only=["photo", "cartoon"]).classes == ("dog", "house")


def test_no_shared_classes_are_an_error(tmp_path):
    write_domains(tmp_path, {"photo": ("dog",), "sketch": ("owl",)})
    with pytest.raises(UserError, match="no class is in all of the domains photo, sketch"):
        data.load_domains("pacs", tmp_path, 8, shared_classes=True, only=["photo", "sketch"])


def test_unknown_absent_and_empty_domains_are_named(tmp_path):
    write_domains(tmp_path, PACS[:3])
    with pytest.raises(UserError, match="unknown domain of pacs 'foto', did you mean 'photo'"):
        data.load_domains("pacs", tmp_path, 8, only=["foto"])
    for _ in ("absent", "empty"):
        with pytest.raises(UserError, match="no pictures of the domain sketch: expected sketch/<class>/<picture>.jpg"):
            data.load_domains("pacs", tmp_path, 8)
        (tmp_path / "sketch" / "dog").mkdir(parents=True, exist_ok=True)


def test_too_many_pictures_for_memory_are_refused_before_any_is_decoded(tmp_path, decoded, monkeypatch):
    write_domains(tmp_path)
    monkeypatch.setattr(image_folder, "MAX_MEMORY_BYTES", 3 * 39 * 64)
    assert data.load_domains("pacs", tmp_path, 8, only=PACS[:3])
    decoded.clear()
    with pytest.raises(UserError, match="40 pictures of 8x8 pixels .* choose an --image_size of at most 7"):
        data.load_domains("pacs", tmp_path, 8)
    assert not decoded


def test_plain_loading_mixes_all_domains(tmp_path):
    write_domains(tmp_path)
    loaded = data.load("pacs", tmp_path, 8)
    assert len(loaded.train) == 32
    assert {name: len(pictures) for name, pictures in loaded.evaluation.items()} == dict.fromkeys(PACS, 2)


def test_own_domains_have_their_folders_names(tmp_path):
    write_domains(tmp_path, ("winter", "summer"), ("oak", "pine"), layout="trees/{domain}/{kind}")
    assert data.domain_names("domains", tmp_path) == ("summer", "winter")
    loaded = data.load_domains("domains", tmp_path, 8)
    assert list(loaded.domains) == ["summer", "winter"]
    assert loaded.classes == ("oak", "pine")
    with pytest.raises(UserError, match="unknown domain of domains 'wintr', did you mean 'winter'"):
        data.load_domains("domains", tmp_path, 8, only=["wintr"])


def test_domains_may_have_any_names(tmp_path):
    write_domains(tmp_path, ("été [1]", "x" * 200), per_class=2)
    assert len(data.load_domains("domains", tmp_path, 8).domains) == 2


@pytest.mark.skipif(not PACS_ZIP.exists(), reason="the real pictures are not here")
def test_real_pictures_are_all_found():
    counts = {"art_painting": 2048, "cartoon": 2344, "photo": 1670, "sketch": 3929}
    with domain_folders.open_tree(PACS_ZIP) as tree:
        found = domain_folders.find_domains(tree, FOLDER_SETS["pacs"]).domains
    assert {name: len(domain) for name, domain in found.items()} == counts
    assert {domain.classes for domain in found.values()} == {
        ("dog", "elephant", "giraffe", "guitar", "horse", "house", "person")
    }
