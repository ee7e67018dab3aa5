"""The styles that come with the package."""

from pathlib import Path

import numpy
import pytest
import torch
import yaml

from binorm import gate_parameters
from binorm.experiments.cli import main
from binorm.experiments.style.drawing.stylizer import Stylizer
from binorm.experiments.style.style_file import SHIPPED, load_style, style_names
from binorm.experiments.style.training.samples import sample_photographs

ROOT = Path(__file__).parents[3]
PAINTINGS = yaml.safe_load((ROOT / "tools" / "styles.yaml").read_text())


def test_every_painting_of_the_table_is_a_style():
    assert style_names() == sorted(PAINTINGS)
    assert len(PAINTINGS) == 6


@pytest.mark.parametrize("name", sorted(PAINTINGS))
def test_a_style_says_where_it_comes_from_and_is_small(name):
    network, card = load_style(name)
    painting = PAINTINGS[name]
    assert {key: painting[key] for key in ("title", "artist", "date", "source")} == {
        key: getattr(card, key) for key in ("title", "artist", "date", "source")
    }
    assert card.norm == "bin"
    assert card.trained_by.startswith("binorm train style")
    assert (SHIPPED / f"{name}.safetensors").stat().st_size <= 2 * 10**6
    gates = torch.cat(list(gate_parameters(network)))
    assert gates.min() >= 0
    assert gates.max() <= 1
    assert gates.min() < 0.5 < gates.max()
    assert f"| `{name}` | {card.title} | {card.artist} | {card.date} |" in (ROOT / "docs" / "style.md").read_text()


@pytest.mark.parametrize("name", sorted(PAINTINGS))
def test_a_style_keeps_the_photograph_and_changes_how_it_is_drawn(name):
    photograph = sample_photographs()["china"][::2, ::2]
    drawn = Stylizer(load_style(name)[0])(photograph)
    edges, drawn_edges = (_edges(each) for each in (photograph, drawn))
    assert numpy.corrcoef(edges.ravel(), drawn_edges.ravel())[0, 1] > 0.3
    assert numpy.abs(drawn.astype(float) - photograph).mean() > 10


def test_the_list_shows_every_name_whole(capsys):
    assert main(["stylize"]) == 0
    listed = capsys.readouterr().out
    assert all(f"{name} " in listed for name in PAINTINGS)


def test_styles_differ():
    photograph = sample_photographs()["flower"][::4, ::4]
    drawings = [Stylizer(load_style(name)[0])(photograph).astype(float) for name in style_names()]
    apart = [numpy.abs(a - b).mean() for i, a in enumerate(drawings) for b in drawings[:i]]
    assert min(apart) > 8


def _edges(pixels):
    grey = pixels.astype(float).mean(2)
    return numpy.abs(numpy.diff(grey, axis=0))[:, 1:] + numpy.abs(numpy.diff(grey, axis=1))[1:]
