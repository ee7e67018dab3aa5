import os
import pickle

import pytest
import tiny
import torch
from safetensors.torch import save_file

from binorm import BatchInstanceNorm2d
from binorm.experiments.common.errors import UserError
from binorm.experiments.common.tensors import load_safely, load_state_dict
from binorm.experiments.report.gates import gate_tables
from binorm.experiments.runs.checkpoint import AtomicCheckpointIO, load_network


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    return tiny.train(tmp_path_factory.mktemp("runs"))


def test_saved_network_knows_what_it_is(run_folder):
    network, trained = load_network(run_folder)
    assert (trained.recipe, trained.norm, trained.seed, trained.classes) == (tiny.RECIPE, "bin", 0, ("a", "b", "c"))
    assert network.head.out_features == 3


def test_every_kind_of_checkpoint_gives_its_tensors(run_folder, tmp_path):
    plain = tmp_path / "plain.pt"
    torch.save(load_network(run_folder)[0].state_dict(), plain)
    gates = [
        [tensor for name, tensor in load_state_dict(path).items() if name.endswith("norm1.gate")]
        for path in (run_folder, run_folder / "model.safetensors", run_folder / "checkpoints/last.ckpt", plain)
    ]
    assert all(len(each) == 3 for each in gates)
    for each in gates[1:]:
        assert all(torch.equal(a, b) for a, b in zip(each, gates[0], strict=True))


class _Malicious:
    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("how", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))])
def test_malicious_pickle_is_refused_and_not_run(tmp_path, how):
    path, trace = tmp_path / "evil.ckpt", tmp_path / "it ran"
    how({"state_dict": _Malicious(trace)}, path)
    for read in (load_safely, load_state_dict, gate_tables):
        with pytest.raises(UserError, match=r"evil\.ckpt is refused"):
            read(path)
    assert not trace.exists()


@pytest.mark.parametrize("name", ["model.safetensors", "checkpoints/last.ckpt"])
@pytest.mark.parametrize("length", [0, 5, 1000, -10])
def test_truncated_files_are_named(run_folder, tmp_path, name, length):
    path = tmp_path / name.replace("/", "-")
    path.write_bytes((run_folder / name).read_bytes()[:length])
    with pytest.raises(UserError, match=f"{path.name} is (refused: it is )?damaged"):
        load_state_dict(path)


def test_another_network_is_an_error_that_names_both(run_folder, tmp_path):
    from safetensors import safe_open

    with safe_open(run_folder / "model.safetensors", "pt") as file:
        metadata = file.metadata()
    path = tmp_path / "other.safetensors"
    save_file(torch.nn.Linear(3, 3).state_dict(), path, metadata)
    with pytest.raises(UserError, match=r"other\.safetensors does not hold a resnet8 with bin"):
        load_network(path)


def test_weights_of_unknown_origin_are_an_error(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file(torch.nn.Linear(3, 3).state_dict(), path)
    with pytest.raises(UserError, match="does not say what network it is"):
        load_network(path)


def test_absent_checkpoint_says_what_was_expected(tmp_path):
    with pytest.raises(UserError, match="there is no checkpoint at .*nothing"):
        load_network(tmp_path / "nothing")
    with pytest.raises(UserError, match="is it the folder of one run"):
        load_network(tmp_path)


def test_gate_table_shows_any_network_with_gates(tmp_path):
    layer = BatchInstanceNorm2d(10)
    layer.gate.data = torch.tensor([0.0, 0.05, 0.2, 0.5, 0.5, 0.5, 0.95, 1.0, 1.0, 1.0])
    path = tmp_path / "mine.pt"
    torch.save(torch.nn.Sequential(torch.nn.Conv2d(3, 10, 1), layer).state_dict(), path)
    table = gate_tables(path)[0]
    cells = [list(column.cells) for column in table.columns]
    assert [str(each[0]) for each in cells] == ["1", "10", "0.570", "20.0%", "40.0%", str(cells[5][0])]
    assert len(cells[5][0]) == 10
    assert str(cells[5][0])[0] != " "
    assert str(cells[5][0])[1] == " "


def test_gate_table_without_gates_is_an_error(tmp_path):
    path = tmp_path / "bn.pt"
    torch.save(torch.nn.BatchNorm2d(3).state_dict(), path)
    with pytest.raises(UserError, match="has no gates"):
        gate_tables(path)


def test_a_stylization_begun_when_it_had_a_recorder_of_its_own_goes_on(tmp_path):
    files = AtomicCheckpointIO()
    files.save_checkpoint({"callbacks": {"StyleRecorder": {"rows": [1], "gate_history": []}}}, tmp_path / "last.ckpt")
    assert files.load_checkpoint(tmp_path / "last.ckpt")["callbacks"] == {"Recorder": {"rows": [1], "gate_history": []}}
