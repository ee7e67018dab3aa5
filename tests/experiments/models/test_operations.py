import pytest
import torch

from binorm.experiments.models import create
from binorm.experiments.models.operations import operations


@pytest.mark.parametrize(
    ("name", "multiplications"),
    [("resnet20", 40.8e6), ("resnet110", 253e6), ("fast", 118e6)],
)
def test_operations_are_twice_the_multiplications(name, multiplications):
    assert operations(create(name, 10, "bn"), (32, 32)) == pytest.approx(2 * multiplications, rel=0.01)


def test_every_norm_counts_alike_and_nothing_changes():
    networks = {norm: create("resnet8", 10, norm) for norm in ("bn", "bin", "sn", "gn")}
    before = {name: value.clone() for name, value in networks["bin"].state_dict().items()}
    state = torch.get_rng_state()
    assert len({operations(network, (32, 32)) for network in networks.values()}) == 1
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in networks["bin"].state_dict().items())
    assert all(module.training for module in networks["bin"].modules())
