"""A kind of training is three modules and one line: here they are made at run time, and the commands take them."""

import sys
from dataclasses import dataclass
from types import ModuleType
from typing import ClassVar

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from binorm import BatchInstanceNorm1d, param_groups
from binorm.experiments.cli import main
from binorm.experiments.recipes import KINDS
from binorm.experiments.recipes.base import Recipe
from binorm.experiments.report.page import Page, Section
from binorm.experiments.report.scores import Scores, scores_of
from binorm.experiments.report.significance import number
from binorm.experiments.report.table import Cell, Head, Row, Table
from binorm.experiments.runs.reading import read_runs
from binorm.experiments.training.settings import Settings
from binorm.experiments.training.task import Objective, Task, Training


@dataclass(frozen=True, kw_only=True)
class RegressionRecipe(Recipe):
    """Learning a line.

    Args:
        epochs: of ten steps.
    """

    epochs: int = 2
    batch_size: int = 8
    lr: float = 0.05
    num_epochs = property(lambda self: self.epochs)
    length = property(lambda self: (self.epochs, 2, "epoch"))


class Regression(Objective):
    def __init__(self, network, recipe, batches):
        super().__init__()
        self.network, self.recipe, self.batches = network, recipe, batches
        self.error = torch.zeros(())

    def configure_optimizers(self):
        return torch.optim.SGD(param_groups(self.network, self.recipe.lr))

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = (self.network(x) - y).square().mean()
        self.check_finite(loss, batch_idx, f"step {batch_idx + 1}")
        self.error = loss.detach()
        return loss

    def metrics(self):
        return {"error": self.error.item()}

    def so_far(self):
        return ""

    def summary(self, row):
        return f"error {row['error']:.3f}"


class RegressionTraining(Training):
    images = 80

    def __init__(self, recipe, seed):
        torch.manual_seed(seed)
        self.network = nn.Sequential(nn.Linear(2, 4), BatchInstanceNorm1d(4), nn.Linear(4, 1))
        inputs = torch.randn(10, recipe.batch_size, 2)
        self.batches = DataLoader([(each, each.sum(1, keepdim=True)) for each in inputs], batch_size=None)
        self.objective = Regression(self.network, recipe, self.batches)

    def facts(self):
        return {"data": {"name": "lines", "train": 80, "evaluation": {}}}

    def save(self, folder, command):
        (folder / "line.txt").write_text(command)


class RegressionTask(Task):
    norms: ClassVar = {"bin": None}

    def check(self, recipe):
        pass

    def size(self, recipe):
        return 10, 80

    def settings(self, recipe, images):
        return Settings("cpu", "float32", False, 1)

    def training(self, recipe, norm, seed, settings):
        return RegressionTraining(recipe, seed)


def read_page(folder, classifier=None):
    runs = read_runs(folder)
    scores = Scores(scores_of(runs))
    error = scores.by_seed("error", "bin")
    rows = tuple(Row(Head(f"seed {seed}"), (Cell(number(value, 3)),)) for seed, value in error.items())
    table = Table("run", (Head("error"),), rows, terminal="squared errors")
    return Page("Lines", "bin on lines.", [Section("Errors", [table])], {"errors": error})


@pytest.fixture
def regression(monkeypatch):
    monkeypatch.setitem(KINDS, "regression", "regression")
    rooms = {"recipes": {"RECIPE": RegressionRecipe}, "training.tasks": {"TASK": RegressionTask}}
    for room, content in {**rooms, "report": {"read_page": read_page}}.items():
        module = ModuleType("regression")
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, f"binorm.experiments.{room}.regression", module)


@pytest.mark.usefixtures("regression")
def test_a_kind_made_of_three_modules_is_trained_resumed_and_reported(tmp_path, capsys):
    (tmp_path / "lines.yaml").write_text("title: Lines\ntask: regression\n")
    call = ["compare", str(tmp_path / "lines.yaml"), "--norms", "bin", "--seeds", "2", "--out", str(tmp_path / "runs")]
    assert main(call) == 0
    shown = capsys.readouterr().out
    assert "bin seed 1  epoch 2/2  error 0." in shown
    assert "squared errors" in shown
    folder = tmp_path / "runs" / "lines"
    assert (folder / "bin" / "seed0" / "line.txt").exists()
    assert "| seed 1 |" in (folder / "report.md").read_text()
    assert main(call) == 0
    assert "2 of 2 runs are done already" in capsys.readouterr().out


@pytest.mark.usefixtures("regression")
def test_its_options_are_its_own(tmp_path, capsys):
    (tmp_path / "lines.yaml").write_text("title: Lines\ntask: regression\n")
    with pytest.raises(SystemExit):
        main(["train", str(tmp_path / "lines.yaml"), "--help"])
    shown = capsys.readouterr().out
    assert "of ten steps (lines: 2)" in " ".join(shown.split())
    assert "--momentum" not in shown
