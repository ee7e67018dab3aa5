import re

import pytest

from binorm.experiments.cli import main
from binorm.experiments.recipes import KINDS, recipe_class
from binorm.experiments.recipes.base import field_names

OWN = {"help", "norms", "seeds", "data", "out"}  # of compare, for every recipe
CLASSIFIERS = {"budget", "figures", "format", "shifts"}


def options(capsys, *arguments):
    """The options that a command's help lists."""
    with pytest.raises(SystemExit):
        main([*arguments, "--help"])
    return set(re.findall(r"^  (?:-h, )?--(\w+)", capsys.readouterr().out, re.MULTILINE))


@pytest.mark.parametrize(
    ("recipe", "task", "more"),
    [
        ("digits", "classification", CLASSIFIERS),
        ("pacs-dann", "adaptation", CLASSIFIERS | {"methods"}),
        ("pacs-mixed-resnet18", "mixed", CLASSIFIERS),
        ("style", "stylization", {"classifier"}),
    ],
)
def test_compare_lists_the_options_of_the_recipe_that_it_is_given(capsys, recipe, task, more):
    kind = recipe_class(task)
    assert options(capsys, "compare", recipe) == OWN | more | set(field_names(kind)) - kind.NOT_OPTIONS


def test_without_a_recipe_the_options_are_those_of_all_recipes(capsys):
    listed = options(capsys, "compare") - OWN - CLASSIFIERS - {"methods", "classifier"}
    assert all(listed <= set(field_names(recipe_class(task))) for task in KINDS)
    assert "lr" in listed


def test_several_recipes_have_the_options_of_each(capsys):
    listed = options(capsys, "compare", "digits", "style")
    assert {"validation", "style_weight", "budget", "classifier"} <= listed
    assert "method" not in listed


def test_another_task_brings_its_options(capsys):
    assert "source" in options(capsys, "train", "digits", "--task", "mixed")
    assert "source" not in options(capsys, "train", "digits", "--dataset", "pacs-dann", "--epochs", "3")


def test_the_help_shows_the_recipes_own_values(capsys):
    with pytest.raises(SystemExit):
        main(["train", "cifar100-wrn28_10", "--help"])
    assert "(cifar100-wrn28_10: 0.3)" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["compare", "digits", "--method", "dann"],
            "--method applies to recipes of mixed, adaptation and generalization",
        ),
        (
            ["compare", "digits", "--methods", "dann"],
            "--methods applies to recipes of adaptation and generalization only",
        ),
        (["train", "digits", "--style-weight", "2"], "--style-weight applies to recipes of stylization only"),
        (["compare", "digits", "--styl", "2"], "unknown option --styl of binorm compare"),
        (["compare", "nowhere.yaml", "--epochs", "2"], "cannot read the recipe nowhere.yaml"),
    ],
)
def test_an_option_that_is_not_the_recipes_is_named_with_what_it_applies_to(capsys, arguments, message):
    assert main(arguments) == 2
    assert message in " ".join(capsys.readouterr().err.split())
