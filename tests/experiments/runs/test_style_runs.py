import json

import pytest
import yaml
from fake_runs import write_run
from fake_styles import write_style_run, write_styles

from binorm.experiments.common.errors import UserError
from binorm.experiments.report.notes import schedule_label
from binorm.experiments.runs.reading import Run, read_runs, task_of


def edit(path, **changes):
    entries = json.loads(path.read_text())
    for key, value in changes.items():
        entries[key] = value
    path.write_text(json.dumps(entries))


def test_style_folders_are_told_by_the_task_of_their_runs(tmp_path):
    write_style_run(tmp_path / "style" / "udnie", "bin", 0)
    write_style_run(tmp_path / "style" / "great-wave", "bn", 1, record={"status": "running"})
    write_run(tmp_path / "style" / "digits", "bn", 0)
    (tmp_path / "style" / "empty").mkdir()
    (tmp_path / "style" / "notes.txt").write_text("")
    tasks = {path.name: task_of(path) for path in (tmp_path / "style").iterdir()}
    assert tasks == {
        "udnie": "stylization",
        "great-wave": "stylization",
        "digits": "classification",
        "empty": None,
        "notes.txt": None,
    }
    assert task_of(tmp_path / "elsewhere") is None


@pytest.mark.parametrize("content", ["{", "[]", "3", "", "\x00"])
def test_a_damaged_configuration_does_not_decide_what_a_folder_is(tmp_path, content):
    run = write_style_run(tmp_path, "bin", 0)
    (run / "config.yaml").write_text(content)
    assert task_of(tmp_path) is None
    write_style_run(tmp_path, "bin", 1)
    assert task_of(tmp_path) == "stylization"


def test_runs_come_in_order_with_their_losses_by_step(tmp_path):
    for norm, seed in (("bin", 0), ("bn", 10), ("bn", 2)):
        write_style_run(tmp_path, norm, seed, steps=300, last={"content": 0.25})
    runs = read_runs(tmp_path)
    assert [(run.norm, run.seed) for run in runs] == [("bn", 2), ("bn", 10), ("bin", 0)]
    content = runs[0].losses("content")
    assert list(content) == [100, 200, 300]
    assert content[300] == 0.25
    assert set(runs[0].samples) == {"china", "china-stylized", "flower", "flower-stylized"}
    assert [bool(run.gate_layers) for run in runs] == [False, False, True]


def test_folders_of_the_machine_are_left_out(tmp_path):
    config = {"style": r"C:\pictures\udnie.jpg", "loss_network": "/home/someone/weights.npz"}
    run = write_style_run(tmp_path / "udnie", "bin", 0, config=config)
    (result,) = read_runs(tmp_path / "udnie")
    assert (result.config["style"], result.config["loss_network"]) == ("udnie.jpg", "weights.npz")
    assert result.record.data["style"] == {"name": "udnie", "picture": "udnie.jpg", "size": [320, 256]}
    assert "/home" in (run / "run.json").read_text()


def test_unfinished_runs_say_why(tmp_path):
    write_style_run(tmp_path, "bn", 0, record={"status": "running"})
    write_style_run(tmp_path, "bn", 1, record={"status": "diverged", "reason": "the loss became nan"})
    (tmp_path / "bn" / "seed2").mkdir()
    runs = read_runs(tmp_path)
    assert all(type(run) is Run for run in runs)
    assert [run.status for run in runs] == ["unfinished", "diverged", "unfinished"]
    assert [run.reason for run in runs[1:]] == ["the loss became nan", "stopped before it began: run.json is missing"]


def test_a_folder_without_runs_says_what_was_expected(tmp_path):
    with pytest.raises(UserError, match=r"no runs in .*expected <norm>/seed<k>/.*binorm compare"):
        read_runs(tmp_path)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"norm": "bin"}, "belongs to norm 'bin'"),
        ({"status": "lost"}, "status is 'lost'"),
        ({"seconds": "long"}, "seconds is 'long'"),
        ({"data": {"name": "photos"}}, "train is None"),
        ({"style": None}, "style is None"),
        ({"style": {"name": "udnie"}}, "picture is None"),
        ({"style": {"picture": "udnie.jpg"}}, "name is None"),
    ],
)
def test_a_damaged_record_is_named(tmp_path, changes, problem):
    edit(write_style_run(tmp_path, "bn", 0) / "run.json", **changes)
    with pytest.raises(UserError, match=rf"run\.json .*{problem}"):
        read_runs(tmp_path)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda text: "", "the columns step, seconds"),
        (lambda text: text.replace("content", "contents"), "the columns content are missing"),
        (lambda text: text.splitlines()[0], "rise evenly to 300; there are 0 rows"),
        (lambda text: "\n".join(text.splitlines()[:-1]), "rise evenly to 300; there are 2 rows, the last at 200"),
        (lambda text: "\n".join((*text.splitlines()[:2], *text.splitlines()[1:])), "rise evenly to 300"),
        (lambda text: text[:-30], "a row is cut short"),
        (lambda text: text.replace("0.001", "quick"), "could not convert"),
    ],
)
def test_damaged_metrics_are_named_with_the_way_out(tmp_path, damage, problem):
    path = write_style_run(tmp_path, "bn", 0, steps=300) / "metrics.csv"
    path.write_text(damage(path.read_text()))
    with pytest.raises(UserError, match=rf"metrics\.csv cannot be read: .*{problem}.*Delete"):
        read_runs(tmp_path)


@pytest.mark.parametrize(("file", "content"), [("config.yaml", "steps: ["), ("config.yaml", "[]"), ("run.json", "{")])
def test_what_is_no_yaml_or_json_is_named(tmp_path, file, content):
    (write_style_run(tmp_path, "bn", 0) / file).write_text(content)
    with pytest.raises(UserError, match=rf"{file} cannot be read"):
        read_runs(tmp_path)


def test_a_configuration_without_steps_is_named(tmp_path):
    path = write_style_run(tmp_path, "bn", 0) / "config.yaml"
    config = yaml.safe_load(path.read_text())
    del config["full_steps"]
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(UserError, match=r"config\.yaml cannot be read: full_steps is None, expected int"):
        read_runs(tmp_path)


def test_only_short_schedules_have_a_label(tmp_path):
    write_styles(tmp_path, 1, ("bn", "in"), steps=2000)
    assert schedule_label(read_runs(tmp_path), "steps") is None
    write_style_run(tmp_path, "bin", 0, steps=1000, config={"full_steps": 40_000})
    assert schedule_label(read_runs(tmp_path), "steps") == "short schedule: 1,000 of 40,000 steps"
