"""What the recipe's fields do to a classifier's training."""

import dataclasses
from types import SimpleNamespace

import pytest
import tiny
import torch
from given_data import GivenData
from torch.nn import functional

from binorm.experiments.models import create
from binorm.experiments.models.fast import Whitening
from binorm.experiments.runs.checkpoint import load_network
from binorm.experiments.training.settings import choose_settings
from binorm.experiments.training.tasks.classification import Classification, ClassificationTask

FAST = dataclasses.replace(tiny.RECIPE, model="fast", epochs=1)


def training(recipe, norm="bn", seed=0):

    return ClassificationTask(GivenData(tiny.dataset())).training(recipe, norm, seed, choose_settings(recipe, 40))


def test_filters_that_whiten_are_those_of_the_training_pictures_with_every_norm():
    made = {norm: training(FAST, norm) for norm in ("bn", "bin", "sn")}
    pictures, _ = next(iter(made["bn"].batches))
    expected = Whitening(3)
    expected.fit(pictures)
    for each in made.values():
        assert torch.equal(each.network.whitening.weight, expected.weight)


def test_a_pretrained_network_keeps_its_filters(tmp_path):
    folder = tiny.train(tmp_path, "bn", recipe=FAST)
    kept = load_network(folder)[0].whitening.weight
    recipe = dataclasses.replace(FAST, weights=str(folder / "model.safetensors"))
    assert torch.equal(training(recipe, seed=1).network.whitening.weight, kept)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_labels_are_smoothed_in_training_and_not_in_evaluation(smoothing):
    recipe = dataclasses.replace(tiny.RECIPE, label_smoothing=smoothing)
    batches = SimpleNamespace(set_epoch=lambda epoch: None)
    objective = Classification(create("resnet8", 3, "bn").eval(), recipe, 3, ("test",), batches, 0)
    seen = {}
    objective.check_loss = lambda loss, step: None
    objective.add_batch = lambda index, loss, logits, labels: seen.update({index: (loss, logits, labels)})
    pictures, labels = torch.randn(6, 3, 16, 16), torch.arange(6) % 3
    objective.training_step((pictures, labels), 0)
    objective.validation_step((pictures, labels, 6), 0)
    for index, expected in ((0, smoothing), (1, 0.0)):
        loss, logits, known = seen[index]
        torch.testing.assert_close(loss, functional.cross_entropy(logits, known, label_smoothing=expected))


@pytest.mark.parametrize("nesterov", [False, True])
def test_nesterov_and_the_schedule_reach_the_optimizer(nesterov):
    recipe = dataclasses.replace(tiny.RECIPE, nesterov=nesterov, schedule="triangular", peak=0.5)
    made = training(recipe).objective.configure_optimizers()
    optimizer, scheduler = made["optimizer"], made["lr_scheduler"]["scheduler"]
    assert [group["nesterov"] for group in optimizer.param_groups] == [nesterov] * len(optimizer.param_groups)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.2 * recipe.lr)
    assert scheduler.lr_lambdas[0](1.5 * 5) == pytest.approx(1.0)  # half of 3 epochs of 5 steps
