import pytest
import torch
from torch import nn

from binorm import BatchInstanceNorm2d, gate_parameters, named_gates
from binorm.experiments.common.errors import UserError
from binorm.experiments.models import create


def _count(network):
    return sum(parameter.numel() for parameter in network.parameters())


# Literature: He et al. 2015 with projection shortcuts.
@pytest.mark.parametrize(
    ("name", "classes", "parameters"),
    [("resnet20", 10, 272_474), ("resnet8", 10, 78_042)],
)
def test_parameter_counts(name, classes, parameters):
    assert _count(create(name, classes, "bn")) == parameters


@pytest.mark.parametrize(("name", "gates"), [("resnet20", 784), ("resnet110", 4144)])
def test_gate_counts(name, gates):
    network = create(name, 10, "bin")
    assert sum(gate.numel() for gate in gate_parameters(network)) == gates
    assert _count(network) == _count(create(name, 10, "bn")) + gates


@pytest.mark.parametrize("depth", [8, 14, 20, 32, 44, 56, 110])
def test_depth_counts_convolutions_and_the_head_without_shortcuts(depth):
    with torch.device("meta"):
        network = create(f"resnet{depth}", 10, "bn")
    layers = [name for name, module in network.named_modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    assert sum("shortcut" not in name for name in layers) == depth


def test_norms_are_what_their_names_say():
    kinds = {"bn": nn.BatchNorm2d, "in": nn.InstanceNorm2d, "bn+in": BatchInstanceNorm2d, "bin": BatchInstanceNorm2d}
    for norm, kind in kinds.items():
        assert isinstance(create("resnet8", 10, norm).norm, kind)
    assert all((gate == 1).all() and gate.requires_grad for _, gate in named_gates(create("resnet8", 10, "bin")))
    fixed = list(gate_parameters(create("resnet8", 10, "bn+in")))
    assert all((gate == 0.5).all() and not gate.requires_grad for gate in fixed)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("resnet200", 10, "bn"), "unknown network 'resnet200', did you mean 'resnet20'"),
        (("resnet20", 10, "bni"), "unknown norm 'bni', did you mean 'bi?n'"),
        (("resnet20", 0, "bn"), "num_classes should be at least 1"),
    ],
)
def test_unknown_names_are_errors_that_help(arguments, message):
    with pytest.raises(UserError, match=message):
        create(*arguments)
