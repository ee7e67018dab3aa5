"""Gates in TensorBoard's files, and in the loggers of trainings with Lightning, under both of its names."""

import csv
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import binorm
from binorm import BatchInstanceNorm2d, BatchInstanceNormAct2d, log_gates

pytest.importorskip("tensorboard")
pytestmark = pytest.mark.filterwarnings("ignore")  # what Lightning says of loaders, workers and small trainings

MEANS = {"gates/mean": 0.7, "gates/below_0.1": 0.2, "gates/above_0.9": 0.6}


def network() -> nn.Module:
    """Three gates at 1, one at 0.5 and one at 0."""
    model = nn.Sequential(nn.Conv2d(3, 4, 1), BatchInstanceNormAct2d(4), nn.Conv2d(4, 1, 1), BatchInstanceNorm2d(1))
    with torch.no_grad():
        model[1].gate.copy_(torch.tensor([1.0, 1.0, 0.5, 0.0]))
    return model


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """By name, what TensorBoard reads: steps and values."""
    events = read(folder)
    return {tag: [(each.step, each.value) for each in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def read(folder: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder), size_guidance={"histograms": 0}).Reload()  # all, not the last


def written(model: nn.Module, folder: Path, **options: object) -> dict[str, float]:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(folder) as writer:
        log_gates(writer, model, 7, **options)
    found = scalars(folder)
    assert all([step for step, _ in values] == [7] for values in found.values())
    return {tag: value for tag, ((_, value),) in found.items()}


def test_scalars_are_over_all_gates_and_of_each_layer(tmp_path) -> None:
    assert written(network(), tmp_path) == pytest.approx(
        MEANS
        | {"gates_mean/1": 0.625, "gates_below_0.1/1": 0.25, "gates_above_0.9/1": 0.5}
        | {"gates_mean/3": 1.0, "gates_below_0.1/3": 0.0, "gates_above_0.9/3": 1.0}
    )


def test_histograms_are_in_tenths(tmp_path) -> None:
    written(network(), tmp_path)
    (event,) = read(tmp_path).Histograms("gates_values/1")
    found = event.histogram_value
    assert (found.num, found.min, found.max) == (4, 0.0, 1.0)
    counts = {round(limit, 1): count for limit, count in zip(found.bucket_limit, found.bucket, strict=True) if count}
    assert counts == {0.1: 1.0, 0.6: 1.0, 1.0: 2.0}


def test_the_prefix_keeps_two_networks_apart(tmp_path) -> None:
    assert {tag.partition("/")[0] for tag in written(network(), tmp_path, prefix="teacher")} == {
        "teacher", "teacher_mean", "teacher_below_0.1", "teacher_above_0.9"
    }  # fmt: skip


def test_gates_out_of_range_count_as_they_are_used_and_half_precision_is_read(tmp_path) -> None:
    model = network()
    model[3].gate.data.fill_(1.5)
    assert written(model.to(torch.bfloat16), tmp_path)["gates/mean"] == pytest.approx(0.7)


def test_gates_that_are_no_numbers_do_not_end_the_training(tmp_path) -> None:
    model = network()
    model[3].gate.data.fill_(float("nan"))
    found = written(model, tmp_path)
    assert found["gates_mean/1"] == pytest.approx(0.625)
    assert found["gates_mean/3"] != found["gates_mean/3"]
    assert read(tmp_path).Tags()["histograms"] == ["gates_values/1"]


@pytest.mark.parametrize(
    "wrap",
    [
        torch.compile,
        lambda model: nn.Sequential(*(torch.compile(each) for each in model)),
        nn.DataParallel,
        lambda model: nn.DataParallel(torch.compile(model)),
        lambda model: torch.compile(nn.DataParallel(model)),
    ],
    ids=["compiled", "parts compiled", "replicated", "both", "both, the other way"],
)
def test_wrappers_do_not_change_names(wrap, tmp_path) -> None:
    assert "gates_mean/1" in written(wrap(network()), tmp_path)


def test_a_norm_alone_has_the_name_of_its_class(tmp_path) -> None:
    assert "gates_mean/BatchInstanceNorm2d" in written(BatchInstanceNorm2d(3), tmp_path)


def test_a_network_without_gates_is_an_error() -> None:
    with pytest.raises(ValueError, match="Sequential has no batch-instance norms whose gates could be logged"):
        log_gates(None, nn.Sequential(nn.BatchNorm2d(3)), 0)


@pytest.fixture(params=["lightning.pytorch", "pytorch_lightning"])
def package(request, monkeypatch):
    """One of Lightning's two, as if the other was not in use."""
    found = pytest.importorskip(request.param)
    kept = {name: sys.modules[name] for name in ("lightning.pytorch", "pytorch_lightning") if name in sys.modules}
    for name in kept:
        if name != request.param:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "binorm.gate_monitor", raising=False)
    yield found
    sys.modules.pop("binorm.gate_monitor", None)


def fit(package, monitor, logger, *, epochs: int = 2, **options: object):
    """Four batches an epoch; the module logs its loss every step."""

    class Module(package.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = network()

        def training_step(self, batch, index):
            loss = self.network(batch).square().mean()
            self.log("loss", loss)
            return loss

        def configure_optimizers(self):
            return torch.optim.SGD(binorm.param_groups(self, lr=0.0))

    defaults = {"enable_checkpointing": False, "log_every_n_steps": 1, "accelerator": "cpu"}
    trainer = package.Trainer(
        max_epochs=epochs, callbacks=monitor, logger=logger, enable_progress_bar=False, enable_model_summary=False,
        **(defaults | options),
    )  # fmt: skip
    module = Module()
    loader = torch.utils.data.DataLoader(torch.randn(8, 3, 4, 4), batch_size=2)
    trainer.fit(module, loader)
    return trainer


def test_an_epoch_is_logged_at_its_last_step_beside_the_modules_metrics(package, tmp_path) -> None:
    logger = package.loggers.CSVLogger(tmp_path, flush_logs_every_n_steps=1)
    trainer = fit(package, binorm.GateMonitor(), logger)
    rows = list(csv.DictReader((Path(logger.log_dir) / "metrics.csv").open()))
    logged = {int(row["step"]): row for row in rows if row["gates/mean"]}
    assert sorted(logged) == [3, 7]
    assert {name: float(logged[7][name]) for name in MEANS} == pytest.approx(MEANS)
    assert float(logged[7]["gates_mean/network.1"]) == pytest.approx(0.625)
    assert max(int(row["step"]) for row in rows if row["loss"]) == 7
    assert {name: trainer.callback_metrics[name].item() for name in MEANS} == pytest.approx(MEANS)


def test_tensorboard_gets_histograms_too(package, tmp_path) -> None:
    logger = package.loggers.TensorBoardLogger(tmp_path)
    fit(package, [binorm.GateMonitor(every_n_steps=2)], logger, epochs=1)
    logger.finalize("success")
    assert [step for step, _ in scalars(logger.log_dir)["gates/mean"]] == [1, 3]
    assert [each.step for each in read(logger.log_dir).Histograms("gates_values/network.3")] == [1, 3]
    assert [step for step, _ in scalars(logger.log_dir)["loss"]] == [0, 1, 2, 3]


def test_batches_that_only_accumulate_are_not_logged(package, tmp_path) -> None:
    logger = package.loggers.TensorBoardLogger(tmp_path)
    fit(package, [binorm.GateMonitor(every_n_steps=1)], logger, epochs=1, accumulate_grad_batches=2)
    logger.finalize("success")
    assert [step for step, _ in scalars(logger.log_dir)["gates/mean"]] == [0, 1]


def test_a_checkpoint_can_watch_the_mean(package, tmp_path) -> None:
    checkpoint = package.callbacks.ModelCheckpoint(tmp_path, monitor="gates/mean", filename="best")
    fit(package, [checkpoint, binorm.GateMonitor()], False, epochs=1, enable_checkpointing=True)
    assert checkpoint.best_model_score == pytest.approx(0.7)


def test_a_network_without_gates_fails_before_the_first_batch(package, monkeypatch) -> None:
    monkeypatch.setitem(globals(), "network", lambda: nn.Conv2d(3, 4, 1))
    monkeypatch.setattr(binorm, "param_groups", lambda module, lr: module.parameters())
    with pytest.raises(ValueError, match="Module has no batch-instance norms"):
        fit(package, binorm.GateMonitor(), False)


def test_the_monitor_is_pickled_for_spawned_processes(package) -> None:
    monitor = pickle.loads(pickle.dumps(binorm.GateMonitor(3, prefix="p")))
    assert isinstance(monitor, package.Callback)
    assert (monitor.every_n_steps, monitor.prefix) == (3, "p")


def test_less_than_one_step_is_an_error(package) -> None:
    with pytest.raises(ValueError, match=r"at least 1, or None for each epoch \(got 0\)"):
        binorm.GateMonitor(every_n_steps=0)


WITHOUT_LIGHTNING = """
import sys
sys.modules |= {name: None for name in ("lightning", "lightning.pytorch", "pytorch_lightning")}
import binorm
try:
    binorm.GateMonitor
except ImportError as error:
    print(error)
"""


def test_without_lightning_the_way_out_is_named() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_LIGHTNING], capture_output=True, text=True, check=True)
    assert "pip install lightning" in done.stdout
