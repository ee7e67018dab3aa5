import json

import pytest
from fake_runs import LAYERS, write_run

from binorm.experiments.common.errors import UserError
from binorm.experiments.runs.reading import FinishedRun, Run, find_runs, read_run


def test_runs_come_in_the_order_of_display(tmp_path):
    for norm, seed in [("zeta", 0), ("bin", 0), ("bn", 10), ("bn", 2), ("alpha", 0), ("bn+in", 0), ("in", 0)]:
        (tmp_path / norm / f"seed{seed}").mkdir(parents=True)
    (tmp_path / "figures").mkdir()
    (tmp_path / "bn" / "seed-old").mkdir()
    found = [f"{path.parent.name} {path.name}" for path in find_runs(tmp_path)]
    assert found == ["bn seed2", "bn seed10", "in seed0", "bn+in seed0", "bin seed0", "alpha seed0", "zeta seed0"]


def test_a_finished_run_is_read_in_full(tmp_path):
    run = read_run(write_run(tmp_path, "bin", 3, epochs=4))
    assert isinstance(run, FinishedRun)
    assert (run.norm, run.seed, run.record.status, run.config["epochs"]) == ("bin", 3, "finished", 4)
    assert run.evaluation_sets == ("test", "unseen styles")
    assert len(run.accuracies("unseen styles")) == len(run.accuracies("train")) == 4
    assert [layer.name for layer in run.gate_layers] == list(LAYERS)
    assert len(run.gate_history) == 5 * len(LAYERS)
    assert run.gate_history[0].mean == 1
    assert {point.name: point.channels for point in run.gate_history} == LAYERS
    assert set(run.samples) == {"train", "test", "unseen styles"}


def test_a_run_without_gates_or_samples_is_fine(tmp_path):
    folder = write_run(tmp_path, "bn", 0)
    for picture in (folder / "samples").iterdir():
        picture.unlink()
    run = read_run(folder)
    assert isinstance(run, FinishedRun)
    assert run.gate_layers == run.gate_history == ()
    assert run.samples == {}


@pytest.mark.parametrize(("status", "shown"), [("running", "unfinished"), ("diverged", "diverged")])
def test_other_runs_keep_their_reason_and_need_no_other_file(tmp_path, status, shown):
    folder = write_run(tmp_path, "in", 1, record={"status": status, "reason": "loss became nan"})
    (folder / "metrics.csv").unlink()
    run = read_run(folder)
    assert type(run) is Run
    assert (run.norm, run.seed, run.status, run.reason) == ("in", 1, shown, "loss became nan")


def test_a_folder_without_a_record_is_unfinished(tmp_path):
    folder = tmp_path / "bn" / "seed0"
    folder.mkdir(parents=True)
    run = read_run(folder)
    assert type(run) is Run
    assert run.record is None


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("run.json", "{"),
        ("run.json", "[]"),
        ("config.yaml", "a: [1"),
        ("config.yaml", "just text"),
        ("config.yaml", "epochs: many"),
        ("metrics.csv", ""),
        ("metrics.csv", "epoch,train_loss\n1,0.5\n"),
        ("gates.json", "{}"),
        ("gates.json", '{"layers": [{"name": "norm", "gates": [1.5]}], "history": []}'),
        ("gates.json", '{"layers": [{"name": "norm", "gates": [NaN]}], "history": []}'),
        ("gates.json", '{"layers": [{"name": "norm", "gates": ["one"]}], "history": []}'),
    ],
)
def test_a_damaged_file_is_named_with_the_way_out(tmp_path, file, content):
    folder = write_run(tmp_path, "bin", 0)
    (folder / file).write_text(content)
    with pytest.raises(UserError) as caught:
        read_run(folder)
    assert str(folder / file) in str(caught.value)
    if file != "run.json" or content == "{":
        assert f"Delete {folder}" in str(caught.value)


@pytest.mark.parametrize("cut", [slice(0, -1), slice(0, 2)])
def test_metrics_that_lack_epochs_are_damaged(tmp_path, cut):
    path = write_run(tmp_path, "bn", 0) / "metrics.csv"
    path.write_text("\n".join(path.read_text().splitlines()[cut]))
    with pytest.raises(UserError, match="epochs should rise evenly to 4"):
        read_run(path.parent)


@pytest.mark.parametrize("broken", ["0.1,0.2", "x,x"])
def test_a_torn_row_is_damaged(tmp_path, broken):
    path = write_run(tmp_path, "bn", 0) / "metrics.csv"
    path.write_text(f"{path.read_text()}{broken}\n")
    with pytest.raises(UserError, match=r"metrics\.csv cannot be read"):
        read_run(path.parent)


@pytest.mark.parametrize("file", ["config.yaml", "metrics.csv"])
def test_a_missing_file_of_a_finished_run_is_named(tmp_path, file):
    folder = write_run(tmp_path, "bn", 0)
    (folder / file).unlink()
    with pytest.raises(UserError, match="missing"):
        read_run(folder)


def test_binary_where_text_belongs_is_damaged(tmp_path):
    folder = write_run(tmp_path, "bn", 0)
    (folder / "config.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="UTF-8"):
        read_run(folder)


def test_a_run_in_the_folder_of_another_is_refused(tmp_path):
    folder = write_run(tmp_path, "bn", 0)
    moved = tmp_path / "bin" / "seed0"
    moved.parent.mkdir()
    folder.rename(moved)
    with pytest.raises(UserError, match="belongs to norm 'bn', seed 0"):
        read_run(moved)


@pytest.mark.parametrize("entry", [{"status": "sleeping"}, {"seconds": None}, {"machine": []}, {"data": {}}])
def test_a_record_with_a_wrong_entry_is_damaged(tmp_path, entry):
    folder = write_run(tmp_path, "bn", 0, record=entry)
    assert json.loads((folder / "run.json").read_text()).items() >= entry.items()
    with pytest.raises(UserError, match=next(iter(entry)) if "data" not in entry else "train"):
        read_run(folder)
