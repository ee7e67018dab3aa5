"""After training, `binorm compare` reports on each recipe, whatever is wrong with another's runs."""

import json

import pytest
from fake_runs import write_run
from jsonargparse import Namespace

from binorm.experiments.commands.compare import _report
from binorm.experiments.common.errors import UserError
from binorm.experiments.recipes import load_recipe


def test_one_bad_report_does_not_end_the_others(tmp_path):
    recipes = []
    for place, name in enumerate(("first", "second")):
        path = tmp_path / f"{name}.yaml"
        path.write_text("base: digits")
        recipes.append(load_recipe(str(path)))
        for seed in range(2):
            run = write_run(tmp_path / name, "bn", seed) / "run.json"
            record = json.loads(run.read_text())
            record["data"]["fingerprint"] = str(seed * (1 - place))
            run.write_text(json.dumps(record))
    with pytest.raises(UserError, match="first holds runs of different data"):
        _report(recipes, tmp_path, None, Namespace())
    assert (tmp_path / "second" / "report.html").exists()
    assert not (tmp_path / "first" / "report.html").exists()
