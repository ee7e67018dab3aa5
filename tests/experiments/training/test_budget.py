import dataclasses
import io

import pytest
import tiny
import torch
from rich.console import Console

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.text import duration
from binorm.experiments.training import compare, protocols
from binorm.experiments.training.budget import Cost, measure_cost, parse_budget, share_of_schedule
from binorm.experiments.training.settings import Settings
from binorm.experiments.training.tasks import classification

SETTINGS = Settings("cpu", "float32", False, 1)
RECIPE = dataclasses.replace(tiny.RECIPE, dataset="digits")  # a name that is known


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=200)


@pytest.fixture
def tiny_data(monkeypatch):
    """The tiny data set under a known name, and networks that cost a second for ten training pictures."""
    monkeypatch.setattr(protocols.data, "load", lambda *_: tiny.dataset())
    monkeypatch.setattr(classification, "measure_cost", lambda *_: Cost(0.1, 0.0))


def _compare(out, console, norms=("bn", "bin"), budget=None, recipes=(RECIPE,)):
    return compare.train_all(list(recipes), list(norms), [0], None, out, "binorm test", console, budget)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("4h", 14_400), ("1.5d", 129_600), (" 2m ", 120)]
)
def test_budgets_are_times(text, seconds):
    assert parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["", "4", "h", "0h", "-1h", "4 hours", "nan"])
def test_anything_else_is_an_error(text):
    with pytest.raises(UserError, match="--budget should be a time such as"):
        parse_budget(text)


def test_every_schedule_is_shortened_by_the_same_share():
    assert share_of_schedule(1000, 500, {"a": 164, "b": 10}) == {"a": 82, "b": 5}
    assert share_of_schedule(1000, 2000, {"a": 164}) == {"a": 164}
    assert share_of_schedule(1000, 1, {"a": 164}) == {"a": 1}


def test_cost_of_an_epoch_counts_training_and_evaluation():
    assert Cost(0.5, 0.25).epoch(40, 2 * 42) == pytest.approx(40 * 0.5 + 2 * 42 * 0.25)


def test_measuring_changes_no_random_state_and_finds_something():
    before = torch.get_rng_state()
    cost = measure_cost(RECIPE, "bin", 3, SETTINGS, 16)
    assert torch.equal(torch.get_rng_state(), before)
    assert cost.training > cost.evaluation > 0


@pytest.mark.parametrize(
    ("seconds", "text"), [(45, "45 s"), (200, "3 min 20 s"), (4320, "1 h 12 min"), (90_000, "1 day 1 h")]
)
def test_durations_are_what_people_say(seconds, text):
    assert duration(seconds) == text


def test_an_estimate_is_printed_before_training(tmp_path, console, tiny_data):
    _compare(tmp_path, console)
    text = console.file.getvalue()
    assert "about 24 s in all by a short measurement (a run: bn 12 s, bin 12 s)" in text
    assert text.index("about 24 s") < text.index("epoch 1/3")


def test_a_budget_shortens_the_schedule_and_the_run_says_so(tmp_path, console, tiny_data):
    _compare(tmp_path, console, budget=18.0)  # an epoch of both norms takes 8 s
    text = console.file.getvalue()
    assert "a budget of 18 s allows these epochs: tiny 2 of 3" in text
    assert "2 epochs (short schedule: the full recipe has 3)" in text
    assert (tmp_path / "tiny/bin/seed0/config.yaml").read_text().count("epochs: 2") == 1


def test_a_budget_given_again_goes_on_with_the_length_it_chose(tmp_path, console, tiny_data):
    _compare(tmp_path, console, norms=["bn"], budget=9.0)
    _compare(tmp_path, console, norms=["bn", "bin"], budget=1000.0)
    assert "epochs: 2" in (tmp_path / "tiny/bin/seed0/config.yaml").read_text()


def test_recipes_that_a_stopped_command_did_not_reach_keep_their_length_too(tmp_path, console, tiny_data, monkeypatch):
    other = dataclasses.replace(RECIPE, name="other", epochs=6, full_epochs=6)
    with monkeypatch.context() as patch:
        patch.setattr(compare, "run", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            _compare(tmp_path, console, budget=38.0, recipes=[RECIPE, other])
    _compare(tmp_path, console, norms=["bn"], budget=1000.0, recipes=[RECIPE, other])
    assert "epochs: 1\n" in (tmp_path / "tiny/bn/seed0/config.yaml").read_text()
    assert "epochs: 3\n" in (tmp_path / "other/bn/seed0/config.yaml").read_text()


def test_a_folder_without_runs_is_not_begun(tmp_path, console, tiny_data):
    (tmp_path / "tiny/bn/seed0").mkdir(parents=True)
    _compare(tmp_path, console, norms=["bn"], budget=9.0)
    assert "epochs: 2\n" in (tmp_path / "tiny/bn/seed0/config.yaml").read_text()


def test_a_network_that_cannot_take_the_pictures_is_an_error_before_training():
    with pytest.raises(UserError, match=r"imagenet_resnet18 with in cannot take a batch of 8 pictures of 16x16 \(Exp"):
        measure_cost(dataclasses.replace(RECIPE, model="imagenet_resnet18"), "in", 3, SETTINGS, 16)


def test_too_large_a_batch_is_an_error_before_any_recipe_is_trained(tmp_path, console, tiny_data):
    large = dataclasses.replace(RECIPE, name="large", batch_size=64)
    with pytest.raises(UserError, match="42 training pictures, fewer than one batch of 64"):
        _compare(tmp_path, console, recipes=[RECIPE, large])
    assert not (tmp_path / "tiny").exists()


def test_a_budget_below_one_epoch_says_what_one_takes(tmp_path, console, tiny_data):
    with pytest.raises(UserError, match="one epoch of every run takes about 8 s .* more than the --budget of 2 s"):
        _compare(tmp_path, console, budget=2.0)
    assert not (tmp_path / "tiny").exists()


def test_a_large_budget_trains_the_full_schedule(tmp_path, console, tiny_data):
    _compare(tmp_path, console, budget=1e6)
    assert "short schedule" not in console.file.getvalue()


def test_several_recipes_share_a_budget_and_an_estimate(tmp_path, console, tiny_data):
    other = dataclasses.replace(RECIPE, name="other", epochs=6, full_epochs=6)
    _compare(tmp_path, console, budget=38.0, recipes=[RECIPE, other])  # in full: 72 s
    text = console.file.getvalue()
    assert "tiny 1 of 3, other 3 of 6" in text
    assert "all together: about 32 s" in text
