"""Folds: exact where every gate is 1, refused where gates are below."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

import binorm


def convolution_and_norm(gate: float) -> tuple[nn.Conv2d, binorm.BatchInstanceNorm2d]:
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(3, 8, 3), binorm.BatchInstanceNorm2d(8, gate_init=gate)
    with torch.no_grad():
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 1.5)
        norm.weight.uniform_(0.5, 1.5)
    return conv.eval(), norm.eval()


def scaled_weight(conv: nn.Conv2d, scale: Tensor) -> nn.Conv2d:
    conv = copy.deepcopy(conv)
    conv.weight.data.mul_(scale.view(-1, 1, 1, 1))
    return conv


class FrozenNorm(nn.Module):
    """Constants in place of a norm, as detection code makes them: it takes over the attributes, and adds them later."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.weight, self.bias = norm.weight.detach(), norm.bias.detach()
        self.mean, self.var, self.eps = norm.running_mean, norm.running_var, norm.eps

    def forward(self, x: Tensor) -> Tensor:
        scale = self.weight * (self.var + self.eps).rsqrt()
        return x * scale.view(1, -1, 1, 1) + (self.bias - self.mean * scale).view(1, -1, 1, 1)


FOLDS = {
    "torch": lambda conv, norm: fuse_conv_bn_eval(conv, norm),
    "rsqrt": lambda conv, norm: scaled_weight(conv, norm.weight * torch.rsqrt(norm.running_var + norm.eps)),
    "eps first": lambda conv, norm: scaled_weight(conv, norm.weight / torch.sqrt(norm.eps + norm.running_var)),
    "power": lambda conv, norm: scaled_weight(conv, norm.weight / (norm.running_var + norm.eps) ** 0.5),
    "add": lambda conv, norm: scaled_weight(conv, norm.running_var.add(norm.eps).rsqrt()),
    "NumPy": lambda conv, norm: np.sqrt(norm.running_var.numpy() + norm.eps),
    "NumPy, eps first": lambda conv, norm: np.sqrt(norm.eps + norm.running_var.numpy()),
    "number by number": lambda conv, norm: [value + norm.eps for value in norm.running_var.tolist()],
    "frozen": lambda conv, norm: FrozenNorm(norm)(conv(torch.randn(1, 3, 5, 5))),
}


@pytest.mark.parametrize("fold", FOLDS)
def test_a_fold_that_would_drop_gates_is_refused_and_says_the_way_out(fold) -> None:
    with pytest.raises(RuntimeError, match=r"gates below 1.*would drop the gates.*revert_to_batch_norm"):
        FOLDS[fold](*convolution_and_norm(0.5))


@pytest.mark.parametrize("fold", FOLDS)
def test_a_fold_of_gates_at_1_is_that_of_the_batch_norm(fold) -> None:
    conv, norm = convolution_and_norm(1.0)
    folded = FOLDS[fold](conv, norm)
    if fold == "torch":
        x = torch.randn(2, 3, 9, 9)
        torch.testing.assert_close(folded(x), norm(conv(x)))


def test_eps_is_a_number_to_everyone_else() -> None:
    _, norm = convolution_and_norm(0.5)
    assert norm.eps == 1e-5
    assert isinstance(norm.eps, float)
    assert 2 * norm.eps == 2e-5
    assert f"{norm.eps}" == "1e-05"
    assert type(float(norm.eps)) is float
    twin = binorm.BatchInstanceNorm2d(8, eps=norm.eps)
    assert type(vars(twin)["eps"]) is float
    assert pickle.loads(pickle.dumps(norm)).eps == 1e-5
    binorm.functional.batch_instance_norm(torch.randn(2, 8, 3, 3), norm.gate, training=True, eps=norm.eps)
    norm.eps = 1e-3  # a loop over norm layers
    assert norm.eps == 1e-3
    assert "eps=0.001" in repr(norm)


def test_timms_reparametrization_refuses_gates_below_1_and_takes_gates_at_1() -> None:
    timm = pytest.importorskip("timm", reason="timm is not installed")
    from timm.utils.model import reparameterize_model

    model = binorm.convert_batch_norm(timm.create_model("levit_128s", num_classes=3)).eval()
    x = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(reparameterize_model(model)(x), model(x), rtol=1e-3, atol=1e-3)
        for gate in binorm.gate_parameters(model):
            gate.fill_(0.5)
    with pytest.raises(RuntimeError, match="would drop the gates"):
        reparameterize_model(model)
