"""`binorm calibrate`, and what it computes."""

import re

import pytest
import torch
from PIL import Image

import binorm
from binorm import calibrate_gates
from binorm.experiments.classifiers.classifier import gated
from binorm.experiments.classifiers.files import load_classifier
from binorm.experiments.classifiers.photographs import read_photographs
from binorm.experiments.cli import main
from binorm.experiments.common.errors import UserError
from binorm.experiments.rescue.calibration import calibrate
from binorm.experiments.rescue.measurement import Drawn
from binorm.experiments.rescue.restyling import Restyling
from binorm.experiments.rescue.target import Target, move_to_target


def found(classifier, folder, **options):
    return calibrate(classifier, read_photographs(folder, classifier), Restyling(), count=12, **options)[0]


def test_gates_are_those_of_the_library(runs, folder):
    classifier = load_classifier(runs["bn"])
    result = found(classifier, folder, seed=3)
    generator = torch.Generator().manual_seed(3)
    photographs = read_photographs(folder, classifier)
    chosen = photographs.pictures[torch.randperm(30, generator=generator)[:12]]
    normalize = classifier.preprocessing.normalize
    pair = normalize(chosen), normalize(Restyling()(chosen, generator))
    own = gated(classifier)
    summary = calibrate_gates(own.network, pair)
    assert summary == result.summary
    for (name, gate), (_, other) in zip(
        binorm.named_gates(own.network), binorm.named_gates(result.classifier.network), strict=True
    ):
        assert torch.equal(gate, other), name


@pytest.mark.parametrize("norm", ["bn", "bin"])
def test_the_classifier_that_was_given_stays(runs, folder, norm):
    classifier = load_classifier(runs[norm])
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    found(classifier, folder)
    assert all(torch.equal(value, before[name]) for name, value in classifier.state_dict().items())


def test_gates_in_the_place_of_batch_norms_compute_the_same(runs):
    classifier = load_classifier(runs["bn"])
    pictures = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        assert torch.allclose(gated(classifier)(pictures), classifier(pictures), atol=1e-6)


def test_labels_decide_nothing(runs, folder, unlabelled):
    classifier = load_classifier(runs["bn"])
    with_labels, without = (found(classifier, each).classifier for each in (folder, unlabelled))
    state = without.state_dict()
    assert with_labels.state_dict().keys() == state.keys()
    measured = calibrate(classifier, read_photographs(unlabelled, classifier), Restyling(), count=12)[1]
    assert measured.before.accuracy is None
    assert 0 <= measured.after.agreement <= 100


def test_what_is_measured_was_not_calibrated_on(runs, folder):
    classifier = load_classifier(runs["bn"])
    for most, measured, fresh in ((0, 18, True), (12, 12, False)):
        drawn = Drawn.by(read_photographs(folder, classifier, most), 12, 0)
        assert (len(drawn.used), len(drawn.measured), drawn.fresh) == (12, measured, fresh)
        assert fresh == (not set(drawn.used.names) & set(drawn.measured.names))


@pytest.mark.parametrize("norm", ["bn", "bin"])
def test_the_command_writes_a_classifier_that_says_where_it_comes_from(runs, folder, tmp_path, capsys, norm):
    out = tmp_path / "calibrated.safetensors"
    arguments = ["calibrate", str(runs[norm]), "--images", str(folder), "--out", str(out), "--pictures", "12"]
    assert main([*arguments, "--layers", "2", "--figure", str(tmp_path / "layers.png")]) == 0
    with Image.open(tmp_path / "layers.png") as figure:
        assert figure.format == "PNG"
    printed = capsys.readouterr().out
    assert "on 18 other pictures" in printed
    assert "top-1 % restyled" in printed
    model = binorm.load(out)
    assert model.card.origin.endswith("; calibrated on 12 pictures, 2 of its layers")
    assert model.card.norm == "bin"
    assert model.classes == ("a", "b", "c")
    moved = [name for name, gate in binorm.named_gates(model) if not torch.equal(gate, torch.ones_like(gate))]
    assert norm == "bin" or len(moved) == 2
    assert main(["gates", str(out)]) == 0


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("images", [True, False])
def test_a_target_moves_the_statistics(runs, folder, unlabelled, tmp_path, capsys, images, labelled):
    target, out = folder if labelled else unlabelled, tmp_path / "calibrated.safetensors"
    options = ["--target", str(target), "--target-share", "0.3", "--out", str(out)]
    gates = ["--images", str(folder), "--pictures", "12"] if images else []
    assert main(["calibrate", str(runs["bn"]), *options, *gates]) == 0
    before = load_classifier(runs["bn"])
    expected = found(before, folder, layers=1).classifier if images else before
    photographs = read_photographs(target, before)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(0))
    batch = before.preprocessing.normalize(photographs.pictures[order])
    binorm.update_statistics(expected.network, [batch], share=0.3)
    state = binorm.load(out).state_dict()
    assert all(torch.equal(value, state[name]) for name, value in expected.state_dict().items())
    assert "statistics: 30 % of the way to those of 30 pictures of" in capsys.readouterr().out
    assert "; statistics moved by 0.3 to those of 30 pictures" in binorm.load(out).card.origin


def test_a_target_with_labels_is_measured_on_other_pictures(runs, folder, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("binorm.experiments.rescue.target.PICTURES", 10)
    out = tmp_path / "calibrated.safetensors"
    assert main(["calibrate", str(runs["bin"]), "--target", str(folder), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "those of 10 pictures" in printed
    assert re.search(r"top-1 on 20 other pictures of it: \d+\.\d % before, \d+\.\d % after", printed)


def test_a_network_whose_norms_track_nothing_has_nothing_to_move(runs, folder):
    classifier = load_classifier(runs["in"])
    with pytest.raises(UserError, match="resnet8 has no batch norms or batch-instance norms with running statistics"):
        move_to_target(classifier, Target.of(read_photographs(folder, classifier)), classifier)
    assert main(["calibrate", str(runs["in"]), "--target", str(folder), "--out", "never.safetensors"]) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--out": "calibrated.pth"}, r"should be a file that ends in \.safetensors \(got calibrated\.pth\)"),
        ({"--figure": "layers.gif"}, r"--figure should be a file that ends in \.png, \.svg, \.pdf \(got layers\.gif\)"),
        ({"--restyle": "light,smoke"}, "unknown restyling 'smoke'"),
        ({"--pictures": "3"}, "3 pictures are too few: expected at least 8"),
        ({"--layers": "0"}, "layers should be at least 1"),
        ({"--layers": "stem"}, "'stem' is no batch-instance norm of the network"),
        ({"--clean-weight": "1.5"}, "clean_weight should be from 0 to 1"),
        ({"MODEL": "efficientnet-lite9"}, "there is no network 'efficientnet-lite9', did you mean 'efficientnet-lite"),
        ({"--images": "nowhere"}, "nowhere"),
        ({"--images": None}, "expected --images DIR, pictures to set gates from, or --target DIR"),
        (
            {"--images": None, "--target": "FOLDER", "--figure": "layers.png"},
            "give the pictures that set them, --images",
        ),
        ({"--target": "nowhere"}, "nowhere"),
        ({"--target": "FOLDER", "--target-share": "1.5"}, r"share should be from 0 to below 1 \(got 1\.5\)"),
        ({"--target-share": "0.1"}, "--target-share is of a target: give its pictures"),
        ({"--target": "FEW"}, "1 pictures are too few: expected at least 8"),
    ],
)
def test_what_cannot_be_is_an_error_and_nothing_is_written(
    runs, folder, one_picture, tmp_path, capsys, monkeypatch, change, message
):
    monkeypatch.chdir(tmp_path)
    places = {"FOLDER": str(folder), "FEW": str(one_picture)}
    values = {"MODEL": str(runs["bn"]), "--images": str(folder), "--out": "calibrated.safetensors", **change}
    model = values.pop("MODEL")
    words = [(name, places.get(value, value)) for name, value in values.items() if value is not None]
    assert main(["calibrate", model, *(word for pair in words for word in pair)]) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert re.search(message, error), error
    assert not list(tmp_path.iterdir())


def test_a_network_without_batch_norms_is_refused(runs, folder):
    with pytest.raises(UserError, match="resnet8 cannot have gates: expected a network with batch norm"):
        found(load_classifier(runs["in"]), folder)


def test_too_few_pictures_are_refused(runs, folder):
    classifier = load_classifier(runs["bn"])
    with pytest.raises(UserError, match=r"5 pictures are too few: .* has 5\)"):
        calibrate(classifier, read_photographs(folder, classifier, most=5), Restyling())


def test_weights_that_are_not_finite_are_refused(runs, folder):
    classifier = load_classifier(runs["bn"])
    with torch.no_grad():
        next(classifier.parameters()).fill_(float("nan"))
    with pytest.raises(UserError, match="not finite"):
        found(classifier, folder)
