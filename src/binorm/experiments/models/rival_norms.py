"""The norms that batch-instance norm is compared with besides BN and IN, from their papers."""

import math

import torch
from torch import Tensor, nn

CHANNELS_PER_GROUP = 16


class GroupNorm(nn.GroupNorm):
    """Group norm (Wu & He, *Group Normalization*, ECCV 2018) of ``num_channels`` channels in groups of 16.

    16 channels a group is the best of that paper's fixed widths (table 3), and fits networks of any width; where 16
    does not divide the channels, their greatest common divisor is taken.
    """

    def __init__(self, num_channels: int) -> None:
        super().__init__(num_channels // math.gcd(num_channels, CHANNELS_PER_GROUP), num_channels)


class InstanceBatchNorm2d(nn.Module):
    """Instance norm for the first half of the channels, batch norm for the others, all with weight and bias.

    Source: Pan et al., *Two at Once: Enhancing Learning and Generalization Capacities via IBN-Net*, ECCV 2018, figure
    3 (IBN-a).
    """

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.instance_channels = num_features // 2
        self.instance = nn.InstanceNorm2d(self.instance_channels, affine=True)
        self.batch = nn.BatchNorm2d(num_features - self.instance_channels)

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        first, second = input[:, : self.instance_channels], input[:, self.instance_channels :]
        return torch.cat([self.instance(first.contiguous()), self.batch(second.contiguous())], dim=1)


class SwitchableNorm2d(nn.Module):
    r"""Switchable norm: means and variances of instance, layer and batch, each mixed with learned weights.

    .. math:: y = \gamma \frac{x - \sum_k w_k \mu_k}{\sqrt{\sum_k w'_k \sigma_k^2 + \epsilon}} + \beta,
              \quad w = softmax(\lambda),\; w' = softmax(\lambda'),\; k \in \{in, ln, bn\}

    In evaluation the batch's statistics are their running averages (momentum 0.1).

    Source: Luo et al., *Differentiable Learning-to-Normalize via Switchable Normalization*, ICLR 2019, section 2.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.mean_weight = nn.Parameter(torch.zeros(3))
        self.var_weight = nn.Parameter(torch.zeros(3))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        var_in, mean_in = torch.var_mean(input.float(), dim=(2, 3), correction=0)
        var_ln, mean_ln = _merge(var_in, mean_in, dim=1)
        if self.training:
            var_bn, mean_bn = _merge(var_in, mean_in, dim=0)
            self._update(var_bn, mean_bn, input.numel() // input.shape[1])
        else:
            var_bn, mean_bn = self.running_var, self.running_mean
        mean_weights, var_weights = self.mean_weight.softmax(0), self.var_weight.softmax(0)
        mean = mean_weights[0] * mean_in + mean_weights[1] * mean_ln + mean_weights[2] * mean_bn
        var = var_weights[0] * var_in + var_weights[1] * var_ln + var_weights[2] * var_bn
        scale = (self.weight * (var + self.eps).rsqrt())[:, :, None, None]
        shift = self.bias[:, None, None] - mean[:, :, None, None] * scale
        return torch.addcmul(shift, input, scale).to(input.dtype)

    @torch.no_grad()
    def _update(self, var: Tensor, mean: Tensor, count: int) -> None:
        unbiased = var[0] * (count / max(count - 1, 1))
        self.running_mean.lerp_(mean[0], self.momentum)
        self.running_var.lerp_(unbiased, self.momentum)


def _merge(var: Tensor, mean: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Biased variance and mean over one more dimension, of equal parts, without a difference of squares."""
    between, merged = torch.var_mean(mean, dim=dim, correction=0, keepdim=True)
    return var.mean(dim, keepdim=True) + between, merged
