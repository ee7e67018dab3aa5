"""Trained networks and folders of pictures for what is done to them."""

import dataclasses

import pytest
import tiny
from PIL import Image


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Of batch norm, of gates, and of instance norm."""
    out = tmp_path_factory.mktemp("runs")
    recipe = dataclasses.replace(tiny.RECIPE, epochs=1)
    return {norm: tiny.train(out, norm, recipe=recipe) for norm in ("bn", "bin", "in")}


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """30 pictures in folders called as the classes."""
    root = tmp_path_factory.mktemp("pictures")
    data = tiny.dataset().train
    for place in range(30):
        picture = root / "abc"[data.labels[place]] / f"{place:02}.png"
        picture.parent.mkdir(exist_ok=True)
        Image.fromarray(data.images[place].numpy()).save(picture)
    return root


@pytest.fixture(scope="session")
def unlabelled(folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("unlabelled")
    for picture in folder.rglob("*.png"):
        (root / picture.name).write_bytes(picture.read_bytes())
    return root


@pytest.fixture(scope="session")
def one_picture(folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("one_picture")
    (root / "00.png").write_bytes(next(folder.rglob("*.png")).read_bytes())
    return root
