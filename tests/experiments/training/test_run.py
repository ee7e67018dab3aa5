import csv
import dataclasses
import errno
import json
import math
import signal
import threading

import pytest
import tiny
import torch
from filelock import FileLock
from lightning.pytorch import Callback

from binorm import gate_parameters
from binorm.experiments.common import machine
from binorm.experiments.common.errors import DivergenceError, Interrupted, UserError
from binorm.experiments.data.dataset import ImageSet
from binorm.experiments.data.identity import identity
from binorm.experiments.runs import checkpoint
from binorm.experiments.runs.checkpoint import load_network
from binorm.experiments.runs.folder import run_status
from binorm.experiments.runs.reading import read_runs
from binorm.experiments.training.recorder import Recorder


def _metrics(folder):
    """Every number of ``metrics.csv`` that must not depend on clock and machine."""
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    measured = ("second", "joules")
    return [{name: value for name, value in row.items() if not any(map(name.__contains__, measured))} for row in rows]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run."""
    return tiny.train(tmp_path_factory.mktemp("whole"))


def test_a_run_leaves_everything_that_is_known_about_it(whole):
    folder = whole
    assert folder.parts[-3:] == ("tiny", "bin", "seed0")
    facts = json.loads((folder / "run.json").read_text())
    assert facts["status"] == "finished"
    assert facts["data"]["evaluation"] == {"test": 42, "dark": 42}
    assert facts["gates"] == 336
    assert [row["epoch"] for row in _metrics(folder)] == ["1", "2", "3"]
    assert {"train_loss", "train_accuracy", "test_accuracy", "dark_loss"} <= set(_metrics(folder)[0])
    gates = json.loads((folder / "gates.json").read_text())
    assert [entry["epoch"] for entry in gates["history"]] == [0, 1, 2, 3]
    assert sum(len(layer["gates"]) for layer in gates["layers"]) == 336
    assert {path.name for path in (folder / "samples").iterdir()} == {"train.png", "test.png", "dark.png"}
    assert list((folder / "tensorboard").iterdir())
    assert not list(folder.rglob("*.tmp"))


def test_training_learns_and_moves_the_gates(tmp_path):
    recipe = dataclasses.replace(tiny.RECIPE, epochs=8)
    folder = tiny.train(tmp_path, recipe=recipe)
    losses = [float(row["train_loss"]) for row in _metrics(folder)]
    assert losses[-1] < 0.8 * losses[0]
    network, _ = load_network(folder)
    gates = torch.cat(list(gate_parameters(network)))
    assert (gates < 0.999).any()
    assert ((gates >= 0) & (gates <= 1)).all()


def test_fixed_mix_keeps_its_gates_and_reports_none(tmp_path):
    folder = tiny.train(tmp_path, "bn+in")
    network, _ = load_network(folder)
    assert all((gate == 0.5).all() for gate in gate_parameters(network))
    assert not (folder / "gates.json").exists()
    assert json.loads((folder / "run.json").read_text())["gates"] == 0


def test_last_row_is_the_accuracy_of_the_saved_weights(tmp_path):
    data = tiny.dataset()
    folder = tiny.train(tmp_path, data=data)
    network, _ = load_network(folder)
    images = (data.train.images.permute(0, 3, 1, 2) / 255 - 0.5) / 0.5
    with torch.no_grad():
        right = (network.eval()(images).argmax(1) == data.train.labels).double().mean().item()
    assert float(_metrics(folder)[-1]["test_accuracy"]) == pytest.approx(100 * right, abs=1e-3)


def test_the_same_seed_gives_the_same_bits_and_another_does_not(tmp_path, whole):
    again = tiny.train(tmp_path)
    assert (again / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert _metrics(again) == _metrics(whole)
    assert _metrics(tiny.train(tmp_path, seed=1)) != _metrics(whole)


@pytest.mark.parametrize(
    ("epoch", "hook", "signal_number"),
    [
        (1, "on_train_batch_end", signal.SIGINT),
        (2, "on_train_epoch_end", signal.SIGTERM),
        (3, "on_fit_end", signal.SIGINT),
    ],
)
def test_stopped_anywhere_a_run_resumes_to_the_same_result(tmp_path, monkeypatch, whole, epoch, hook, signal_number):
    original = getattr(Recorder, hook, getattr(Callback, hook))

    def stop(self, trainer, *arguments):
        if trainer.current_epoch == epoch:
            signal.raise_signal(signal_number)
        original(self, trainer, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, hook, stop)
        with pytest.raises(Interrupted):
            tiny.train(tmp_path / "stopped")
    assert json.loads((tmp_path / "stopped/tiny/bin/seed0/run.json").read_text())["status"] == "running"
    resumed = tiny.train(tmp_path / "stopped")
    assert _metrics(resumed) == _metrics(whole)
    assert (resumed / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert (resumed / "gates.json").read_bytes() == (whole / "gates.json").read_bytes()


def test_signal_handlers_are_put_back(tmp_path):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    tiny.train(tmp_path)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_runs_in_another_thread(tmp_path):
    folders = []
    thread = threading.Thread(target=lambda: folders.append(tiny.train(tmp_path)))
    thread.start()
    thread.join()
    assert (folders[0] / "model.safetensors").exists()


def test_a_finished_run_is_not_trained_again(tmp_path):
    folder = tiny.train(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}
    tiny.train(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_another_configuration_in_the_same_folder_is_refused(tmp_path):
    tiny.train(tmp_path)
    with pytest.raises(UserError, match=r"another configuration \(lr 0\.05 there, 0\.5 asked for\)"):
        tiny.train(tmp_path, recipe=dataclasses.replace(tiny.RECIPE, lr=0.5))


def test_a_run_from_before_a_field_existed_counts_as_its_default(tmp_path):
    folder = tiny.train(tmp_path)
    lines = (folder / "config.yaml").read_text().splitlines()
    (folder / "config.yaml").write_text("\n".join(line for line in lines if not line.startswith("validation")))
    assert run_status(folder, tiny.RECIPE) == "finished"
    with pytest.raises(UserError, match=r"\(validation 0\.0 there, 0\.1 asked for\)"):
        run_status(folder, dataclasses.replace(tiny.RECIPE, validation=0.1))


def _other_pictures():
    data = tiny.dataset()
    images = data.train.images.clone()
    images[5] = 255 - images[5]
    return dataclasses.replace(data, train=ImageSet(images, data.train.labels))


def _fewer_pictures():
    data = tiny.dataset()
    return dataclasses.replace(data, evaluation={"test": ImageSet(data.train.images[:40], data.train.labels[:40])})


@pytest.mark.parametrize("norm", ["bin", "bn"])  # the run itself, and one that would be compared with it
@pytest.mark.parametrize(
    ("other", "message"),
    [
        (_other_pictures, "as many pictures, but not the same"),
        (_fewer_pictures, r"the evaluation sets test \(42\), dark \(42\) there, test \(40\) now"),
    ],
)
def test_other_data_in_the_same_folder_are_refused(tmp_path, norm, other, message):
    tiny.train(tmp_path)
    with pytest.raises(UserError, match=rf"bin/seed0 was trained on other data \({message}\): .*--out"):
        tiny.train(tmp_path, norm=norm, data=other())


def test_another_setting_that_changes_the_data_is_named_as_what_it_is(tmp_path):
    tiny.train(tmp_path)
    with pytest.raises(UserError, match=r"another configuration \(validation 0\.0 there, 0\.2 asked for\)"):
        tiny.train(tmp_path, recipe=dataclasses.replace(tiny.RECIPE, validation=0.2), data=_fewer_pictures())


def test_a_run_from_before_data_had_fingerprints_is_told_by_counts(tmp_path):
    folder = tiny.train(tmp_path)
    facts = json.loads((folder / "run.json").read_text())
    for key in ("fingerprint", "duplicates", "remarks"):
        del facts["data"][key]
    (folder / "run.json").write_text(json.dumps(facts))
    assert tiny.train(tmp_path, data=_other_pictures()) == folder
    with pytest.raises(UserError, match="was trained on other data"):
        tiny.train(tmp_path, data=_fewer_pictures())


def test_what_is_known_of_the_data_is_written_down(whole):
    data = json.loads((whole / "run.json").read_text())["data"]
    assert data["duplicates"] == {"test": 42, "dark": 42}
    assert data["remarks"] == []
    assert data["fingerprint"] == identity(tiny.dataset()).fingerprint


def test_a_run_in_use_is_refused(tmp_path):
    folder = tmp_path / "tiny" / "bin" / "seed0"
    folder.mkdir(parents=True)
    with FileLock(folder / ".lock"), pytest.raises(UserError, match="another process is training"):
        tiny.train(tmp_path)


def test_nan_loss_stops_the_run_and_says_what_to_try(tmp_path):
    recipe = dataclasses.replace(tiny.RECIPE, lr=math.inf)
    with pytest.raises(DivergenceError, match=r"loss became nan in epoch 1, step 2, with lr inf: try a lower --lr"):
        tiny.train(tmp_path, recipe=recipe)
    facts = json.loads((tmp_path / "tiny/bin/seed0/run.json").read_text())
    assert facts["status"] == "diverged"
    assert "lower --lr" in facts["reason"]


def test_damaged_resume_checkpoint_is_named(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "on_fit_end", lambda *_: signal.raise_signal(signal.SIGTERM))
        with pytest.raises(Interrupted):
            tiny.train(tmp_path)
    checkpoint = tmp_path / "tiny/bin/seed0/checkpoints/last.ckpt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"last\.ckpt is .*damaged"):
        tiny.train(tmp_path)


def test_damaged_run_record_is_named(tmp_path):
    folder = tiny.train(tmp_path)
    (folder / "run.json").write_text("{")
    with pytest.raises(UserError, match="seed0 is damaged"):
        tiny.train(tmp_path)


def test_fewer_pictures_than_a_batch_is_an_error(tmp_path):
    with pytest.raises(UserError, match="42 training pictures, fewer than one batch of 64"):
        tiny.train(tmp_path, recipe=dataclasses.replace(tiny.RECIPE, batch_size=64))


def test_full_disk_while_saving_loses_nothing(tmp_path, monkeypatch, whole):
    saves = []

    def save(content, file, save=torch.save):
        saves.append(1)
        if len(saves) == 2:
            file.write(b"half a check")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(content, file)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.torch, "save", save)
        with pytest.raises(UserError, match=r"cannot write .*last\.ckpt: No space left on device; free some space"):
            tiny.train(tmp_path / "full")
    folder = tmp_path / "full/tiny/bin/seed0"
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["last.ckpt"]
    assert _metrics(tiny.train(tmp_path / "full")) == _metrics(whole)


@pytest.mark.parametrize("counted", [(False, True), (True, False)])
def test_a_run_goes_on_where_energy_is_counted_or_no_longer(tmp_path, monkeypatch, counted):
    def count(counts):
        monkeypatch.setattr(machine.EnergyCounter, "joules", lambda self: 2.5 if counts else None)

    count(counted[0])
    original = Recorder.on_train_epoch_start

    def start(self, trainer, pl_module):
        if trainer.current_epoch == 1 and not stopped:
            stopped.append(True)
            raise Interrupted(signal.SIGTERM)
        original(self, trainer, pl_module)

    stopped = []
    monkeypatch.setattr(Recorder, "on_train_epoch_start", start)
    with pytest.raises(Interrupted):
        tiny.train(tmp_path)
    count(counted[1])
    folder = tiny.train(tmp_path)
    with (folder / "metrics.csv").open() as file:
        joules = [row["joules"] for row in csv.DictReader(file)]
    expected = {False: "nan", True: "2.5"}
    assert joules == [expected[counted[0]], expected[counted[1]], expected[counted[1]]]
    read_runs(tmp_path / "tiny")
