import pytest
import torch
from random_styles import random_style_network

from binorm.experiments.common.errors import UserError
from binorm.experiments.style.network import shift_gates


def _gates(network):
    return torch.cat([value for name, value in network.named_parameters() if name.endswith(".gate")])


@pytest.mark.parametrize(
    ("shift", "expected"),
    [
        (-1.0, lambda gate: 0 * gate),
        (-0.25, lambda gate: 0.75 * gate),
        (0.0, lambda gate: gate),
        (0.5, lambda gate: gate + (1 - gate) / 2),
        (1.0, torch.ones_like),
    ],
)
def test_every_gate_moves_by_the_formula(shift, expected):
    network = random_style_network(blocks=2)
    before = _gates(network).clone()
    assert len(before) == 4 + 8 + 16 * 5 + 8 + 4  # every norm's channels
    torch.testing.assert_close(_gates(shift_gates(network, shift)), expected(before))
    torch.testing.assert_close(_gates(network), before, rtol=0, atol=0)  # a copy moved, not the network


def test_the_ends_are_instance_and_batch_norm():
    network = random_style_network()
    picture = torch.rand(1, 3, 24, 20)
    for shift, norm in ((-1.0, "in"), (1.0, "bn")):
        pure = random_style_network(norm)
        known = pure.state_dict()
        pure.load_state_dict({name: value for name, value in network.state_dict().items() if name in known})
        torch.testing.assert_close(shift_gates(network, shift)(picture), pure(picture), rtol=1e-4, atol=1e-5)


def test_a_fixed_mix_can_be_shifted_too():
    assert torch.equal(_gates(shift_gates(random_style_network("bn+in"), 0.5)).unique(), torch.tensor([0.75]))


@pytest.mark.parametrize("shift", [-1.01, 1.5, float("nan")])
def test_shifts_out_of_range_are_refused(shift):
    with pytest.raises(UserError, match=r"between -1 \(all IN\) and 1 \(all BN\) \(got"):
        shift_gates(random_style_network(), shift)


@pytest.mark.parametrize("norm", ["bn", "in"])
def test_norms_without_gates_can_only_stay(norm):
    network = random_style_network(norm)
    picture = torch.rand(1, 3, 8, 8)
    assert torch.equal(shift_gates(network, 0.0)(picture), network(picture))
    with pytest.raises(UserError, match=f"norm '{norm}' has no gates"):
        shift_gates(network, 0.5)
