import shutil
from pathlib import Path

import pytest
from character_trees import write_tagged
from cifar_trees import write_batches
from domain_trees import PACS, write_domains
from torchvision_trees import write_mnist

from binorm.experiments import data
from binorm.experiments.common.errors import UserError
from binorm.experiments.data.catalog import locate
from binorm.experiments.data.entries import DATASETS
from binorm.experiments.recipes import load_recipe
from binorm.experiments.recipes.base import recipe_names

OWN = "domains"
UNPUBLISHED = (OWN, "folder")  # a user's own pictures
EVERY_BUT_EMBEDDED = [name for name, entry in DATASETS.items() if entry.needs]


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch):
    monkeypatch.delenv("BINORM_DATA", raising=False)


@pytest.mark.parametrize("name", DATASETS)
def test_every_entry_says_what_it_is_and_where_it_is_published(name):
    entry = DATASETS[name]
    assert entry.title
    assert entry.url.startswith("http") or name in UNPUBLISHED
    assert entry.classes > 1 or name in UNPUBLISHED
    assert all(count > 0 for count in entry.pictures.values())
    assert bool(entry.needs) == bool(entry.usual_names)


@pytest.mark.parametrize("name", EVERY_BUT_EMBEDDED)
def test_without_data_the_error_says_what_is_needed_and_where_it_was_looked_for(name):
    with pytest.raises(UserError) as caught:
        data.load(name, None)
    message = str(caught.value)
    assert message.startswith(f"{name} needs --data: {DATASETS[name].needs}")
    for part in (DATASETS[name].url, "$BINORM_DATA", DATASETS[name].usual_names[0], f"'binorm data {name}'"):
        assert part in message


@pytest.mark.parametrize("name", EVERY_BUT_EMBEDDED)
def test_an_empty_folder_is_an_error(name, tmp_path):
    with pytest.raises(UserError, match="expected|is not at"):
        data.load(name, tmp_path)


@pytest.mark.parametrize("name", EVERY_BUT_EMBEDDED)
def test_an_absent_place_is_named(name, tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        data.load(name, tmp_path / "nowhere")


def test_every_recipe_names_a_known_data_set():
    assert {load_recipe(name).dataset for name in recipe_names() if name != "style"} <= set(DATASETS)


def test_data_folder_of_the_environment_is_searched_for_usual_names(tmp_path, monkeypatch):
    monkeypatch.setenv("BINORM_DATA", str(tmp_path))
    with pytest.raises(UserError, match=f"looked for in {tmp_path} "):
        data.load("cifar10", None)
    write_batches(tmp_path / "cifar-10-batches-py")
    assert len(data.load("cifar10", None).train) == 20
    assert locate("cifar10") == tmp_path / "cifar-10-batches-py"


def test_a_given_place_wins_over_the_environment(tmp_path, monkeypatch):
    write_batches(tmp_path / "cifar-10-batches-py")
    write_batches(tmp_path / "own", per_file=2)
    monkeypatch.setenv("BINORM_DATA", str(tmp_path))
    assert len(data.load("cifar10", tmp_path / "own").train) == 10


@pytest.mark.parametrize("place", ["", "mnist"])
def test_torchvision_s_root_may_be_the_data_folder_or_lie_in_it(tmp_path, place):
    assert DATASETS["mnist"].find(tmp_path) is None
    write_mnist(tmp_path / place)
    assert DATASETS["mnist"].find(tmp_path) == tmp_path / place


def test_torchvision_s_root_may_be_a_zip_in_the_data_folder(tmp_path):
    write_mnist(tmp_path / "somewhere else")
    shutil.make_archive(str(tmp_path / "mnist"), "zip", tmp_path / "somewhere else")
    assert DATASETS["mnist"].find(tmp_path) == tmp_path / "mnist.zip"


@pytest.mark.parametrize(("name", "path"), [("digits", None), ("cifar10", Path("x")), ("cifar100", Path("x"))])
def test_sets_of_one_size_refuse_another_and_name_both(name, path):
    with pytest.raises(UserError, match=f"{name} are 32x32 pixels .*--image_size 64 was asked for"):
        data.load(name, path, 64)


def test_sets_of_one_size_take_that_size(tmp_path):
    write_batches(tmp_path)
    assert len(data.load("cifar10", tmp_path, 32).train) == 20
    assert len(data.load("digits", None, 32).train) == 2594


def test_sets_of_many_sizes_take_any(tmp_path):
    write_tagged(tmp_path)
    assert data.load("icdar2003", tmp_path, 24).train.images.shape[1:3] == (24, 24)
    assert data.load("icdar2005-digits", tmp_path, 20).train.images.shape[1:3] == (20, 20)


@pytest.mark.parametrize("name", DATASETS)
def test_sets_with_domains_say_which(name):
    entry = DATASETS[name]
    assert bool(entry.domains) == (entry.has_domains and name != OWN)
    assert {part.split()[0] for part in entry.pictures} == set(entry.domains) or not entry.domains


def test_domains_are_named_without_data_where_they_are_known(tmp_path):
    assert data.domain_names("pacs", None) == PACS
    assert data.domain_names("digit-domains", None) == ("mnist", "mnist-m", "usps", "svhn")
    with pytest.raises(UserError, match="domains needs --data: the folder, zip or tar file with <domain>/<class>/"):
        data.domain_names(OWN, None)
    write_domains(tmp_path, ("day", "night"), per_class=1)
    assert data.domain_names(OWN, tmp_path) == ("day", "night")


def test_sets_without_domains_are_told_from_those_with(tmp_path):
    for ask in (data.domain_names, data.load_domains):
        with pytest.raises(UserError, match="cifar10 has no domains: choose one of pacs, office-home"):
            ask("cifar10", tmp_path)
        with pytest.raises(UserError, match="unknown data set 'pac', did you mean 'pacs'"):
            ask("pac", tmp_path)


def test_domains_are_looked_for_in_the_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("BINORM_DATA", str(tmp_path))
    with pytest.raises(UserError, match=f"pacs needs --data: .* looked for in {tmp_path} "):
        data.load_domains("pacs", None)
    write_domains(tmp_path / "PACS", per_class=2)
    assert tuple(data.load_domains("pacs", None, 8).domains) == PACS
    with pytest.raises(UserError, match="image_size should be a number of pixels"):
        data.load_domains("pacs", None, -1)
