import pytest
import torch

from binorm.experiments.training.methods.gradient_reversal import reversal_weight, reverse_gradient


def test_values_pass_and_gradients_turn_round():
    x = torch.randn(3, 4, requires_grad=True)
    y = reverse_gradient(x, 0.25)
    assert torch.equal(y, x)
    (y * torch.arange(4)).sum().backward()
    torch.testing.assert_close(x.grad, -0.25 * torch.arange(4.0).expand(3, 4))


def test_the_weight_rises_from_0_to_1():
    assert reversal_weight(0.0) == 0
    assert reversal_weight(1.0) == pytest.approx(0.9999, abs=1e-4)
    assert reversal_weight(0.1) == pytest.approx((1 - 2.718281828**-1) / (1 + 2.718281828**-1))
