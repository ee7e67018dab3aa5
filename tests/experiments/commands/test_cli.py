import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from cifar_trees import write_pictures

from binorm.experiments.cli import main

SHORT = ("--epochs", "1", "--batch_size", "8", "--compile", "no")


@pytest.fixture(scope="module")
def cifar(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cifar")
    write_pictures(folder, per_class=3)
    return folder


@pytest.fixture(scope="module")
def compared(cifar, tmp_path_factory):
    """The runs of one small comparison."""
    out = tmp_path_factory.mktemp("runs")
    arguments = ["compare", "cifar10-resnet20", "--model", "resnet8", "--norms", "bn,bin", "--seeds", "2", *SHORT]
    assert main([*arguments, "--data", str(cifar), "--out", str(out)]) == 0
    return out, arguments


def _error(capsys, *arguments):
    """The message of a command that must fail as the user's mistake, without a traceback."""
    assert main([str(each) for each in arguments]) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert error.startswith("error: ")
    return error


def test_compare_trains_every_norm_with_every_seed_and_reports(compared):
    out, _ = compared
    folder = out / "cifar10-resnet20"
    assert sorted(str(path.parent.relative_to(folder)) for path in folder.glob("*/*/model.safetensors")) == [
        "bin/seed0",
        "bin/seed1",
        "bn/seed0",
        "bn/seed1",
    ]
    assert {"report.html", "report.md", "report.json"} <= set(os.listdir(folder))
    assert "Short schedule: 1 of 164 epochs" in (folder / "report.md").read_text()


def test_compare_measures_on_shifted_pictures_with_what_is_installed_or_asked_for(compared, cifar, tmp_path, capsys):
    out, arguments = compared
    folder = shutil.copytree(out / "cifar10-resnet20", tmp_path / "cifar10-resnet20")
    rows = json.loads((folder / "report.json").read_text())["shifted"]
    assert [row["norm"] for row in rows] == ["bn", "bin"]
    assert {"shifted_accuracy corruption", "shifted_accuracy fog", "shifted_accuracy dark"} <= rows[1]["by_seed"].keys()
    for path in folder.glob("*/*/run.json"):
        facts = json.loads(path.read_text())
        del facts["shifted"]
        path.write_text(json.dumps(facts))
    again = [*arguments, "--data", str(cifar), "--out", str(tmp_path)]
    assert main([*again, "--shifts", "none"]) == 0
    assert json.loads((folder / "report.json").read_text())["shifted"] == []
    assert main([*again, "--shifts", "style"]) == 0
    found = json.loads((folder / "report.json").read_text())["shifted"]
    assert found[1]["by_seed"]["shifted_accuracy style"] == rows[1]["by_seed"]["shifted_accuracy style"]
    assert "shifted_accuracy fog" not in found[1]["by_seed"]
    assert "unknown group of shifts 'styles'" in _error(capsys, *again, "--shifts", "styles")


def test_compare_again_trains_nothing_twice(compared, cifar, capsys, monkeypatch):
    out, arguments = compared
    monkeypatch.setattr("binorm.experiments.training.compare.run", lambda *_: pytest.fail("trained again"))
    assert main([*arguments, "--out", str(out)]) == 0
    output = capsys.readouterr().out
    assert "4 of 4 runs are done already" in output
    assert "report.html" in output


def test_other_data_under_the_same_out_are_refused_and_their_evaluation_is_labelled(compared, cifar, tmp_path, capsys):
    out, arguments = compared
    other = shutil.copytree(cifar, tmp_path / "other")
    shutil.copy(other / "test/cat/0000.png", other / "test/dog/0000.png")
    error = _error(capsys, *arguments, "--data", other, "--out", out)
    assert "bin/seed0 was trained on other data (as many pictures, but not the same)" in " ".join(error.split())
    warning = "warning: it was trained and tested on other data (as many pictures, but not the same)"
    for data, expected in ((cifar, False), (other, True)):
        assert main(["evaluate", str(out / "cifar10-resnet20/bin/seed0"), "--data", str(data)]) == 0
        assert (warning in " ".join(capsys.readouterr().out.split())) == expected


def test_pictures_that_are_trained_and_tested_on_are_told_before_training_and_in_the_report(cifar, tmp_path, capsys):
    data = shutil.copytree(cifar, tmp_path / "data")
    shutil.copy(data / "train/cat/0000.png", data / "test/cat/0002.png")
    (data / "train/dog/phone.heic").write_bytes(b"x")
    arguments = ["compare", "cifar10-resnet20", "--model", "resnet8", "--norms", "bn", "--seeds", "1", *SHORT]
    assert main([*arguments, "--data", str(data), "--out", str(tmp_path / "runs")]) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "warning: 1 of the 30 pictures of test is among the training pictures, pixel for pixel" in output
    assert "warning: left out: pictures of a kind that is not read (convert them to PNG) (1, such as" in output
    report = " ".join((tmp_path / "runs/cifar10-resnet20/report.md").read_text().split())
    assert "1 of the 30 pictures of test is among the training pictures, pixel for pixel" in report
    assert "phone.heic" in report


def test_pictures_of_one_s_own_are_compared_without_a_word_of_anyone_s_data_set(cifar, tmp_path, capsys):
    small = ("--model", "resnet8", "--weights", "", "--image_size", "16", "--crop_padding", "1", *SHORT)
    arguments = ["compare", "folder", *small, "--norms", "bn,bin", "--seeds", "1", "--data", str(cifar)]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    report = (tmp_path / "folder/report.md").read_text()
    assert f"{cifar.name} (folder): resnet8" in report
    assert "CIFAR" not in report


def test_compare_finishes_what_is_missing(compared, cifar, tmp_path, capsys):
    out, arguments = compared
    shutil.copytree(out, tmp_path / "runs")
    shutil.rmtree(tmp_path / "runs/cifar10-resnet20/bin/seed1")
    assert main([*arguments, "--data", str(cifar), "--out", str(tmp_path / "runs")]) == 0
    assert "3 of 4 runs are done already" in capsys.readouterr().out
    copy, original = (each / "cifar10-resnet20/bin/seed1/model.safetensors" for each in (tmp_path / "runs", out))
    assert copy.read_bytes() == original.read_bytes()


def test_compare_reports_the_others_when_one_diverges(cifar, tmp_path, capsys, monkeypatch):
    from binorm.experiments.common.errors import DivergenceError
    from binorm.experiments.training import compare

    def run(task, recipe, norm, *rest):
        if norm == "in":
            raise DivergenceError("the loss became nan")
        return original(task, recipe, norm, *rest)

    original = compare.run
    monkeypatch.setattr(compare, "run", run)
    arguments = ["compare", "cifar10-resnet20", "--model", "resnet8", "--norms", "in,bn", "--seeds", "1", *SHORT]
    arguments += ["--shifts", "none"]
    assert main([*arguments, "--data", str(cifar), "--out", str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert "diverged: the loss became nan" in captured.err
    assert (tmp_path / "cifar10-resnet20/bn/seed0/model.safetensors").exists()
    assert (tmp_path / "cifar10-resnet20/report.html").exists()


def test_several_recipes_get_a_table_and_figures_for_print(cifar, tmp_path, capsys):
    shared = ["--norms", "bn,bin", "--seeds", "1", "--model", "resnet8", *SHORT, "--validation", "0.2"]
    shared += ["--shifts", "none"]
    out, figures = tmp_path / "runs", tmp_path / "figures"
    arguments = ["compare", "cifar10-resnet[25]*", *shared, "--data", str(cifar), "--out", str(out)]
    assert main([*arguments, "--figures", str(figures), "--format", "svg"]) == 0
    output = capsys.readouterr().out
    first, second = (f"cifar10: resnet8 (cifar10-resnet{depth}): 16 training pictures" for depth in (20, 56))
    assert output.index(first) < output.index(second)
    assert "all together: about" in output
    assert {"table.html", "table.md", "table.json"} <= set(os.listdir(out))
    assert set(os.listdir(figures)) == {"cifar10-resnet20", "cifar10-resnet56"}
    assert (figures / "cifar10-resnet56" / "captions.txt").exists()
    run = json.loads((out / "cifar10-resnet20/bin/seed0/run.json").read_text())
    assert run["data"]["evaluation"] == {"test": 30, "validation": 10}
    # What was held out is held out in evaluation as well.
    assert main(["evaluate", str(out / "cifar10-resnet20/bin/seed0"), "--data", str(cifar)]) == 0
    assert re.search(r"validation +10 +", capsys.readouterr().out)


def test_evaluate_agrees_with_the_last_epoch(compared, cifar, capsys):
    out, _ = compared
    folder = out / "cifar10-resnet20"
    assert main(["evaluate", str(folder / "bin/seed0"), "--data", str(cifar)]) == 0
    accuracy = float(re.search(r"test +30 +([\d.]+)", capsys.readouterr().out).group(1))
    runs = json.loads((folder / "report.json").read_text())["runs"]
    (last,) = (run["last"]["test"] for run in runs if (run["norm"], run["seed"]) == ("bin", 0))
    assert accuracy == pytest.approx(last, abs=0.01)


def test_gates_shows_layers_and_all(compared, capsys):
    out, _ = compared
    assert main(["gates", str(out / "cifar10-resnet20/bin/seed0")]) == 0
    output = capsys.readouterr().out
    assert "stage3.0.norm2" in output
    assert re.search(r"all\s+336", output)


def test_gates_writes_figures_and_responses(compared, cifar, tmp_path, capsys):
    run = tmp_path / "recipe/bin/seed0"
    shutil.copytree(compared[0] / "cifar10-resnet20/bin/seed0", run)
    arguments = ["gates", str(run), "--figures", str(tmp_path / "figures"), "--responses", "--data", str(cifar)]
    assert main(arguments) == 0
    written = re.findall(r"written: (.*)", capsys.readouterr().out)
    assert {path.rpartition(".")[2] for path in written} == {"pdf", "png"}
    assert all(len(Path(path).read_bytes()) > 1000 for path in written)
    assert (run / "responses" / "responses.json").exists()
    assert "--format is that of" in _error(capsys, "gates", run, "--format", "svg")


def test_data_lists_describes_verifies_and_prepares(cifar, tmp_path, capsys):
    assert main(["data"]) == 0
    assert "cifar100" in capsys.readouterr().out
    assert main(["data", "icdar2003"]) == 0
    assert "char.xml" in capsys.readouterr().out
    assert main(["data", "verify", "digits"]) == 0
    assert "whole" in capsys.readouterr().out
    assert main(["data", "verify", "cifar10", "--data", str(cifar)]) == 2
    assert "expected" in capsys.readouterr().out
    assert main(["data", "prepare", "cifar10", "--data", str(cifar)]) == 0
    assert "30 train" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--help"], ["compare", "--help"], ["train", "--help"], ["gates", "--help"]])
def test_help_has_an_example(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 0
    output = capsys.readouterr().out
    assert "binorm" in output
    assert len(arguments) == 1 or "example: binorm" in output


def test_no_arguments_show_the_help_and_exit_2(capsys):
    assert main([]) == 2
    assert "compare" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compar", "digits"], "unknown command 'compar', did you mean 'compare'"),
        (["compare", "digit"], "unknown recipe 'digit', did you mean 'digits'"),
        (["compare", "digits", "--norms", "bn,bim"], "unknown norm 'bim', did you mean 'bi?n'"),
        (["compare", "digits", "--norms", "bn,bn"], "norms should name each norm once"),
        (["compare", "digits", "--epoch", "3"], "unknown option --epoch of binorm compare, did you mean '--epochs'"),
        (["compare", "digits", "--epochs", "many"], "epochs"),
        (["compare", "digits", "--epochs", "0"], "epochs should be at least 1"),
        (["compare", "digits", "--seeds", "0"], "seeds should be at least 1"),
        (["compare", "digits", "--precision", "float8"], "precision"),
        (["compare", "digits", "--model", "resnet9"], "unknown network 'resnet9', did you mean"),
        (
            ["compare", "digits", "--task", "clasification"],
            "unknown task 'clasification', did you mean",
        ),
        (["compare", "digits", "--dataset", "digts"], "unknown data set 'digts', did you mean 'digits'"),
        (["train", "digits", "--seed", "-1"], "a seed should be at least 0 .got -1"),
        (["train", "digits", "--norm", "bnn"], "unknown norm 'bnn'"),
        (["train", "digits", "--batch_size", "100000"], "fewer than one batch of 100000"),
        (["train", "cifar10-resnet20"], "cifar10 needs --data"),
        (["train", "cifar10-resnet20", "--data", "no such place"], "there is no data at no such place"),
        (["compare"], "recipe"),
        (["compare", "icdar-*"], "no recipe is called like 'icdar-[*]'"),
        (["compare", "digits", "digits"], "a recipe is named twice"),
        (["compare", "digits", "--budget", "soon"], "--budget should be a time such as"),
        (["compare", "digits", "--budget", "1h", "--epochs", "2"], "give it or --epochs, not both"),
        (["compare", "digits", "--validation", "1"], "validation is a share and should be below 1"),
        (["compare", "digits", "--dropout", "0.5"], "resnet8 takes no dropout"),
        (["compare", "digits", "--model", "timm:resnet18q"], "unknown network 'resnet18q' of timm"),
        (["train", "cifar100-wrn28_10", "--resized_crop", "true"], "resized_crop replaces crop_padding"),
        (["data", "cifar1"], "unknown data set 'cifar1', did you mean 'cifar10'"),
        (["data", "verify"], "takes the name of one data set after verify"),
        (["data", "verify", "digits", "--shards", "x"], "--shards belongs to 'binorm data prepare'"),
    ],
)
def test_mistakes_get_a_clear_error_and_exit_code_2(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert re.search(message, _error(capsys, *arguments))


def test_other_configuration_in_the_same_place_is_an_error(compared, cifar, capsys):
    out, arguments = compared
    error = _error(capsys, *arguments, "--lr", "0.3", "--data", cifar, "--out", out)
    assert "lr 0.1 there, 0.3 asked for" in error


def test_no_write_permission_is_an_error(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert "cannot write" in _error(capsys, "train", "digits", "--out", tmp_path / "file")


def test_broken_pictures_in_training_are_counted_and_named(cifar, tmp_path, capsys):
    data = tmp_path / "data"
    shutil.copytree(cifar, data)
    (data / "train/cat/0000.png").write_bytes(b"no picture")
    (data / "train/dog/0001.png").write_bytes(b"")
    arguments = ["train", "cifar10-resnet20", "--model", "resnet8", *SHORT, "--data", str(data), "--out", str(tmp_path)]
    assert main(arguments) == 0
    output = capsys.readouterr().out
    assert "2 broken training pictures are left out: train/cat/0000.png, train/dog/0001.png" in output
    record = json.loads((tmp_path / "cifar10-resnet20/bin/seed0/run.json").read_text())
    assert record["data"]["skipped"] == ["train/cat/0000.png", "train/dog/0001.png"]


def test_evaluating_a_broken_picture_is_an_error(compared, cifar, tmp_path, capsys):
    shutil.copytree(cifar, tmp_path / "data")
    (tmp_path / "data/test/cat/0000.png").write_bytes(b"no picture")
    error = _error(capsys, "evaluate", compared[0] / "cifar10-resnet20/bn/seed0", "--data", tmp_path / "data")
    assert "test/cat/0000.png" in error


@pytest.mark.parametrize("command", ["evaluate", "gates"])
def test_unusable_checkpoints_are_errors(tmp_path, capsys, command):
    assert "there is no checkpoint" in _error(capsys, command, tmp_path / "nothing")
    damaged = tmp_path / "model.safetensors"
    damaged.write_bytes(b"1234")
    assert "damaged" in _error(capsys, command, damaged)


def test_evaluating_another_kind_of_file_is_an_error(tmp_path, capsys):
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "linear.pt")
    assert "linear.pt" in _error(capsys, "evaluate", tmp_path / "linear.pt")


def _start(arguments):
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "binorm.experiments.cli", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


@pytest.fixture(scope="module")
def uninterrupted(cifar, tmp_path_factory):
    out = tmp_path_factory.mktemp("uninterrupted")
    assert main([*LONGER, "--data", str(cifar), "--out", str(out)]) == 0
    return out / "cifar10-resnet20/bin/seed0/model.safetensors"


LONGER = ["train", "cifar10-resnet20", "--model", "resnet8", *SHORT[2:], "--epochs", "12"]


@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_stopped_process_says_how_to_go_on_and_goes_on_to_the_same_result(
    cifar, uninterrupted, tmp_path, capsys, stop, code
):
    arguments = [*LONGER, "--data", str(cifar), "--out", str(tmp_path)]
    process = _start(arguments)
    for line in process.stdout:
        if "epoch 2/12" in line:
            process.send_signal(stop)
            break
    output, error = process.communicate(timeout=300)
    assert process.returncode == code
    assert "epoch 12/12" not in output
    assert "Traceback" not in error
    if stop != signal.SIGKILL:
        assert "Go on with:" in error
        assert "binorm train cifar10-resnet20 --model resnet8" in error
    assert main(arguments) == 0
    output = capsys.readouterr().out
    assert "epoch 1/12" not in output
    assert "epoch 12/12" in output
    resumed = tmp_path / "cifar10-resnet20/bin/seed0/model.safetensors"
    assert resumed.read_bytes() == uninterrupted.read_bytes()
