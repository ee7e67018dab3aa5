import csv
import dataclasses
import json

import pytest
import torch
from safetensors import safe_open
from tiny_domains import dataset, domain_set, recipe, train
from torch import nn

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.tensors import load_state_dict
from binorm.experiments.data.batches.domain_batches import DomainBatches
from binorm.experiments.data.dataset import ImageSet
from binorm.experiments.data.domains import Domain
from binorm.experiments.models import create
from binorm.experiments.runs.checkpoint import load_network
from binorm.experiments.training.tasks.domains import DomainClassification


def module(norm="bin", **fields):
    given = recipe(**fields)
    torch.manual_seed(0)
    network = create(given.model, 2, norm)
    data = dataset(given)
    batches = DomainBatches(data, given, 0, torch.device("cpu"))
    return DomainClassification(network, given, 2, tuple(data.evaluation), batches, 0).train(), next(iter(batches))


def metrics(folder):
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("norm", ["bn", "in", "bn+in", "bin"])
def test_joint_statistics_are_those_of_one_batch_of_all_domains(norm):
    task, batch = module(norm, statistics="joint")
    together = torch.cat([each.pictures for each in batch])
    logits = task.network(together)
    found = task.outputs(batch)
    assert torch.equal(torch.cat([each.logits for each in found]), logits)
    assert [each.labels is None for each in found] == [False, True]


@pytest.mark.parametrize("statistics", ["separate", "per-domain"])
@pytest.mark.parametrize("norm", ["bn", "bin"])
def test_separate_statistics_are_those_of_each_domain_alone(norm, statistics):
    task, batch = module(norm, statistics=statistics)
    found = task.outputs(batch)
    for each, outputs in zip(batch, found, strict=True):
        assert torch.equal(outputs.logits, task.network(each.pictures))
    joint = module(norm, statistics="joint")[0].outputs(batch)
    assert not torch.allclose(joint[0].logits, found[0].logits)


def test_separate_passes_move_the_same_running_statistics_and_per_domain_ones_their_own():
    def means(task):
        return next(each for each in task.network.modules() if isinstance(each, nn.BatchNorm2d)).running_mean

    separate, batch = module("bn", statistics="separate")
    separate.outputs(batch)
    one_by_one, _ = module("bn", statistics="separate")
    for each in batch:
        one_by_one.network(each.pictures)
    assert torch.equal(means(separate), means(one_by_one))

    apart, _ = module("bn", statistics="per-domain")
    apart.outputs(batch)
    for each in batch:
        alone, _ = module("bn", statistics="joint")
        alone.network(each.pictures)
        with apart.statistics_of(each.domain):
            assert torch.equal(means(apart), means(alone))
    assert torch.equal(means(apart), torch.zeros_like(means(apart)))


class Unreadable(torch.Tensor):
    """Labels that nobody may read."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        raise AssertionError(f"target labels were read by {function}")


@pytest.mark.parametrize(
    ("method", "published_split"),
    [("source-only", True), ("dann", True), ("dann", False), ("cdan", True), ("coral", False)],
)
def test_training_does_not_depend_on_target_labels(tmp_path, method, published_split):
    """The same weights, whatever the labels of the target are: wrong ones here."""
    right = domain_set(published_split)
    night = right.domains["night"]
    wrong_night = Domain(*(ImageSet(part.images, 1 - part.labels) for part in (night.train, night.test)))
    wrong = dataclasses.replace(right, domains={**right.domains, "night": wrong_night})
    states, accuracies = [], []
    for name, domains in (("right", right), ("wrong", wrong)):
        given = recipe(method=method)
        folder = train(tmp_path / name, given, data=dataset(given, domains))
        states.append(load_state_dict(folder))
        accuracies.append(float(metrics(folder)[-1]["night_accuracy"]))
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert accuracies[0] == pytest.approx(100 - accuracies[1], abs=1e-4)  # evaluation does read them


def test_target_labels_are_never_touched_in_a_training_step():
    given = recipe()
    data = dataset(given)
    poisoned = ImageSet(data.evaluation["night"].images, data.evaluation["night"].labels.as_subclass(Unreadable))
    data = dataclasses.replace(data, evaluation={"night": poisoned})
    with pytest.raises(AssertionError, match="target labels were read"):
        poisoned.labels + 1
    batches = DomainBatches(data, given, 0, torch.device("cpu"))
    task = DomainClassification(create(given.model, 2, "bin"), given, 2, ("night",), batches, 0)
    task.add_batch = lambda *_: None
    task.trainer = type("Trainer", (), {"global_step": 0, "current_epoch": 0})()
    for batch in batches:
        task.method.loss(task.outputs(batch), 0.5, 1.0).backward()


def test_a_run_leaves_confusions_and_features_of_each_domain(tmp_path):
    folder = train(tmp_path)
    assert folder == tmp_path / "tiny" / "dann" / "day-to-night" / "bin" / "seed0"
    confusion = json.loads((folder / "confusion.json").read_text())
    assert confusion["classes"] == ["a", "b"]
    counts = torch.tensor(confusion["sets"]["night"])
    assert counts.sum(1).tolist() == [6, 6]
    assert counts.diag().sum() / 12 * 100 == pytest.approx(float(metrics(folder)[-1]["night_accuracy"]), abs=1e-3)
    with safe_open(folder / "features.safetensors", "pt") as file:
        assert json.loads(file.metadata()["binorm"])["domains"] == ["day", "night"]
        assert file.get_tensor("night.features").shape == (12, 64)
        assert file.get_tensor("day.features").dtype == torch.float16
        assert len(file.get_tensor("day.labels")) == 14
    record = json.loads((folder / "run.json").read_text())
    assert record["data"]["domains"] == {"train": ["day"], "target": "night", "statistics": "joint"}


def test_features_of_every_source_are_kept(tmp_path):
    folder = train(tmp_path, recipe(source="day,dusk"))
    with safe_open(folder / "features.safetensors", "pt") as file:
        assert json.loads(file.metadata()["binorm"])["domains"] == ["day", "dusk", "night"]
        assert len(file.get_tensor("dusk.labels")) == 10


@pytest.mark.parametrize("statistics", ["joint", "per-domain"])
def test_an_interrupted_run_goes_on_to_the_same_weights(tmp_path, monkeypatch, statistics):
    given = recipe(statistics=statistics, epochs=3)
    whole = train(tmp_path / "whole", given)
    step = DomainClassification.training_step

    def interrupted(self, batch, batch_idx):
        if self.current_epoch == 2:
            raise KeyboardInterrupt
        return step(self, batch, batch_idx)

    monkeypatch.setattr(DomainClassification, "training_step", interrupted)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        train(tmp_path / "cut", given)
    monkeypatch.undo()
    again = train(tmp_path / "cut", given)
    one, other = load_state_dict(whole), load_state_dict(again)
    assert all(torch.equal(one[key], other[key]) for key in one)
    losses = [[row["train_loss"] for row in metrics(folder)] for folder in (whole, again)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("task", ["mixed", "adaptation"])
def test_networks_with_statistics_per_domain_are_saved_with_those_of_each(tmp_path, task):
    fields = {"task": "mixed", "method": "", "source": "", "target": ""} if task == "mixed" else {}
    given = recipe(statistics="per-domain", **fields)
    folder = train(tmp_path, given, norm="bn")
    names = ["day", "night", "dusk"] if task == "mixed" else ["day", "night"]
    states = [load_state_dict(folder / f"model-{name}.safetensors") for name in names]
    keys = [key for key in states[0] if key.endswith("running_mean")]
    assert keys
    assert all(not torch.equal(states[0][key], states[1][key]) for key in keys)
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0] if key.endswith("weight"))
    whole = load_state_dict(folder)
    assert all(torch.equal(whole[key], states[-1][key]) for key in whole)
    load_network(folder)


def test_every_norm_starts_with_the_same_domain_classifier():
    weights = [module(norm)[0].method.domain_classifier[0].weight for norm in ("bn", "in", "bin", "gn")]
    assert all(torch.equal(weights[0], each) for each in weights)


def test_the_head_and_the_method_learn_at_their_own_rate():
    task, _ = module(head_lr_scale=4.0)
    groups = {group["name"]: group for group in task.parameter_groups()}
    assert groups["head"]["lr"] == groups["method"]["lr"] == pytest.approx(0.2)
    assert groups["weights"]["lr"] == pytest.approx(0.05)
    assert groups["gates"]["lr"] == pytest.approx(0.5)
    ids = [id(parameter) for group in groups.values() for parameter in group["params"]]
    assert len(ids) == len(set(ids)) == len([*task.network.parameters(), *task.method.parameters()])


def test_too_few_pictures_for_a_batch_of_each_domain_are_named(tmp_path):
    given = recipe(steps=0, batch_size=100)
    with pytest.raises(UserError, match="14 training pictures, fewer than one batch of 100"):
        train(tmp_path, given)
