"""The synchronised layer in one process, and conversion to it."""

import copy

import pytest
import torch
from naive import LAYERS, batch_of_styles, randomize_
from torch import nn

import binorm
from binorm.sync import SyncBatchInstanceNormAct2d


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 7), (4, 3, 5, 6), (4, 3, 2, 3, 4)], ids=str)
def test_without_other_processes_it_is_the_plain_layer(shape, training) -> None:
    plain = randomize_(LAYERS[len(shape)](3, dtype=torch.float64)).train(training)
    sync = binorm.SyncBatchInstanceNorm(3, dtype=torch.float64).train(training)
    sync.load_state_dict(plain.state_dict())
    x = batch_of_styles(shape)
    assert torch.equal(sync(x), plain(x))
    assert all(torch.equal(a, b) for a, b in zip(sync.buffers(), plain.buffers(), strict=True))


def test_conversion_keeps_what_a_network_is() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = binorm.BatchInstanceNorm2d(3, eps=1e-3, momentum=None, gate_init=0.5, dtype=torch.float64)
            self.again = self.norm
            self.act = binorm.BatchInstanceNormAct2d(4, act_layer="leaky_relu", act_kwargs={"negative_slope": 0.3})
            self.other = nn.BatchNorm2d(5)

    block = Block().eval()
    seen = []
    block.act.register_forward_hook(lambda *_: seen.append(1))
    before = copy.deepcopy(block)
    parameters = {name: id(each) for name, each in [*block.named_parameters(), *block.named_buffers()]}
    converted = binorm.convert_sync_batch_instance_norm(block, "group")
    assert converted is block
    assert type(block.norm) is binorm.SyncBatchInstanceNorm
    assert block.again is block.norm
    assert type(block.act) is SyncBatchInstanceNormAct2d
    assert type(block.other) is nn.BatchNorm2d
    assert not block.norm.training
    assert block.norm.process_group == block.act.process_group == "group"
    assert {name: id(each) for name, each in [*block.named_parameters(), *block.named_buffers()]} == parameters
    assert block.norm.extra_repr() == before.norm.extra_repr()
    x = torch.randn(2, 4, 3, 3)
    assert torch.equal(block.act(x), before.act(x))
    assert seen == [1, 1]  # the copy's hook is the same
    with pytest.raises(ValueError, match="expected 4D input"):  # still a 2d layer
        block.norm(torch.zeros(2, 3, dtype=torch.float64))
    assert binorm.convert_sync_batch_instance_norm(block).norm is block.norm


def test_a_norm_by_itself_is_converted() -> None:
    norm = binorm.BatchInstanceNorm1d(3)
    sync = binorm.convert_sync_batch_instance_norm(norm)
    assert isinstance(sync, binorm.SyncBatchInstanceNorm)
    assert sync.gate is norm.gate


def test_subclasses_are_not_silently_replaced() -> None:
    class Special(binorm.BatchInstanceNorm2d):
        pass

    with pytest.raises(TypeError, match=r"stage\.0 is a Special, a subclass"):
        binorm.convert_sync_batch_instance_norm(nn.ModuleDict({"stage": nn.Sequential(Special(3))}))
