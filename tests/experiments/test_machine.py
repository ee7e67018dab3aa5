import shutil

import pytest
import torch

from binorm.experiments import machine
from binorm.experiments.recipe import load_recipe


@pytest.fixture
def on_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("on_cpu")
@pytest.mark.parametrize(
    ("capabilities", "precision"),
    [({}, "float32"), ({"avx512_bf16": True}, "bfloat16"), ({"amx_bf16": True}, "bfloat16")],
)
def test_auto_takes_bfloat16_where_the_processor_has_it(monkeypatch, capabilities, precision):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert machine.choose_settings(load_recipe("digits"), 1000).precision == precision


@pytest.mark.usefixtures("on_cpu")
def test_what_the_recipe_says_is_what_is_done():
    recipe = load_recipe("digits", {"precision": "float32", "compile": "yes"})
    settings = machine.choose_settings(recipe, 1000)
    assert (settings.precision, settings.compiled) == ("float32", True)


@pytest.mark.usefixtures("on_cpu")
def test_auto_compiles_long_runs_where_there_is_a_compiler(monkeypatch):
    recipe = load_recipe("cifar10-resnet20")
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert machine.choose_settings(recipe, 50_000).compiled
    assert not machine.choose_settings(recipe, 100).compiled
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.warns(UserWarning, match=r"no C\+\+ compiler was found"):
        assert not machine.choose_settings(recipe, 50_000).compiled


def test_machine_and_versions_are_described():
    described = machine.describe_machine()
    assert described["cores"] >= 1
    assert described["memory_gib"] > 0
    assert described["cpu"]
    assert torch.__version__.startswith(machine.describe_versions()["torch"])  # it may add the build, "+cu130"
