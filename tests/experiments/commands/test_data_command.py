import io
from pathlib import Path

import pytest
from character_trees import write_class_folders, write_tagged
from cifar_trees import write_pictures
from domain_trees import PACS, write_bsds500, write_domains, write_usps_arrays
from real_data import REAL
from rich.console import Console
from torchvision_trees import write_mnist

from binorm.experiments.common.errors import UserError
from binorm.experiments.data import load_domains
from binorm.experiments.data.describe import data_table, describe, prepare, verify
from binorm.experiments.data.entries import DATASETS
from binorm.experiments.data.readers.cache import cache_folder


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch):
    monkeypatch.delenv("BINORM_DATA", raising=False)


def _printed(renderable):
    console = Console(width=400, file=io.StringIO())
    console.print(renderable)
    return console.file.getvalue()


def _row(name, table):
    return next(line for line in table.splitlines() if line.split()[:1] == [name])


def test_table_lists_every_data_set_and_where_it_was_found(tmp_path):
    write_pictures(tmp_path / "cifar10", per_class=1)
    printed = _printed(data_table(tmp_path))
    assert all(_row(name, printed) for name in DATASETS)
    assert _row("cifar10", printed).split() == ["cifar10", "50,000", "+", "10,000", "10", "cifar10"]
    assert _row("cifar100", printed).split() == ["cifar100", "50,000", "+", "10,000", "100"]
    assert _row("digits", printed).split()[-1] == "embedded"


def test_table_looks_into_the_data_folder_of_the_environment(tmp_path, monkeypatch):
    write_mnist(tmp_path)
    monkeypatch.setenv("BINORM_DATA", str(tmp_path))
    assert tmp_path.name in _row("mnist", _printed(data_table(None)))


def test_table_without_any_folder_still_lists_everything():
    assert "cifar100" in _printed(data_table(None))


def test_table_of_an_absent_folder_is_an_error(tmp_path):
    with pytest.raises(UserError, match="there is no folder .*nowhere"):
        data_table(tmp_path / "nowhere")


def test_table_shows_domains_and_all_their_pictures_together(tmp_path):
    write_domains(tmp_path / "PACS", per_class=1)
    printed = _printed(data_table(tmp_path))
    assert _row("pacs", printed).split() == ["pacs", "9,991", "7", "PACS"]
    assert "domains: art_painting, cartoon, photo, sketch" in printed
    assert _row("domains", printed).split() == ["domains", "not", "known", "as", "found"]


def test_description_of_domains_says_how_many_pictures_each_has_and_how_they_are_split():
    printed = _printed(describe("pacs"))
    for part in (
        ", ".join(PACS),
        "2,048 art_painting + 2,344 cartoon + 1,670 photo + 3,929 sketch",
        "20% of each class",
    ):
        assert part in printed
    assert "as published where a copy has its lists or folders, else 20%" in _printed(describe("domainnet"))
    assert "20%" not in _printed(describe("digit-domains"))
    assert "the folders that the data have" in _printed(describe("domains"))
    assert "domains" not in _printed(describe("cifar10"))


def test_description_says_what_is_needed_and_where_it_is_published():
    printed = _printed(describe("svhn"))
    for part in ("train_32x32.mat", "http://ufldl.stanford.edu", "non-commercial", "73,257", "data prepare svhn"):
        assert part in printed
    assert "prepare" not in _printed(describe("cifar10"))


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_can_be_described(name):
    assert DATASETS[name].url in _printed(describe(name))


def test_unknown_names_get_the_nearest(tmp_path):
    for command in (describe, lambda name: verify(name, tmp_path), lambda name: prepare(name, tmp_path)):
        with pytest.raises(UserError, match="did you mean 'cifar100'"):
            command("cifar-100")


def test_verification_lists_every_fault_of_a_copy(tmp_path):
    write_pictures(tmp_path)
    for name in ("train/dog/0001.png", "test/cat/0000.png"):
        (tmp_path / name).write_bytes(b"no picture")
    report = verify("cifar10", tmp_path)
    assert not report.ok
    printed = _printed(report.table())
    assert "fault: train: 20 pictures, expected 50,000" in printed
    assert "fault: broken: train/dog/0001.png (not a picture)" in printed
    assert "fault: broken: test/cat/0000.png (not a picture)" in printed
    assert "not whole: 4 faults" in printed


def test_verification_of_embedded_data_is_whole():
    report = verify("digits", None)
    assert report.ok
    assert "whole: every picture was decoded" in _printed(report.table())


def test_verification_prints_brackets_in_names_as_they_are(tmp_path):
    tmp_path /= "[blue]"
    write_pictures(tmp_path)
    (tmp_path / "train" / "cat" / "[red]x[bold].png").write_bytes(b"")
    printed = _printed(verify("cifar10", tmp_path).table())
    assert "train/cat/[red]x[bold].png" in printed
    assert "[blue]" in printed


def test_verification_of_torchvision_s_sets(tmp_path):
    write_mnist(tmp_path)
    report = verify("mnist", tmp_path)
    assert report.found.counts == {"train": 6, "test": 6}
    assert not report.found.broken


def test_verification_and_preparation_of_streamed_pictures(tmp_path):
    write_class_folders(tmp_path, splits=("train", "val"), classes=("n1", "n2"))
    (tmp_path / "val" / "n2" / "img-00001.png").write_bytes(b"cut short")
    found = verify("imagenet", tmp_path).found
    assert found.counts == {"train": 2, "val": 2}
    assert [Path(name).parts[-3:] for name, _ in found.broken] == [("val", "n2", "img-00001.png")]
    assert prepare("imagenet", tmp_path).endswith("are decoded as they are needed and not kept")


def test_verification_of_domains_counts_each_and_lists_what_is_absent_or_broken(tmp_path):
    write_domains(tmp_path, PACS[:3])
    (tmp_path / "photo" / "dog" / "001.png").write_bytes(b"no picture")
    report = verify("pacs", tmp_path)
    assert report.found.counts == dict.fromkeys(PACS[:3], 10)
    printed = _printed(report.table())
    assert "fault: sketch: 0 pictures, expected 3,929" in printed
    assert "fault: 2 classes with pictures, expected 7" in printed
    assert "fault: broken: photo/dog/001.png (not a picture)" in printed


def test_verification_of_own_domains_takes_their_classes_as_they_are(tmp_path):
    write_domains(tmp_path, {"day": ("cat", "dog"), "night": ("cat", "owl")})
    report = verify("domains", tmp_path)
    assert report.ok
    assert report.found.counts == {"day": 10, "night": 10}
    assert "note: day has pictures of 2 of the 3 classes" in _printed(report.table())


def test_verification_of_digit_domains(tmp_path):
    write_mnist(tmp_path)
    write_bsds500(tmp_path)
    report = verify("digit-domains", tmp_path)
    assert report.found.counts == {"mnist train": 6, "mnist test": 6, "mnist-m train": 6, "mnist-m test": 6}
    assert "svhn train: 0 pictures, expected 73,257" in report.found.faults


def test_verification_does_not_fill_the_cache(tmp_path):
    write_tagged(tmp_path)
    verify("icdar2003", tmp_path)
    assert not any(cache_folder().iterdir())


def test_preparation_fills_the_cache_and_says_how_large_it_is(tmp_path):
    write_tagged(tmp_path)
    (tmp_path / "TrialTrain" / "char" / "1" / "0.png").write_bytes(b"")
    said = prepare("icdar2003", tmp_path, 50)
    assert said.startswith(f"icdar2003: 2 train and 3 test pictures of 50x50 pixels, 0.0 MB, in {cache_folder()}")
    assert said.endswith("broken: TrialTrain/char/1/0.png")
    assert any(cache_folder().iterdir())


def test_preparation_of_domains_fills_the_cache_for_every_choice_of_them(tmp_path, monkeypatch):
    write_domains(tmp_path, {"day": ("cat", "dog"), "night": ("cat", "owl")})
    (tmp_path / "night" / "owl" / "001.png").write_bytes(b"no picture")
    said = prepare("domains", tmp_path, 8)
    assert said.startswith(
        "domains: 4 + 1 day and 4 + 1 night pictures, train + test, of the classes cat, of 8x8 pixels, 0"
    )
    assert said.endswith("left out because they are broken: night/owl/001.png")
    monkeypatch.setattr("binorm.experiments.data.readers.domain_folders.read_pictures", None)
    for only in (["day"], ["night"]):
        load_domains("domains", tmp_path, 8, only=only)


def test_preparation_takes_the_digits_that_are_there(tmp_path):
    write_mnist(tmp_path)
    write_usps_arrays(tmp_path)
    said = prepare("digit-domains", tmp_path)
    assert said.startswith("digit-domains: 6 + 6 mnist and 12 + 4 usps pictures, train + test, of the classes 0, 1, 2")
    assert said.endswith("; without mnist-m, svhn, not there")


def test_preparation_of_domains_that_are_not_there_is_an_error(tmp_path):
    for name in ("digit-domains", "pacs"):
        with pytest.raises(UserError, match="expected"):
            prepare(name, tmp_path)


def test_preparation_of_embedded_data_is_not_needed():
    assert prepare("digits", None).endswith("are embedded and need no preparation")


def test_preparation_downloads_what_is_absent_and_nothing_else(tmp_path, monkeypatch):
    asked = []

    def download(entry, path):
        asked.append(path)
        write_mnist(path)

    monkeypatch.setattr(type(DATASETS["mnist"]), "download", download)
    for _ in ("absent", "there"):
        assert prepare("mnist", tmp_path / "new").startswith("mnist: 6 train and 6 test pictures of 32x32")
    assert asked == [tmp_path / "new"]


def test_preparation_of_an_absent_set_that_cannot_be_downloaded_is_an_error(tmp_path):
    with pytest.raises(UserError, match="there is no data at"):
        prepare("cifar10", tmp_path / "nowhere")


@pytest.mark.skipif(not (REAL / "chars74k.zip").exists(), reason="the real pictures are not here")
def test_equal_real_pictures_with_different_labels_are_found():
    report = verify("chars74k", REAL / "chars74k.zip")
    assert report.ok
    assert len(report.found.conflicting) == 3
