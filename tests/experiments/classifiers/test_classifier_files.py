"""`binorm.load` and the files that it reads."""

import csv
import importlib
import json
import shutil

import pytest
import saved_classifiers
import tiny
import torch
from safetensors.torch import load_file, save_file

import binorm
from binorm.experiments.classifiers.files import save_classifier
from binorm.experiments.common.errors import UserError
from binorm.experiments.common.tensors import read_safetensors


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    return tiny.train(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def alone(run_folder, tmp_path):
    """The file without its run."""
    return shutil.copy(run_folder / "model.safetensors", tmp_path / "model.safetensors")


def rewritten(path, change):
    """The file with other words in its header."""
    fields = json.loads(read_safetensors(path)[1]["binorm"])
    change(fields)
    save_file(load_file(path), path, {"binorm": json.dumps(fields)})
    return path


def test_a_file_without_its_run_is_a_classifier_in_evaluation_mode(run_folder, alone):
    model = binorm.load(alone)
    assert model.classes == ("a", "b", "c")
    assert not any(each.training for each in model.modules())
    pictures = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(binorm.load(str(run_folder))(pictures), model(pictures))


def test_predictions_reach_the_accuracy_that_training_wrote(run_folder, alone):
    model, pictures = binorm.load(alone), tiny.dataset().evaluation["test"]
    with torch.no_grad():
        logits = model(model.preprocessing.normalize(pictures.images.permute(0, 3, 1, 2)))
    with (run_folder / "metrics.csv").open(encoding="utf-8") as file:
        written = float(list(csv.DictReader(file))[-1]["test_accuracy"])
    assert 100 * (logits.argmax(1) == pictures.labels).double().mean().item() == pytest.approx(written)


@pytest.mark.parametrize("norm", ["bn", "bin"])
def test_what_is_saved_is_what_is_loaded(norm, tmp_path):
    made, path = saved_classifiers.classifier(norm), tmp_path / "any name.safetensors"
    save_classifier(path, made)
    again = binorm.load(path)
    assert again.card == made.card
    pictures = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(again(pictures), made(pictures))


def test_a_calibrated_run_is_saved_with_its_recipe(alone, tmp_path):
    path = tmp_path / "again.safetensors"
    save_classifier(path, binorm.load(alone))
    assert binorm.load(path).card == binorm.load(alone).card


def test_a_file_that_says_nothing_of_pictures_names_the_way_out(alone, monkeypatch, tmp_path):
    monkeypatch.setenv("BINORM_DATA", str(tmp_path / "none"))
    older = rewritten(alone, lambda fields: fields.pop("preprocessing"))
    rewritten(older, lambda fields: fields["recipe"].update(dataset="cifar10"))
    with pytest.raises(UserError, match="does not say what it expects of pictures: put the data set"):
        binorm.load(older)


@pytest.mark.parametrize(("field", "value"), [("std", [0, 1, 1]), ("mean", [1]), ("height", 0), ("width", "wide")])
def test_preprocessing_that_makes_no_sense_is_an_error(tmp_path, field, value):
    path = tmp_path / "model.safetensors"
    save_classifier(path, saved_classifiers.classifier())
    broken = rewritten(path, lambda fields: fields["preprocessing"].update({field: value}))
    with pytest.raises(UserError, match="does not say what network it is"):
        binorm.load(broken)


def test_damaged_and_absent_files_are_named(tmp_path):
    path = tmp_path / "model.safetensors"
    save_classifier(path, saved_classifiers.classifier())
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"model\.safetensors is damaged or no safetensors file"):
        binorm.load(path)
    with pytest.raises(UserError, match="there is no checkpoint at"):
        binorm.load(tmp_path / "absent.safetensors")


def test_weights_of_fewer_classes_than_named_are_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    save_classifier(path, saved_classifiers.classifier())
    with pytest.raises(UserError, match="does not hold a resnet8 with bin and 4 classes: .*size mismatch"):
        binorm.load(rewritten(path, lambda fields: fields["classes"].append("emu")))


def test_without_the_experiments_the_extra_is_named(monkeypatch):
    def absent(name):
        raise ModuleNotFoundError("No module named 'lightning'", name="lightning")

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(ImportError, match=r"needs lightning: pip install 'binorm\[experiments\]'"):
        binorm.load("model.safetensors")
