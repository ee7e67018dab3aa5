import pytest

from binorm.experiments.recipes import load_recipe
from binorm.experiments.recipes.base import recipe_names
from binorm.experiments.report.published import GATES, accuracy


def test_every_reported_network_has_both_norms_and_bin_is_higher():
    names = [name for name in recipe_names() if name != "style" and load_recipe(name).task == "classification"]
    reported = {name: (accuracy(name, "bn"), accuracy(name, "bin")) for name in names}
    unknown = {name for name, both in reported.items() if both == (None, None)}
    assert unknown == {"digits", "folder", "cifar10-fast", "cifar10-resnet20", "cifar10-resnet56", "imagenet-resnet50"}
    for bn, bin_ in (both for name, both in reported.items() if name not in unknown):
        assert bn is not None
        assert bin_ is not None
        assert bn.mean < bin_.mean
        assert (bn.std is None) == (bin_.std is None)


def test_a_figure_is_found_by_recipe_and_norm_and_nothing_is_made_up():
    found = accuracy("cifar10-resnet110", "bin")
    assert found is not None
    assert (found.mean, found.std) == (94.29, 0.09)
    assert "164 layers" in found.remark
    assert accuracy("cifar10-resnet164", "bin") == found
    assert accuracy("cifar10-resnet20", "bin") is None
    assert accuracy("cifar10-resnet110", "in") is None
    curve = accuracy("cifar100-resnet110", "in")
    assert curve is not None
    assert curve.mean == 69.9
    assert "learning curves" in curve.remark


def test_shares_sum_to_one_within_what_can_be_read_off():
    for fractions in (GATES.total, *GATES.stages):
        assert len(fractions) == 10
        assert sum(fractions) == pytest.approx(1, abs=2 * GATES.tolerance)
