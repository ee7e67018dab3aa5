import json

import pytest
import tiny_style
import yaml

from binorm.experiments.cli import main


@pytest.fixture
def command(tmp_path):
    """Options of a short training, and its files."""
    recipe = tiny_style.recipe(tmp_path / "files")
    photographs = tiny_style.write_photographs(tmp_path / "photos")
    return [
        *("--style", recipe.style, "--data", str(photographs), "--out", str(tmp_path / "runs")),
        *("--loss_network", recipe.loss_network, "--steps", "2", "--period", "2", "--width", "4", "--blocks", "1"),
        *("--image_size", "32", "--style-size", "32", "--batch_size", "2", "--precision", "float32"),
        *("--content_layers", '["relu1_2"]', "--style_layers", '["relu2_1"]'),
    ]


def test_train_style_leaves_a_style(command, tmp_path, capsys):
    assert main(["train", "style", "--norm", "in", *command]) == 0
    folder = tmp_path / "runs" / "style" / "stripes" / "in" / "seed0"
    assert (folder / "style.safetensors").exists()
    assert str(folder) in capsys.readouterr().out.replace("\n", "")
    assert yaml.safe_load((folder / "config.yaml").read_text())["full_steps"] == 40000


def test_compare_style_trains_norms_and_writes_a_report(command, tmp_path, capsys):
    assert main(["compare", "style", "--norms", "bn,bin", "--seeds", "1", *command]) == 0
    folder = tmp_path / "runs" / "style" / "stripes"
    assert json.loads((folder / "report.json").read_text())
    assert (folder / "report.html").exists()
    assert "bin" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "style"], "--style starry_night.jpg"),
        (["train", "digits", "--style", "a.jpg"], "--style applies to recipes of stylization only"),
        (
            ["train", "style", "--style", "a.jpg", "--momentum", "0.5"],
            "--momentum applies to recipes of",
        ),
        (["train", "style", "--style", "a.jpg", "--steps", "150"], "multiple of period, 100 (got 150)"),
        (["train", "style", "--style", "a.jpg", "--style_size", "3"], "style_size should be at least 32"),
        (["compare", "style", "digits", "--style", "a.jpg"], "style applies to recipes of stylization only"),
        (["compare", "style", "--style", "a.jpg", "--budget", "1h"], "--budget applies to recipes of classification"),
        (["compare", "style", "--style", "a.jpg", "--classifier", "nowhere"], "nowhere has no gates.json"),
        (["compare", "digits", "--classifier", "nowhere"], "--classifier applies to recipes of stylization only"),
    ],
)
def test_mistakes_are_answered_in_words(arguments, words, capsys):
    assert main(arguments) == 2
    assert words in " ".join(capsys.readouterr().err.split())
