import pytest
import torch

from binorm.experiments.common.errors import UserError
from binorm.experiments.recipes import load_recipe
from binorm.experiments.training import settings


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
    assert settings.choose_settings(load_recipe("digits"), 1000).precision == precision


@pytest.mark.usefixtures("on_cpu")
def test_what_the_recipe_says_is_what_is_done():
    recipe = load_recipe("digits", {"precision": "float32", "compile": "yes"})
    chosen = settings.choose_settings(recipe, 1000)
    assert (chosen.precision, chosen.compiled) == ("float32", True)


@pytest.mark.usefixtures("on_cpu")
def test_graphs_need_a_gpu():
    with pytest.raises(UserError, match="graphs, and PyTorch finds no GPU here"):
        settings.choose_settings(load_recipe("digits", {"compile": "graphs"}), 1000)


def test_graphs_where_there_is_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    chosen = settings.choose_settings(load_recipe("digits", {"compile": "graphs", "precision": "float32"}), 1000)
    assert (chosen.graphs, chosen.compiled) == (True, False)
    assert "CUDA graphs" in str(chosen)


@pytest.fixture
def fresh_probe():
    settings._can_compile.cache_clear()
    yield
    settings._can_compile.cache_clear()


@pytest.mark.usefixtures("on_cpu", "fresh_probe")
def test_auto_compiles_long_runs_only(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function: function)
    recipe = load_recipe("cifar10-resnet20")
    assert settings.choose_settings(recipe, 50_000).compiled
    assert not settings.choose_settings(recipe, 100).compiled


@pytest.mark.usefixtures("on_cpu", "fresh_probe")
def test_where_nothing_can_be_compiled_one_warning_says_why(monkeypatch):
    def fail(function):
        raise RuntimeError("no working C++ compiler\nand much more")

    monkeypatch.setattr(torch, "compile", fail)
    with pytest.warns(UserWarning, match=r"without torch\.compile, more slowly: no working C\+\+ compiler$"):
        assert not settings.choose_settings(load_recipe("cifar10-resnet20"), 50_000).compiled
    assert not settings.choose_settings(load_recipe("cifar10-resnet20"), 50_000).compiled
