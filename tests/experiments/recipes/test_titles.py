"""What was trained, in a line: a recipe's title as long as it is true."""

import dataclasses

import pytest

from binorm.experiments.recipes import load_recipe
from binorm.experiments.recipes.titles import data_name, title_of


def title(name, source="", **overrides):
    return title_of(dataclasses.asdict(load_recipe(name, overrides)), source)


def test_an_untouched_recipe_keeps_its_title():
    assert title("cifar10-resnet20", "cifar10.zip") == "CIFAR-10, ResNet-20"
    assert title("cifar10-resnet20", epochs=2, lr=0.01) == "CIFAR-10, ResNet-20"
    assert title("style", style="udnie.jpg") == "Style transfer, Johnson et al.'s network"


def test_other_data_and_networks_are_named():
    assert title("cifar10-resnet20", model="resnet56") == "cifar10: resnet56"
    found = title("pacs-mixed-resnet18", "my_cameras", dataset="domains", model="resnet20")
    assert found == "my_cameras (domains): resnet20, one network for all domains"
    found = title("pacs-leave-one-out", "my_cameras", dataset="domains")
    assert found == "my_cameras (domains): timm:tf_efficientnet_lite0, each domain left out of training"
    assert title("pacs-dann", dataset="domains") == "domains: timm:tf_efficientnet_lite0, adaptation between domains"


def test_a_recipe_of_ones_own_keeps_its_title(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("base: cifar10-resnet20\ntitle: Cameras\nmodel: resnet8\n")
    assert title(str(path)) == "Cameras"
    assert title_of({"name": "gone"}) == "gone"
    assert title_of({"name": "gone"}, fallback="runs") == "runs"


@pytest.mark.parametrize(
    ("name", "source", "said"),
    [
        ("cifar10", "x.zip", "cifar10"),
        ("folder", "cats", "cats (folder)"),
        ("folder", "", "folder"),
        (None, "", "unknown data"),
    ],
)
def test_data_of_ones_own_are_named_by_their_place(name, source, said):
    assert data_name(name, source) == said
