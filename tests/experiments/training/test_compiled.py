import dataclasses
import json

import tiny
import torch


def test_a_compiled_run_trains_like_an_eager_one_and_saves_the_same_names(tmp_path, monkeypatch):
    # "eager" is Dynamo without code generation: the graph capture that training relies on, in a second.
    original = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **options: original(self, backend="eager", **options))
    recipe = dataclasses.replace(tiny.RECIPE, compile="yes")
    compiled, eager = tiny.train(tmp_path / "compiled", recipe=recipe), tiny.train(tmp_path / "eager")
    assert json.loads((compiled / "run.json").read_text())["settings"]["compiled"]
    assert (compiled / "metrics.csv").read_text().splitlines()[0] == (eager / "metrics.csv").read_text().splitlines()[0]
    from binorm.experiments.common.tensors import load_state_dict

    weights = [load_state_dict(folder) for folder in (compiled, eager)]
    assert weights[0].keys() == weights[1].keys()
    for name, tensor in weights[0].items():
        torch.testing.assert_close(tensor, weights[1][name], msg=name)
