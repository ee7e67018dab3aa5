"""`binorm tune`, with a network and pictures of a moment."""

import re

import pytest
import torch

import binorm
from binorm.experiments.cli import main

FEW = ["--pictures", "16", "--steps", "4"]


def tune(run, pictures, out, *more):
    return main(["tune", str(run), "--images", str(pictures), "--out", str(out), *FEW, *more])


def test_it_writes_a_classifier_that_says_where_it_comes_from(runs, folder, tmp_path, capsys):
    out = tmp_path / "tuned.safetensors"
    assert tune(runs["bn"], folder, out, "--affine-lr", "0.01") == 0
    printed = capsys.readouterr().out
    assert "held out   KL clean" in printed
    assert "% of restyled ones classified as before restyling" in printed
    model = binorm.load(out)
    assert re.search(r"calibrated on 16 pictures, 1 of its layers; tuned in \d+ steps$", model.card.origin)
    closed = [gate for _, gate in list(binorm.named_gates(model))[1:]]
    assert all(torch.equal(gate, torch.ones_like(gate)) for gate in closed)


def test_labels_are_learned_when_asked_for(runs, folder, unlabelled, tmp_path, capsys):
    assert tune(runs["bn"], folder, tmp_path / "a.safetensors", "--labels") == 0
    assert "with labels" in binorm.load(tmp_path / "a.safetensors").card.origin
    assert tune(runs["bn"], unlabelled, tmp_path / "b.safetensors", "--labels") == 2
    assert "have no labels" in capsys.readouterr().err
    assert not (tmp_path / "b.safetensors").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--gate-lr", "2"], "gate_lr should be a number from 0 to 1 (got 2.0)"),
        (["--steps", "0"], "steps should be a whole number, at least 1 (got 0)"),
        (["--layers", "stem"], "'stem' is no batch-instance norm"),
    ],
)
def test_settings_out_of_range_are_told(runs, folder, tmp_path, capsys, more, message):
    assert tune(runs["bn"], folder, tmp_path / "tuned.safetensors", *more) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.iterdir())


def test_the_statistics_of_a_target_come_last(runs, folder, unlabelled, tmp_path, capsys):
    here, there = tmp_path / "here.safetensors", tmp_path / "there.safetensors"
    assert tune(runs["bn"], folder, here) == 0
    assert tune(runs["bn"], folder, there, "--target", str(unlabelled)) == 0
    tuned, moved = (binorm.load(each).state_dict() for each in (here, there))
    changed = {name.rpartition(".")[2] for name in tuned if not torch.equal(tuned[name], moved[name])}
    assert changed == {"running_mean", "running_var"}
    assert "those of 30 pictures of" in capsys.readouterr().out


def test_pictures_to_learn_from_are_needed(runs, folder, tmp_path, capsys):
    assert main(["tune", str(runs["bn"]), "--target", str(folder), "--out", str(tmp_path / "tuned.safetensors")]) == 2
    assert "tuning needs pictures to learn from" in " ".join(capsys.readouterr().err.split())
