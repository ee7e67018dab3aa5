import csv
import json

import pytest
import tiny_style
import torch
import yaml
from PIL import Image

from binorm import gate_parameters
from binorm.experiments.common.errors import DivergenceError, Interrupted, UserError
from binorm.experiments.report.gates import gate_tables
from binorm.experiments.runs.folder import run_folder
from binorm.experiments.style.network import StyleNetwork
from binorm.experiments.style.style_file import load_style
from binorm.experiments.training.recorder import Recorder
from binorm.experiments.training.tasks.stylization import read_style_image


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    return folder, tiny_style.write_photographs(folder / "photos")


@pytest.fixture(scope="module")
def whole(files, tmp_path_factory):
    """An uninterrupted training."""
    folder, photographs = files
    return tiny_style.train(tmp_path_factory.mktemp("whole"), tiny_style.recipe(folder), photographs)


def _rows(folder):
    with (folder / "metrics.csv").open() as file:
        return [{k: v for k, v in row.items() if "second" not in k and k != "joules"} for row in csv.DictReader(file)]


def test_a_training_leaves_everything_that_is_known_about_it(whole):
    assert whole.parts[-4:] == ("style", "stripes", "bin", "seed0")
    facts = json.loads((whole / "run.json").read_text())
    assert facts["status"] == "finished"
    assert facts["data"]["train"] == 6
    assert facts["style"]["size"] == [43, 32]
    assert yaml.safe_load((whole / "config.yaml").read_text())["style_layers"] == ["relu1_1", "relu2_1"]
    assert [row["step"] for row in _rows(whole)] == ["2", "4", "6"]
    row = {name: float(value) for name, value in _rows(whole)[-1].items()}
    assert row["style"] == pytest.approx((row["style_relu1_1"] + row["style_relu2_1"]) / 2, rel=1e-3)
    assert row["total"] == pytest.approx(row["content"] + row["style"] + row["variation"], rel=1e-3)
    gates = json.loads((whole / "gates.json").read_text())
    assert [entry["epoch"] for entry in gates["history"]] == [0, 1, 2, 3]
    samples = {path.name for path in (whole / "samples").iterdir()}
    assert samples == {"china.png", "china-stylized.png", "flower.png", "flower-stylized.png"}
    with Image.open(whole / "samples" / "china-stylized.png") as picture:
        assert picture.size == (640, 427)
    assert list((whole / "tensorboard").iterdir())
    assert not list(whole.rglob("*.tmp"))


def test_other_photographs_or_another_style_in_the_same_folder_are_refused(files, tmp_path):
    folder, photographs = files
    chosen = tiny_style.recipe(folder)
    run = tiny_style.train(tmp_path, chosen, photographs)
    data = json.loads((run / "run.json").read_text())["data"]
    assert data["remarks"] == []
    assert len(data["fingerprint"]) == len(data["style_fingerprint"]) == 32
    fewer = tiny_style.write_photographs(tmp_path / "photos", count=5)
    with pytest.raises(UserError, match=r"seed0 was trained on other data \(6 training pictures there, 5 now\)"):
        tiny_style.train(tmp_path, chosen, fewer, norm="bn")
    style = folder / "stripes.png"
    before = style.read_bytes()
    try:
        Image.new("RGB", (43, 32), "red").save(style)
        with pytest.raises(UserError, match=r"other data \(another style picture\)"):
            tiny_style.train(tmp_path, chosen, photographs)
    finally:
        style.write_bytes(before)


def test_the_file_holds_the_trained_network(whole):
    network, card = load_style(whole)
    assert (card.norm, card.width, card.blocks, card.title) == ("bin", 4, 1, "stripes")
    gates = torch.cat(list(gate_parameters(network)))
    assert gates.min() < 1
    assert gates.min() >= 0
    assert gates.max() <= 1


def test_its_gates_are_shown_without_those_of_a_classifier(whole):
    layers, stages, development = gate_tables(whole)
    assert {"encoder.0.norm", "decoder.1.norm", "blocks.0.first.norm"} <= set(map(str, layers.columns[0].cells))
    assert str(stages.title) == "share of gates by stage"
    assert {"encoder", "blocks", "decoder"} <= set(map(str, stages.columns[0].cells))
    assert "0" in [str(cell).strip() for cell in development.columns[0].cells]


def test_training_lowers_what_it_minimizes(files, tmp_path):
    folder, photographs = files
    recipe = tiny_style.recipe(folder, steps=60, period=20, style_weight=3.0)
    rows = _rows(tiny_style.train(tmp_path, recipe, photographs))
    assert float(rows[-1]["total"]) < 0.7 * float(rows[0]["total"])


def test_a_killed_training_goes_on_to_the_same_bits(whole, files, tmp_path, monkeypatch):
    folder, photographs = files
    recipe = tiny_style.recipe(folder)
    end = Recorder.on_train_epoch_start

    def killed(self, trainer, module):
        if trainer.current_epoch == 2:
            raise Interrupted(15)
        end(self, trainer, module)

    monkeypatch.setattr(Recorder, "on_train_epoch_start", killed)
    with pytest.raises(Interrupted):
        tiny_style.train(tmp_path, recipe, photographs)
    run = run_folder(tmp_path, recipe, "bin", 0)
    assert json.loads((run / "run.json").read_text())["status"] == "running"
    monkeypatch.setattr(Recorder, "on_train_epoch_start", end)
    tiny_style.train(tmp_path, recipe, photographs)
    assert _rows(run) == _rows(whole)
    assert (run / "gates.json").read_text() == (whole / "gates.json").read_text()
    again, first = load_style(run)[0].state_dict(), load_style(whole)[0].state_dict()
    assert all(torch.equal(again[name], value) for name, value in first.items())


def test_norms_start_from_the_same_weights():
    networks = []
    for norm in ("bn", "in", "bn+in", "bin"):
        torch.manual_seed(0)
        networks.append(StyleNetwork(4, 1, norm))
    firsts = [network.encoder[0].conv.weight for network in networks]
    assert all(torch.equal(firsts[0], each) for each in firsts)
    lasts = [network.last.weight for network in networks]
    assert all(torch.equal(lasts[0], each) for each in lasts)


def test_a_finished_training_is_left_alone(whole, files):
    folder, photographs = files
    before = (whole / "style.safetensors").stat().st_mtime_ns
    tiny_style.train(whole.parents[3], tiny_style.recipe(folder), photographs)
    assert (whole / "style.safetensors").stat().st_mtime_ns == before


def test_another_recipe_does_not_overwrite_a_training(whole, files):
    folder, photographs = files
    with pytest.raises(UserError, match=r"another configuration \(lr 0.001 there, 0.1 asked for\)"):
        tiny_style.train(whole.parents[3], tiny_style.recipe(folder, lr=0.1), photographs)


def test_a_training_that_diverges_says_so(files, tmp_path):
    folder, photographs = files
    recipe = tiny_style.recipe(folder, variation_weight=float("inf"))
    with pytest.raises(DivergenceError, match="step 1, with lr"):
        tiny_style.train(tmp_path, recipe, photographs)
    facts = json.loads((tmp_path / "style" / "stripes" / "bin" / "seed0" / "run.json").read_text())
    assert facts["status"] == "diverged"


def test_style_pictures_are_brought_to_their_short_side(files):
    folder, _ = files
    path = tiny_style.write_style_picture(folder / "again.png")
    pixels = read_style_image(path, 36)
    assert pixels.shape == (1, 3, 36, 48)
    assert 0 <= pixels.min() < pixels.max() <= 1


def test_bad_style_pictures_and_norms_are_named(files, tmp_path):
    folder, photographs = files
    (tmp_path / "text.jpg").write_text("no picture")
    for name, words in {"text.jpg": "cannot be decoded", "absent.jpg": "No such file"}.items():
        with pytest.raises(UserError, match=f"{name}.*{words}"):
            read_style_image(tmp_path / name, 64)
    with pytest.raises(UserError, match="unknown norm of a style network: 'gn'"):
        tiny_style.train(tmp_path, tiny_style.recipe(folder), photographs, norm="gn")
