import json
import re

import pytest
from tiny_classifiers import classifier, write_tree

from binorm.experiments.classifiers.files import save_classifier
from binorm.experiments.cli import main


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with ``net.safetensors``, ``gn.safetensors`` and labelled ``photos/``."""
    folder = tmp_path_factory.mktemp("place")
    save_classifier(folder / "net.safetensors", classifier())
    save_classifier(folder / "gn.safetensors", classifier("gn"))
    write_tree(folder / "photos", per_class=6)
    write_tree(folder / "unlabelled", per_class=3, classes=("holiday",))
    return folder


@pytest.fixture
def here(place, monkeypatch):
    monkeypatch.chdir(place)
    return place


USUAL = ("net.safetensors", "--images", "photos", "--calibration-pictures", "8", "--shifts", "dark")


def error(capsys, *arguments):
    """The message of a command that must fail as the user's mistake, without a traceback."""
    assert main(["robustness", *arguments]) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert "error: " in said
    return " ".join(said.split())


def test_networks_are_measured_and_reported(here, tmp_path, capsys):
    out = str(tmp_path / "out")
    arguments = ["robustness", *USUAL, "--methods", "none,calibrated_first", "--out", out]
    assert main(arguments) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "10 test pictures; to calibrate with: 8 of the pictures of photos, drawn by chance and left out" in said
    assert re.search(r"as trained [\d.]+ [\d.]+", said)
    record = json.loads((tmp_path / "out/robustness.json").read_text())
    assert record["command"].startswith("binorm robustness net.safetensors")
    assert [each["id"] for each in record["candidates"]] == ["net:none", "net:calibrated_first:0"]
    assert {each.name for each in (tmp_path / "out").iterdir()} == {
        *("figures", "labels.safetensors", "report.html", "report.json", "report.md", "results", "robustness.json")
    }
    # Once more it only reports, against another baseline.
    before = (tmp_path / "out/results/dark-turns.safetensors").stat().st_mtime_ns
    assert main([*arguments, "--baseline", "net:calibrated_first"]) == 0
    assert (tmp_path / "out/results/dark-turns.safetensors").stat().st_mtime_ns == before
    assert "The baseline is net:calibrated\\_first." in (tmp_path / "out/report.md").read_text()
    assert "seeds" not in capsys.readouterr().err
    assert "candidates: net:calibrated_first:0, net:none there" in error(capsys, *USUAL, "--seeds", "2", "--out", out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--methods", "nonne"), "unknown method 'nonne', did you mean 'none'"),
        (("--methods", "none,none"), "--methods should name each once"),
        (("--shifts", "drak"), "unknown shift 'drak', did you mean 'dark'"),
        (("--shifts", ""), "--shifts should name each once"),
        (("--severities", "9"), "severities should be turns, all, or some of 1 to 5"),
        (("--regime", "singel"), "unknown regime 'singel', did you mean 'single'"),
        (("--regime", "single", "--batch", "5"), "leave --batch 5 out"),
        (("--batch", "0"), "--batch should be at least 1 (got 0)"),
        (("--seeds", "0"), "--seeds should be at least 1 (got 0)"),
        (("--calibration-pictures", "0"), "--calibration-pictures should be at least 1"),
        (("--calibration-pictures", "17"), "too few to calibrate with 17"),
        (("--pictures", "-1"), "--pictures should be at least 0"),
        (("--baseline", "net:nonne"), "unknown baseline 'net:nonne', did you mean 'net:none'"),
        (("--calibration", "nowhere"), "nowhere"),
        (("--images", "nowhere"), "nowhere"),
        (("--images", "unlabelled"), "have no labels"),
        (("--precision", "float8"), "precision"),
        (("net.safetensors",), "named twice"),
        (("efficientnet-lite9",), "no network 'efficientnet-lite9', did you mean 'efficientnet-lite"),
    ],
)
def test_mistakes_get_a_clear_error_and_leave_nothing(here, tmp_path, capsys, arguments, message):
    models = [each for each in arguments if arguments[0] == each and not each.startswith("--")]
    options = arguments[len(models) :]
    assert message in error(capsys, *models, *USUAL, "--out", str(tmp_path / "out"), *options)
    assert not (tmp_path / "out").exists()


def test_a_network_without_batch_norm_is_named(here, tmp_path, capsys):
    assert "batch norm" in error(capsys, "gn.safetensors", *USUAL[1:], "--out", str(tmp_path / "out"))
    assert not list(tmp_path.glob("out/results/*"))


def test_groups_of_shifts_are_names(here):
    from binorm.experiments.commands.robustness import _shifts

    assert len(_shifts("corruptions")) == 15
    assert [each.name for each in _shifts("extra,dark,spatter")] == [
        *("speckle_noise", "gaussian_blur", "spatter", "saturate"),
        "dark",
    ]
