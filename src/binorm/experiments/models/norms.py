"""The norms that experiments compare: one record a norm in `NORMS`, and how one takes the place of batch norms.

A norm layer is called with a number of channels (and ``apply_act=False`` where no ReLU follows), and gives a module
that takes an input and, in residual blocks, what is added before the ReLU: ``norm(x, residual)``.
"""

import copy
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from binorm import BatchInstanceNormAct2d, convert_batch_norm, gate_parameters
from binorm.experiments.common.errors import UserError

CHANNELS_PER_GROUP = 16
# Our networks say stage1.0.norm1, torchvision's and timm's ResNets layer1.0.bn1.
_FIRST_OF_A_BLOCK = re.compile(r"(?:stage|layer)[123]\.\d+\.(?:norm|bn)1")


class NormLayer(Protocol):
    """What a network takes as ``norm_layer``."""

    def __call__(self, num_features: int, *, apply_act: bool = True) -> nn.Module:
        """A norm of (N, num_features, H, W) maps, with a ReLU if ``apply_act``."""


class _Activated(nn.Module):
    """Mixed into a norm: then the addition of a residual, then ReLU."""

    def __init__(self, *arguments: Any, apply_act: bool = True, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.apply_act = apply_act

    def forward(self, input: Tensor, residual: Tensor | None = None) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        x: Tensor = super().forward(input)
        x = x if residual is None else x + residual
        return F.relu(x, inplace=True) if self.apply_act else x


class BatchNormAct2d(_Activated, nn.BatchNorm2d):
    """Batch norm, then the addition of a residual, then ReLU."""


class InstanceNormAct2d(_Activated, nn.InstanceNorm2d):
    """Instance norm with weight and bias, then the addition of a residual, then ReLU."""

    def __init__(self, num_features: int, *, apply_act: bool = True) -> None:
        super().__init__(num_features, affine=True, apply_act=apply_act)


class GroupNormAct(_Activated, nn.GroupNorm):
    """Group norm in groups of 16 channels, then the addition of a residual, then ReLU.

    16 channels a group is the best of the paper's fixed widths (table 3), and fits networks of any width; where 16 does
    not divide the channels, their greatest common divisor is taken.
    """

    def __init__(self, num_features: int, *, apply_act: bool = True) -> None:
        groups = num_features // math.gcd(num_features, CHANNELS_PER_GROUP)
        super().__init__(groups, num_features, apply_act=apply_act)


class InstanceBatchNorm2d(nn.Module):
    """Instance norm for the first half of the channels, batch norm for the others, all with weight and bias.

    Source: Pan et al., ECCV 2018, figure 3 (IBN-a); papers in full stand in `NORMS`.
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


class InstanceBatchNormAct2d(_Activated, InstanceBatchNorm2d):
    """IBN-a's norm, then the addition of a residual, then ReLU."""


class SwitchableNorm2d(nn.Module):
    r"""Switchable norm: means and variances of instance, layer and batch, each mixed with learned weights.

    .. math:: y = \gamma \frac{x - \sum_k w_k \mu_k}{\sqrt{\sum_k w'_k \sigma_k^2 + \epsilon}} + \beta,
              \quad w = softmax(\lambda),\; w' = softmax(\lambda'),\; k \in \{in, ln, bn\}

    In evaluation the batch's statistics are their running averages (momentum 0.1).

    Source: Luo et al., ICLR 2019, section 2.
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


class SwitchableNormAct2d(_Activated, SwitchableNorm2d):
    """Switchable norm, then the addition of a residual, then ReLU."""


def _fixed_mix(num_features: int, *, apply_act: bool = True) -> nn.Module:
    """Half batch norm, half instance norm: the paper's BN+IN, which it does not define further."""
    norm = BatchInstanceNormAct2d(num_features, apply_act=apply_act, gate_init=0.5)
    norm.gate.requires_grad_(False)
    return norm


@dataclass(frozen=True)
class Norm:
    """One norm: all that networks, recipes and reports need to have it, in the order of `NORMS`."""

    name: str  # by which recipes, runs, commands and reports call it
    colour: str  # in figures on a light page
    source: str
    layer: NormLayer
    first_layer: NormLayer | None = None  # first in the blocks of stages 1 to 3, where ``layer``, batch norm, is not
    affine: bool = False  # whether it is one affine map a channel, given its statistics, as style networks need it


_BIN = "Nam & Kim, *Batch-Instance Normalization for Adaptively Style-Invariant Neural Networks*, NeurIPS 2018"
_IBN = "Pan et al., *Two at Once: Enhancing Learning and Generalization Capacities via IBN-Net*, ECCV 2018, section 3.2"
_SN = "Luo et al., *Differentiable Learning-to-Normalize via Switchable Normalization*, ICLR 2019, section 2"

NORMS: dict[str, Norm] = {
    norm.name: norm
    for norm in (
        Norm("bn", "#0072b2", "Ioffe & Szegedy, *Batch Normalization*, ICML 2015", BatchNormAct2d, affine=True),
        Norm("in", "#009e73", "Ulyanov et al., *Instance Normalization*, 2016", InstanceNormAct2d, affine=True),
        Norm("bn+in", "#b35c95", _BIN, _fixed_mix, affine=True),
        Norm("bin", "#d55e00", _BIN, BatchInstanceNormAct2d, affine=True),
        Norm("gn", "#8a6d00", "Wu & He, *Group Normalization*, ECCV 2018", GroupNormAct),
        Norm("ibn-a", "#3b3f8f", _IBN, BatchNormAct2d, first_layer=InstanceBatchNormAct2d),
        Norm("sn", "#7a4a2a", _SN, SwitchableNormAct2d),
    )
}


def replace_batch_norms(network: nn.Module, name: str, norm: Norm, *, pretrained: bool = False) -> nn.Module:
    """Replace the batch norms of ``network``, called ``name``, by ``norm``; its other weights stay.

    If it is ``pretrained``, the new norms take over what they have in common with the batch norms: weight and bias, and
    running statistics where they have any. Otherwise they start as norms do.

    Raises:
        UserError: for ibn-a in a network without stages of blocks, and for batch norms of a kind of its own.
    """
    sample = norm.layer(CHANNELS_PER_GROUP)
    if isinstance(sample, BatchInstanceNormAct2d):
        try:
            network = convert_batch_norm(network)
        except (TypeError, ValueError) as error:
            raise UserError(f"{name} cannot have {norm.name}: {error}") from error
        for gate in gate_parameters(network):
            gate.data.fill_(sample.gate[0])
            gate.requires_grad_(sample.gate.requires_grad)
    elif norm.layer is not BatchNormAct2d:
        for place, module in list(network.named_modules()):
            if isinstance(module, nn.BatchNorm2d):
                network.set_submodule(place, _replacement(module, norm.layer, pretrained))
    replace_first_norms(network, name, norm, pretrained=pretrained)
    return network


def with_gates(network: nn.Module) -> nn.Module:
    """A copy of a trained network, in evaluation mode, whose batch norms are batch-instance norms with gate 1.

    It computes the same, and norms that have gates keep them.

    Raises:
        TypeError, ValueError: for what `binorm.convert_batch_norm` refuses.
    """
    network = copy.deepcopy(network).eval()
    for place, norm in list(network.named_modules(remove_duplicate=False)):
        if type(norm) is BatchNormAct2d:  # a class of ours, which the library leaves alone
            gated = BatchInstanceNormAct2d(norm.num_features, norm.eps, norm.momentum, apply_act=norm.apply_act)
            gated.load_state_dict(norm.state_dict())
            network.set_submodule(place, gated.to(norm.weight).eval())
    return convert_batch_norm(network)


def replace_first_norms(network: nn.Module, name: str, norm: Norm, *, pretrained: bool = False) -> None:
    """Replace the batch norm that comes first in each block, as `replace_batch_norms` does, if ``norm`` has one for it.

    Raises:
        UserError: if ``network``, called ``name``, has no such blocks.
    """
    if norm.first_layer is None:
        return
    places = [place for place, _ in network.named_modules() if _FIRST_OF_A_BLOCK.fullmatch(place)]
    if not places:
        raise UserError(
            f"{norm.name} is defined for networks of residual blocks in stages, and {name} has none: "
            "choose another norm"
        )
    for place in places:
        network.set_submodule(place, _replacement(network.get_submodule(place), norm.first_layer, pretrained))


def _replacement(norm: nn.Module, layer: NormLayer, pretrained: bool) -> nn.Module:
    """The new norm, followed by what timm's norms with activation do after normalizing."""
    # A zoo's plain batch norm leaves its ReLU to the block.
    new = layer(int(norm.num_features), apply_act=bool(getattr(norm, "apply_act", False)))  # type: ignore[arg-type]
    if pretrained:
        _take_over(new, norm.state_dict())
    after = [getattr(norm, part) for part in ("drop", "act") if isinstance(getattr(norm, part, None), nn.Module)]
    return nn.Sequential(new, *after) if after else new


def _take_over(norm: nn.Module, batch_norm: Mapping[str, Tensor]) -> None:
    if isinstance(norm, InstanceBatchNorm2d):
        split = norm.instance_channels
        norm.instance.load_state_dict({key: batch_norm[key][:split] for key in ("weight", "bias")})
        norm.batch.load_state_dict({key: each[split:] if each.dim() else each for key, each in batch_norm.items()})
    else:
        common = norm.state_dict().keys() & batch_norm.keys()
        norm.load_state_dict({key: batch_norm[key] for key in common}, strict=False)
