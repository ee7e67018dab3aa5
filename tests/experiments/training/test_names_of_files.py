"""Names as people's files have them: training ends, and everything that it writes can be read again."""

import dataclasses
import os

import pytest
import tiny
import tiny_domains

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.text import printable
from binorm.experiments.report import write_report
from binorm.experiments.runs.domains import read_confusions, read_features
from binorm.experiments.runs.reading import read_run
from binorm.experiments.training.protocols import generalization

BYTES, LINES, LONG = "caf\udce9", "two\nlines\u2028\x1c", "n" * 200


def test_evaluation_sets_and_classes_of_any_name_are_trained_on_and_reported(tmp_path):
    data = tiny.dataset()
    pictures = data.train
    names = (BYTES, LINES, LONG, "a$b$c", "<script>", "שלום 😀")
    data = dataclasses.replace(data, classes=(BYTES, "", LINES), evaluation=dict.fromkeys(names, pictures))
    run = read_run(tiny.train(tmp_path, recipe=dataclasses.replace(tiny.RECIPE, epochs=1), data=data))
    assert run.evaluation_sets == tuple(map(printable, names))
    assert all(len(run.accuracies(name)) == 1 for name in run.evaluation_sets)
    assert run.samples.keys() == {"train", *run.evaluation_sets}
    assert list((run.folder / "tensorboard").iterdir())
    assert write_report(tmp_path / "tiny").html.read_text(encoding="utf-8")


def test_domains_of_any_name_are_trained_on_and_reported(tmp_path):
    domains = tiny_domains.domain_set()
    parts = dict(zip((BYTES, LINES), domains.domains.values(), strict=False))
    domains = dataclasses.replace(domains, domains=parts)
    recipe = tiny_domains.recipe(source=BYTES, target=LINES.strip(), epochs=1)
    parts[recipe.target] = parts.pop(LINES)
    folder = tiny_domains.train(tmp_path, recipe, data=tiny_domains.dataset(recipe, domains))
    assert str(folder) == printable(str(folder))
    assert set(read_features(folder).features) == {printable(BYTES), printable(recipe.target)}
    assert set(read_confusions(folder)[1]) == {printable(recipe.target)}
    assert write_report(tmp_path / "tiny").finished


def test_a_folder_that_tensorboard_cannot_write_to_has_no_log(tmp_path):
    with pytest.warns(UserWarning, match=r"TensorBoard cannot write to .*caf\\xe9"):
        folder = tiny.train(tmp_path / BYTES, recipe=dataclasses.replace(tiny.RECIPE, epochs=1))
    assert not (folder / "tensorboard").exists()
    assert os.fsencode(folder).count(b"\xe9") == 1
    assert read_run(folder).status == "finished"


def test_an_evaluation_set_called_as_the_training_set_is_an_error(tmp_path):
    data = tiny.dataset()
    data = dataclasses.replace(data, evaluation={"test": data.train, "train": data.train})
    with pytest.raises(UserError, match="none has an evaluation set that is called 'train'"):
        tiny.train(tmp_path, data=data)
    assert not list(tmp_path.rglob("run.json"))


def test_a_domain_called_as_the_choosing_pictures_cannot_be_left_out():
    domains = tiny_domains.domain_set()
    domains.domains["validation"] = domains.domains.pop("dusk")
    recipe = tiny_domains.recipe(task="generalization", method="erm", source="day,night", target="validation")
    with pytest.raises(UserError, match="has a domain that is called 'validation'"):
        generalization(domains, recipe)
