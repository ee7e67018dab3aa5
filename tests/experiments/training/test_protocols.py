import dataclasses
from pathlib import Path

import pytest
import torch
from domain_trees import write_domains
from tiny_domains import domain_set, recipe

from binorm.experiments.common.errors import UserError
from binorm.experiments.data.domains import DomainSet
from binorm.experiments.recipes.classification import ClassificationRecipe
from binorm.experiments.training.protocols import Loader, adaptation, generalization, mixed
from binorm.experiments.training.tasks import task_for

DOMAINS = ("cam1", "cam2", "cam3")


@pytest.fixture
def tree(tmp_path) -> Path:
    write_domains(tmp_path / "tree", DOMAINS)
    return tmp_path / "tree"


def open_recipe(**fields):
    return dataclasses.replace(recipe(dataset="domains", source="", target=""), **fields)


def expand(recipe, tree, methods=None):
    return task_for(recipe, Loader(tree)).expand(recipe, methods)


def only_one(recipe, tree):
    return task_for(recipe, Loader(tree)).only_one(recipe)


def same_pictures(one, other):
    return sorted(map(tuple, one.flatten(1).tolist())) == sorted(map(tuple, other.flatten(1).tolist()))


def test_adaptation_stands_for_every_ordered_pair_with_and_without_the_method(tree):
    parts = expand(open_recipe(), tree)
    pairs = [(part.source, part.target) for part in parts if part.method == "dann"]
    assert pairs == [(a, b) for a in DOMAINS for b in DOMAINS if a != b]
    assert [(part.source, part.target) for part in parts if part.method == "source-only"] == pairs
    assert parts[0].domain_pair == "cam1-to-cam2"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"source": "cam2"}, ["cam2-to-cam1", "cam2-to-cam3"]),
        ({"target": "cam2"}, ["cam1-to-cam2", "cam3-to-cam2"]),
        ({"source": "cam1,cam3", "target": "cam2"}, ["cam1+cam3-to-cam2"]),
        ({"source": "cam1,cam3"}, ["cam1+cam3-to-cam2"]),
        ({"task": "generalization", "method": "erm", "source": "cam1"}, ["without-cam2", "without-cam3"]),
        ({"task": "generalization", "method": "erm"}, ["without-cam1", "without-cam2", "without-cam3"]),
        ({"task": "generalization", "method": "erm", "target": "cam3"}, ["without-cam3"]),
        ({"task": "mixed", "method": ""}, [""]),
        ({"task": "mixed", "method": "", "source": "each"}, ["only-cam1", "only-cam2", "only-cam3"]),
    ],
)
def test_named_domains_narrow_what_a_recipe_stands_for(tree, fields, expected):
    parts = expand(open_recipe(**fields), tree)
    assert list(dict.fromkeys(part.domain_pair for part in parts)) == expected


def test_generalization_trains_on_all_but_the_target(tree):
    parts = expand(open_recipe(task="generalization", method="mixstyle"), tree)
    assert [(part.source, part.method) for part in parts[:2]] == [("cam2,cam3", "erm"), ("cam2,cam3", "mixstyle")]


def test_methods_can_be_chosen(tree):
    parts = expand(open_recipe(source="cam1", target="cam2"), tree, ["coral", "cdan"])
    assert [part.method for part in parts] == ["coral", "cdan"]


def test_a_recipe_for_one_run_names_its_domains(tree):
    one = only_one(open_recipe(source="cam1", target="cam2", method=""), tree)
    assert (one.source, one.target, one.method) == ("cam1", "cam2", "source-only")
    with pytest.raises(UserError, match=r"stands for 6 tasks .cam1-to-cam2, .*--source and --target.*binorm compare"):
        only_one(open_recipe(), tree)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"source": "cam9"}, "unknown domain of domains: 'cam9', did you mean 'cam"),
        ({"source": "each"}, "unknown domain of domains: 'each'"),
        ({"source": "cam1,cam2,cam3"}, "the sources cam1,cam2,cam3 are all domains of domains: leave one out"),
        ({"dataset": "dommains"}, "unknown data set 'dommains', did you mean 'domains'"),
        ({"task": "adaption"}, "unknown task 'adaption', did you mean 'adaptation'"),
        ({"method": "dan"}, "unknown method 'dan', did you mean 'dann'"),
        ({"source": "cam1", "target": "cam1"}, "the target cam1 is among the sources cam1"),
        ({"dataset": "cifar10"}, "cifar10 has no domains, which the task adaptation needs. With domains: "),
        ({"task": "mixed", "method": ""} | {"target": "cam1"}, "mixed training has neither target nor method"),
        ({"task": "generalization", "statistics": "per-domain"}, "a domain that training never saw"),
    ],
)
def test_what_makes_no_sense_is_refused(tree, fields, message):
    with pytest.raises(UserError, match=message):
        expand(open_recipe(**fields), tree)


def test_methods_for_a_task_without_any_are_refused(tree):
    plain = ClassificationRecipe(name="plain", title="Plain", dataset="digits", model="resnet8", epochs=1)
    for given in (open_recipe(task="mixed", method="", steps=0), plain):
        with pytest.raises(UserError, match="methods apply to recipes of adaptation and generalization only"):
            expand(given, tree, ["dann"])


def test_mixed_training_sees_the_training_parts_and_is_tested_on_each_domain():
    whole = domain_set()
    found = mixed(whole, recipe(task="mixed", method="", source="", target=""))
    assert found.domains == ("day", "night", "dusk")
    assert list(found.evaluation) == ["day", "night", "dusk"]
    for number, name in enumerate(found.domains):
        assert torch.equal(found.train.images[found.train_domains == number], whole.domains[name].train.images)
        assert found.evaluation[name] is whole.domains[name].test
    alone = mixed(whole, recipe(task="mixed", method="", source="dusk", target=""))
    assert alone.domains == ("dusk",)
    assert list(alone.evaluation) == ["day", "night", "dusk"]


def test_adaptation_without_a_published_split_adapts_to_what_it_evaluates():
    whole = domain_set()
    night = torch.cat([whole.domains["night"].train.images, whole.domains["night"].test.images])
    found = adaptation(whole, recipe())
    assert len(found.train) == 14
    assert same_pictures(found.target.images, night)
    assert same_pictures(found.evaluation["night"].images, night)


def test_adaptation_with_a_published_split_never_trains_on_test_pictures():
    whole = domain_set(published_split=True)
    found = adaptation(whole, recipe())
    assert torch.equal(found.train.images, whole.domains["day"].train.images)
    assert torch.equal(found.target.images, whole.domains["night"].train.images)
    assert found.evaluation["night"] is whole.domains["night"].test


def test_only_methods_that_use_the_target_are_given_it():
    assert adaptation(domain_set(), recipe(method="source-only")).target is None


def test_the_domain_left_out_is_in_no_training_or_validation_picture():
    whole = domain_set()
    found = generalization(whole, recipe(task="generalization", source="day,dusk", target="night", method="erm"))
    assert found.domains == ("day", "dusk")
    assert list(found.evaluation) == ["night", "validation"]
    assert len(found.evaluation["night"]) == 12
    assert torch.equal(
        found.evaluation["validation"].images,
        torch.cat([whole.domains[name].test.images for name in ("day", "dusk")]),
    )
    assert len(found.train) == 10 + 6


def test_pixels_are_normalized_as_the_recipe_says(tree):
    given = open_recipe(source="cam1", target="cam2", image_size=16)
    loader = Loader(tree)
    assert loader.dataset(dataclasses.replace(given, normalization="symmetric")).mean == (0.5, 0.5, 0.5)
    assert loader.dataset(dataclasses.replace(given, normalization="imagenet")).std == (0.229, 0.224, 0.225)


def test_data_that_several_recipes_share_is_read_once(tree, monkeypatch):
    from binorm.experiments import data

    calls = []
    load = data.load_domains

    def counted(*arguments: object) -> DomainSet:
        calls.append(arguments)
        return load(*arguments)

    monkeypatch.setattr(data, "load_domains", counted)
    loader = Loader(tree)
    for method in ("source-only", "dann"):
        loader.dataset(open_recipe(source="cam1", target="cam2", method=method, image_size=16))
    assert len(calls) == 1


def test_a_plain_classification_recipe_stands_for_itself():
    plain = ClassificationRecipe(name="plain", title="Plain", dataset="digits", model="resnet8", epochs=1)
    assert expand(plain, None) == [plain]
