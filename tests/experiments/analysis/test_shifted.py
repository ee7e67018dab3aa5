"""What runs make of shifted test pictures, measured after training and kept in their folders."""

import dataclasses
import json
import shutil

import pytest
import tiny
import tiny_domains
import torch
from given_data import GivenData

from binorm.experiments.analysis import shifted
from binorm.experiments.analysis.shifted import add_shifted, named_groups
from binorm.experiments.common.errors import UserError
from binorm.experiments.data.batches.preprocessing import Preprocessing
from binorm.experiments.data.dataset import ImageSet
from binorm.experiments.runs.checkpoint import load_network, load_statistics
from binorm.experiments.runs.record import read_record
from binorm.experiments.shifts.catalog import SHIFTS

STYLE = [name for name, shift in SHIFTS.items() if shift.group == "style"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    recipe = dataclasses.replace(tiny.RECIPE, epochs=1)
    for norm in ("bn", "bin"):
        tiny.train(out, norm, recipe=recipe)
    return out / "tiny"


@pytest.fixture
def runs(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "tiny")


def measure(folder, data=None, groups=("style",)):
    said = []
    add_shifted(folder, GivenData(data or tiny.dataset()), groups, 1, said.append)
    return said


def record_of(folder, norm="bin", seed=0):
    return read_record(folder / norm / f"seed{seed}" / "run.json", norm, seed)


def test_every_run_says_what_it_makes_of_each_shift_of_the_same_pictures(runs):
    said = measure(runs)
    assert said[0] == "test, dark: 2 networks on 42 pictures"
    record = record_of(runs)
    assert list(record.shifted) == ["test", "dark"]
    assert record.status == "finished"
    scores = record.shifted["test"]
    assert (scores.pictures, list(scores.shifts)) == (42, STYLE)
    network, trained = load_network(runs / "bin" / "seed0")
    data = tiny.dataset()
    pixels = data.evaluation["test"].images
    preprocessing = Preprocessing.of(data, trained.recipe)
    place = list(SHIFTS).index("warm")
    changed = torch.stack([
        torch.from_numpy(SHIFTS["warm"](each.numpy(), 1 + (number + place) % 5)) for number, each in enumerate(pixels)
    ])  # fmt: skip
    for found, pictures in ((scores.clean, pixels), (scores.shifts["warm"], changed)):
        with torch.inference_mode():
            logits = network.eval()(preprocessing.normalize(pictures.permute(0, 3, 1, 2)))
        right = (logits.argmax(1) == data.evaluation["test"].labels).double().mean().item()
        assert found == pytest.approx(100 * right, abs=1e-3)


def test_what_is_there_is_not_measured_again_and_a_new_run_is(runs):
    measure(runs)
    before = {norm: (runs / norm / "seed0" / "run.json").read_bytes() for norm in ("bn", "bin")}
    assert measure(runs) == []
    later = shutil.copytree(runs / "bin" / "seed0", runs / "bin" / "seed1")
    facts = json.loads((later / "run.json").read_text())
    del facts["shifted"]
    (later / "run.json").write_text(json.dumps(facts | {"seed": 1}))
    assert measure(runs)[0] == "test, dark: 1 network on 42 pictures"
    assert record_of(runs, seed=1).shifted == record_of(runs).shifted
    assert before == {norm: (runs / norm / "seed0" / "run.json").read_bytes() for norm in ("bn", "bin")}


def test_what_was_measured_before_a_stop_is_kept(runs):
    def stop(text):
        if "haze" in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add_shifted(runs, GivenData(tiny.dataset()), ("style",), 1, stop)
    assert list(record_of(runs).shifted["test"].shifts) == STYLE[: STYLE.index("haze")]
    assert measure(runs)[0] == "test, haze: 2 networks on 42 pictures"
    assert list(record_of(runs).shifted["dark"].shifts) == STYLE


@pytest.mark.parametrize("entry", [3, {"test": []}, {"test": {"pictures": 1}}])
def test_a_damaged_record_is_left_to_the_report(runs, entry):
    path = runs / "bin" / "seed0" / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"shifted": entry}))
    before = path.read_bytes()
    measure(runs)
    assert path.read_bytes() == before
    assert record_of(runs, "bn").shifted


def test_corruptions_are_left_out_of_pictures_that_are_too_small_for_them(runs):
    measure(runs, groups=("corruption",))
    assert dict(record_of(runs).shifted["test"].shifts) == {}
    before = (runs / "bin" / "seed0" / "run.json").stat().st_mtime_ns
    measure(runs, groups=("corruption",))
    assert (runs / "bin" / "seed0" / "run.json").stat().st_mtime_ns == before
    measure(runs, groups=("corruption", "style"))
    assert list(record_of(runs).shifted["test"].shifts) == STYLE
    assert measure(runs, groups=("corruption", "style")) == []


def test_a_run_without_weights_or_of_other_data_stays_as_it_is(runs):
    (runs / "bn" / "seed0" / "model.safetensors").unlink()
    measure(runs)
    assert record_of(runs, "bn").shifted == {}
    assert record_of(runs, "bin").shifted
    other = tiny.dataset()
    pictures = ImageSet(255 - other.train.images, other.train.labels)
    shutil.rmtree(runs / "bn")
    facts = json.loads((runs / "bin" / "seed0" / "run.json").read_text())
    del facts["shifted"]
    (runs / "bin" / "seed0" / "run.json").write_text(json.dumps(facts))
    measure(runs, dataclasses.replace(other, train=pictures))
    assert record_of(runs, "bin").shifted == {}


def test_pictures_to_choose_by_are_not_measured(tmp_path):
    data = tiny.dataset()
    data = dataclasses.replace(data, evaluation={**data.evaluation, "validation": data.evaluation["test"]})
    tiny.train(tmp_path, "bn", recipe=dataclasses.replace(tiny.RECIPE, epochs=1), data=data)
    measure(tmp_path / "tiny", data)
    assert list(record_of(tmp_path / "tiny", "bn").shifted) == ["test", "dark"]
    assert measure(tmp_path / "tiny", data) == []


def test_of_a_larger_set_evenly_spaced_pictures_are_taken(runs, monkeypatch):
    monkeypatch.setattr(shifted, "PIXELS", 10 * 16 * 16)
    monkeypatch.setattr(shifted, "LEAST", 4)
    measure(runs)
    assert record_of(runs).shifted["test"].pictures == 10


def test_domains_with_statistics_of_their_own_are_seen_with_them(tmp_path):
    recipe = tiny_domains.recipe(task="mixed", method="", source="", target="", statistics="per-domain")
    folder = tiny_domains.train(tmp_path, recipe, "bn")
    add_shifted(tmp_path / "tiny", GivenData(tiny_domains.dataset(recipe)), ("style",), 1, lambda text: None)
    record = read_record(folder / "run.json", "bn", 0)
    assert list(record.shifted) == ["day", "night", "dusk"]
    metrics = (folder / "metrics.csv").read_text().splitlines()
    last = dict(zip(metrics[0].split(","), metrics[-1].split(","), strict=True))
    for name, scores in record.shifted.items():
        assert scores.clean == pytest.approx(float(last[f"{name}_accuracy"]), abs=1e-3)


def test_statistics_are_those_of_the_domain_or_of_the_weights(tmp_path):
    recipe = tiny_domains.recipe(task="mixed", method="", source="day,night", target="", statistics="per-domain")
    folder = tiny_domains.train(tmp_path, recipe, "bn")
    network, _ = load_network(folder)
    saved = {name: value.clone() for name, value in network.state_dict().items()}
    load_statistics(network, folder, "day")
    assert any(not torch.equal(value, saved[name]) for name, value in network.state_dict().items())
    load_statistics(network, folder, "dusk")
    assert all(torch.equal(value, saved[name]) for name, value in network.state_dict().items())


def test_what_a_later_binorm_measured_stays(runs):
    path = runs / "bin" / "seed0" / "run.json"
    later = {"test": {"pictures": 42, "side": 16, "clean": 1.0, "shifts": {"moonlight": 5.0}}}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"shifted": later}))
    measure(runs)
    assert json.loads(path.read_text())["shifted"]["test"]["shifts"].keys() == {"moonlight", *STYLE}


def test_groups_by_name():
    assert named_groups("none") == ()
    assert named_groups("style, corruptions") == ("style", "corruption")
    with pytest.raises(UserError, match="unknown group of shifts 'styles'.*style"):
        named_groups("styles")
