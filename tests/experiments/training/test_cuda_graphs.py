"""Recording passes as CUDA graphs, as far as it goes without a GPU."""

import pytest
import torch
from given_data import GivenData
from tiny import RECIPE, dataset

from binorm.experiments.common.errors import UserError
from binorm.experiments.training.cuda_graphs import CudaGraphs
from binorm.experiments.training.settings import Settings
from binorm.experiments.training.task import Training
from binorm.experiments.training.tasks.classification import ClassificationTask

GRAPHS = Settings("cuda", "float32", False, 1, graphs=True)


def tiny_training(norm: str) -> Training:
    task = ClassificationTask(GivenData(dataset()))
    return task.training(RECIPE, norm, 0, Settings("cpu", "float32", False, 1))


@pytest.mark.filterwarnings("ignore:User provided device_type of 'cuda', but CUDA is not available")
def test_recording_leaves_no_trace(monkeypatch) -> None:
    training = tiny_training("bin")
    recorded = []

    def record(network: torch.nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
        network(*arguments)  # as its passes for warming up do, in training
        recorded.append(arguments[0].shape)

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", record)
    before = {name: value.clone() for name, value in training.network.state_dict().items()}
    CudaGraphs(training, GRAPHS).on_train_start(None, training.objective)
    assert recorded == [next(iter(training.batches))[0].shape]
    after = training.network.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_only_batches_of_one_shape_can_be_recorded() -> None:
    training = tiny_training("bn")
    training.batches = object()
    with pytest.raises(UserError, match="choose --compile auto or --compile no"):
        CudaGraphs(training, GRAPHS)
