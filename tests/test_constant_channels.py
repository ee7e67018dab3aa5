"""Nothing to normalize: eps 0 and instances that are constant, where batch norm is finite."""

import pytest
import torch
from naive import LAYERS, SHAPES
from torch import nn

import binorm


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # Triton's interpreter, in masked lanes
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("gate", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_evaluation_with_eps_0_is_finite_where_an_instance_is_constant(shape, gate, dtype) -> None:
    torch.manual_seed(0)
    layer = LAYERS[len(shape)](shape[1], eps=0.0, gate_init=gate).to(dtype).eval()
    tiny = LAYERS[len(shape)](shape[1], eps=1e-12, gate_init=gate).to(dtype).eval()
    x = torch.randn(shape).to(dtype)
    x[1] = 2.0
    x.requires_grad_()
    y = layer(x)
    y.float().pow(3).sum().backward()
    assert y.isfinite().all()
    assert x.grad.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in layer.parameters())
    torch.testing.assert_close(y, tiny(x), rtol=2e-2, atol=2e-2)


def test_training_with_eps_0_is_batch_norms_error() -> None:
    x = torch.randn(4, 3, 5, 5)
    with pytest.raises(ValueError, match="eps must be positive") as batch_norms:
        nn.BatchNorm2d(3, eps=0.0)(x)
    for norm in (binorm.BatchInstanceNorm2d(3, eps=0.0), binorm.SyncBatchInstanceNorm(3, eps=0.0)):
        with pytest.raises(ValueError, match="eps must be positive") as ours:
            norm(x)
        assert str(ours.value) == str(batch_norms.value)
