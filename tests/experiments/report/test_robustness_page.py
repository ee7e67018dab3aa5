import json
import math
from xml.etree import ElementTree

import pytest
import torch
from fake_robustness import SOME, write_results
from page_tags import Tags
from report_files import read_report
from safetensors.torch import load_file, save_file

from binorm.experiments.common.errors import UserError
from binorm.experiments.report.parts.robustness_scores import Robustness
from binorm.experiments.report.robustness import robustness_page, write_robustness
from binorm.experiments.rescue.robustness_folder import CLEAN


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = write_results(tmp_path_factory.mktemp("results"), ("none", "calibrated", "tent"), seeds=2)
    return read_report(write_robustness(folder))


def test_means_give_each_shift_the_same_weight(report):
    top1 = report.entries["top1"]
    assert top1["lite:none"]["clean"]["mean"] == 80
    assert top1["lite:none"]["corruption"]["mean"] == 45  # of 40 and 50
    assert top1["lite:none"]["style"]["mean"] == 45
    assert top1["lite:calibrated"]["corruption"] == {"count": 2, "mean": 55.5, "std": pytest.approx(0.5**0.5)}
    assert top1["lite:tent"]["fog"]["mean"] == 70


def test_mce_is_relative_to_the_baseline_corruption_by_corruption(report):
    mce = report.entries["mce"]
    assert mce["lite:none"] == 100
    assert mce["lite:tent"] == pytest.approx(100 * (40 / 60 + 30 / 50) / 2)
    assert mce["lite:calibrated"] == pytest.approx(50 * (50 / 60 + 40 / 50 + 49 / 60 + 39 / 50) / 2)


def test_calibration_error_is_the_distance_of_confidence_and_accuracy(report):
    errors = report.entries["calibration_error"]["lite:none"]
    assert errors["clean"] == pytest.approx(10, abs=1e-3)
    assert errors["corruption"] == pytest.approx(25, abs=1e-3)


def test_differences_have_intervals_and_leave_the_baseline_out(report):
    found = report.entries["difference"]
    assert found["lite:none"] == dict.fromkeys(("clean", "corruption", "extra", "style"))
    tent = found["lite:tent"]["corruption"]
    assert tent["pairs"] == 100
    assert tent["low"] < tent["mean"] == 20 < tent["high"]
    assert "p = 0.002" in report.html  # 1/1,000 at the least, twice


def test_seconds_and_memory_are_told(report):
    assert report.entries["milliseconds"]["lite:tent"] == pytest.approx(10)
    assert report.entries["seconds_beforehand"]["lite:calibrated"] == 2.5
    for text in (report.html, report.markdown):
        assert "512 MiB" in text
        assert "Example CPU" in text
        assert "stream: pictures come in batches" in text
        assert "64 of the pictures of photos" in text


def test_what_is_missing_of_the_corruptions_and_few_pictures_are_noted(report):
    for text in report.everywhere:
        words = " ".join(text.split())
        assert "Means are over 2 of the 15 corruptions: gaussian noise and fog." in words
        assert "one picture is 1.0 points" in words


def test_the_terminal_s_tables_fit_80_columns(report):
    lines = report.narrow.splitlines()
    assert max(map(len, lines)) <= 80
    (row,) = (line for line in lines if "55.5" in line)
    assert row.split()[:2] == ["calibrated", "gates"]
    assert "difference to the baseline" in report.narrow


def test_figures_are_files_and_in_the_page(report):
    drawn = {path.name for path in (report.folder / "figures").iterdir()}
    assert drawn == {
        "differences-lite.svg",
        "severities-corruption-lite.svg",
        "severities-extra-lite.svg",
        "severities-style-lite.svg",
    }
    svg = (report.folder / "figures/differences-lite.svg").read_text()
    texts = [each.text for each in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314
    assert {"gaussian noise", "calibrated gates", "Tent", "+20.0", "mean"} <= set(texts)


def test_severities_have_their_own_means(tmp_path):
    measured = Robustness(write_results(tmp_path, severities=[1, 5]))
    (as_trained, _) = measured.groups
    assert measured.by_severity(as_trained, "corruption") == {0: 80, 1: 40, 5: 20}
    assert measured.top1(as_trained, ["fog"]).mean == 35  # of 45 and 25


def test_turns_split_by_the_severity_of_each_picture(tmp_path):
    measured = Robustness(write_results(tmp_path))
    by_severity = measured.by_severity(measured.groups[0], "style")
    assert by_severity == {0: 80, **dict.fromkeys(range(1, 6), 45)}


def test_each_network_is_held_against_itself_or_against_the_baseline_asked_for(tmp_path):
    folder = write_results(tmp_path, models=("a", "b"))
    measured = Robustness(folder)
    assert [measured.baseline(group).id for group in measured.groups] == ["a:none", "a:none", "b:none", "b:none"]
    files = {figure.file for figure in robustness_page(measured).figures}
    assert {"differences-a.svg", "differences-b.svg"} <= files
    other = Robustness(folder, "b:calibrated")
    assert {other.baseline(group).id for group in other.groups} == {"b:calibrated"}
    assert other.difference(other.groups[0], ["dark"]).mean == -10
    with pytest.raises(UserError, match="unknown baseline 'b:calibratd', did you mean 'b:calibrated'"):
        Robustness(folder, "b:calibratd")


def test_without_shifts_or_others_there_is_a_page_all_the_same(tmp_path):
    report = read_report(write_robustness(write_results(tmp_path, ("none",), shifts=())))
    assert "no shifts" in report.markdown
    assert "80.0" in report.narrow


def test_one_shift_and_one_kind_are_enough(tmp_path):
    report = read_report(write_robustness(write_results(tmp_path, shifts=SOME[-1:])))
    assert report.entries["mce"] == {}
    assert "mCE" not in report.html.partition("<p")[0]


def test_answers_that_are_no_numbers_are_noted(tmp_path):
    folder = write_results(tmp_path)
    path = folder / "results/clean-0.safetensors"
    tensors = load_file(path)
    tensors["lite:calibrated:0.predicted"][:3] = -1
    tensors["lite:calibrated:0.confidence"][:3] = torch.nan
    facts = {"seconds": {}, "preparing": {}, "memory_mib": 1}
    for name in ("lite:none", "lite:calibrated:0"):
        facts["seconds"][name] = facts["preparing"][name] = 1
    save_file(tensors, path, {"binorm": json.dumps(facts)})
    page = robustness_page(Robustness(folder))
    assert "lite:calibrated: 3 answers are not numbers, and count as wrong." in page.notes
    assert page.entries["top1"]["lite:calibrated"][CLEAN].mean == 77
    assert math.isnan(page.entries["calibration_error"]["lite:calibrated"][CLEAN])


def test_shifts_that_are_being_measured_are_left_out(tmp_path):
    folder = write_results(tmp_path, severities=[1, 5])
    (folder / "results/fog-5.safetensors").unlink()
    assert "fog" not in Robustness(folder).shifted


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "robustness.json").unlink(), "has no robustness.json"),
        (lambda folder: (folder / "robustness.json").write_text("{"), "robustness.json is damaged"),
        (lambda folder: (folder / "robustness.json").write_text('{"version": 1}'), "robustness.json is damaged"),
        (
            lambda folder: (folder / "robustness.json").write_text('{"version": 9, "setting": {}}'),
            "is of version 9, this binorm knows 1",
        ),
        (lambda folder: (folder / "results/clean-0.safetensors").unlink(), "there is no .*clean-0"),
        (lambda folder: (folder / "results/fog-turns.safetensors").write_bytes(b"x"), "fog-turns.* is damaged"),
        (lambda folder: (folder / "results/fogg-turns.safetensors").write_bytes(b"x"), "unknown shift 'fogg'"),
        (lambda folder: (folder / "labels.safetensors").write_bytes(b"x"), "labels.* is damaged"),
    ],
)
def test_damaged_folders_are_named(tmp_path, damage, message):
    folder = write_results(tmp_path)
    damage(folder)
    with pytest.raises(UserError, match=message):
        Robustness(folder)


def test_names_of_models_are_text_and_nothing_else(tmp_path):
    name = "<script>alert(1)</script> $x$\x1b"
    report = read_report(write_robustness(write_results(tmp_path, models=(name,), shifts=SOME[:1])))
    assert "script" not in Tags(report.html).names
    assert "\x1b" not in report.html + report.markdown + report.narrow
