"""Gradient reversal: a layer that passes values on and turns gradients round."""

import math
from typing import Any

import torch
from torch import Tensor


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: float) -> Tensor:
        ctx.weight = weight
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.weight * gradient, None


def reverse_gradient(x: Tensor, weight: float) -> Tensor:
    """``x`` as it is; its gradient becomes ``-weight`` times what arrives.

    Source: Ganin & Lempitsky, *Unsupervised Domain Adaptation by Backpropagation*, ICML 2015, section 3.
    """
    reversed_x: Tensor = _Reversal.apply(x, weight)
    return reversed_x


def reversal_weight(progress: float) -> float:
    """λ = 2 / (1 + exp(-10 p)) - 1 at the share p of the training: 0 at first, so that the classifiers learn alone.

    Source: Ganin et al., *Domain-Adversarial Training of Neural Networks*, JMLR 2016, section 5.2.2.
    """
    return 2 / (1 + math.exp(-10 * progress)) - 1
