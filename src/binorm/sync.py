"""Batch statistics over all processes of distributed training, merged exactly."""

from copy import copy
from typing import Any, cast

import torch
from torch import Tensor, distributed, nn
from torch.autograd.function import once_differentiable
from torch.distributed import ProcessGroup

from binorm.backends import reference
from binorm.functional import batch_instance_norm, check_arguments
from binorm.modules import BatchInstanceNorm1d, BatchInstanceNorm2d, BatchInstanceNorm3d, _BatchInstanceNorm
from binorm.norm_act import BatchInstanceNormAct2d


class _Synchronised(_BatchInstanceNorm):
    """Computes the batch's statistics over all processes of ``process_group`` while it trains."""

    process_group: ProcessGroup | None = None

    def _compute(self, input: Tensor, gate: Tensor, *arguments: Any, **fused: Any) -> Tensor:
        *vectors, training, _, _ = arguments  # weight, bias and running statistics; momentum and eps
        alone = not (distributed.is_available() and distributed.is_initialized())
        if not training or alone or distributed.get_world_size(self.process_group) == 1:
            return batch_instance_norm(input, gate, *arguments, **fused)
        check_arguments(input, gate, *vectors, training=True, **fused)
        group = self.process_group
        return reference.batch_instance_norm(
            input, gate, *arguments, **fused, merge=lambda mean, var, count: _merge(mean, var, count, group)
        )


class SyncBatchInstanceNorm(_Synchronised):
    r"""Batch-instance normalization with the batch's statistics over all processes; the instances' stay local.

    .. math:: y = (\rho \, \hat{x}_{BN} + (1 - \rho) \, \hat{x}_{IN}) \, \gamma + \beta

    Every process gets what one process with the whole batch would compute, outputs, gradients and running statistics,
    whatever sizes the local batches have; a local batch may be empty, and its process takes part all the same. One
    all-gather of 2 C + 1 numbers in the forward pass, one all-reduce of 2 C in the backward pass. As with
    ``nn.SyncBatchNorm``, gradients of parameters are those of the local samples: ``DistributedDataParallel`` averages
    them. In evaluation, outside of distributed training and with one process it is `BatchInstanceNorm2d`.

    Args:
        num_features: C.
        eps: as `BatchInstanceNorm2d`'s, as are ``momentum``, ``affine``, ``track_running_stats``, ``gate_init``,
            ``device`` and ``dtype``.
        momentum: see there.
        affine: see there.
        track_running_stats: see there.
        process_group: whose processes share statistics; None for all.
        gate_init: see there.
        device: see there.
        dtype: see there.

    Shape:
        Input and output (N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W).

    Raises:
        ValueError: as `BatchInstanceNorm2d` does; for less than two values per channel in all processes together (on
            the CPU; on other devices the outputs are then meaningless).
    """

    input_dims = (2, 3, 4, 5)

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        process_group: ProcessGroup | None = None,
        *,
        gate_init: float = 1.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, gate_init=gate_init, device=device, dtype=dtype
        )
        self.process_group = process_group


class SyncBatchInstanceNormAct2d(_Synchronised, BatchInstanceNormAct2d):
    """`binorm.BatchInstanceNormAct2d` with synchronised statistics; `convert_sync_batch_instance_norm` makes it."""


_SYNCHRONISED: dict[type[nn.Module], type[_Synchronised]] = {
    BatchInstanceNorm1d: SyncBatchInstanceNorm,
    BatchInstanceNorm2d: SyncBatchInstanceNorm,
    BatchInstanceNorm3d: SyncBatchInstanceNorm,
    BatchInstanceNormAct2d: SyncBatchInstanceNormAct2d,
}


def convert_sync_batch_instance_norm(module: nn.Module, process_group: ProcessGroup | None = None) -> nn.Module:
    """Replace every batch-instance norm in ``module`` by its synchronised form, with the same parameters and buffers.

    Mode, hooks, activation and the dimensions accepted stay as they are. Call it before the network is wrapped in
    ``DistributedDataParallel``.

    Args:
        module: a network, or one norm.
        process_group: whose processes share statistics; None for all.

    Returns:
        ``module``, changed in place, or the new norm if it is one itself.

    Raises:
        TypeError: for a subclass of a batch-instance norm, whose behaviour would be lost; it names the layer.
    """
    converted: dict[nn.Module, nn.Module] = {}  # a norm used in two places stays one norm

    def convert(child: nn.Module, name: str) -> nn.Module:
        if child not in converted:
            converted[child] = _synchronised(child, name, process_group)
            for key, grandchild in child._modules.items():
                if grandchild is not None:
                    converted[child]._modules[key] = convert(grandchild, f"{name}.{key}" if name else key)
        return converted[child]

    return convert(module, "")


def _synchronised(module: nn.Module, name: str, process_group: ProcessGroup | None) -> nn.Module:
    if not isinstance(module, _BatchInstanceNorm) or isinstance(module, _Synchronised):
        return module
    if type(module) not in _SYNCHRONISED:
        raise TypeError(
            f"{name or 'the module'} is a {type(module).__name__}, a subclass of a batch-instance norm: converting it "
            "would lose what it adds. Convert before sharding and parametrizing; derive it from SyncBatchInstanceNorm"
        )
    norm = cast(_Synchronised, copy(module))
    norm.__class__ = _SYNCHRONISED[type(module)]
    norm._modules = dict(module._modules)
    norm.input_dims = module.input_dims
    norm.process_group = process_group
    return norm


def _merge(mean: Tensor, var: Tensor, count: int, group: ProcessGroup | None) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, biased variance and count over all processes, from those of this process."""
    merged_mean, merged_var, total = _MergeStatistics.apply(mean, var, count, group)
    if total.device.type == "cpu" and total <= 1:  # elsewhere, asking would make the device's queue wait
        raise ValueError(f"Expected more than 1 value per channel when training, got {int(total)} in all processes")
    return merged_mean, merged_var, total


class _MergeStatistics(torch.autograd.Function):
    """Merges (C,) means and variances over processes by their counts, as if each had read all the values."""

    @staticmethod
    def forward(
        ctx: Any, mean: Tensor, var: Tensor, count: int, group: ProcessGroup | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        own = torch.cat([mean, var, mean.new_tensor([count])]).double()  # counts stay exact
        everyone = [torch.empty_like(own) for _ in range(distributed.get_world_size(group))]
        distributed.all_gather(everyone, own, group=group)
        table = torch.stack(everyone)
        channels = mean.numel()
        means, variances, counts = table[:, :channels], table[:, channels:-1], table[:, -1:]
        total = counts.sum().clamp(min=1)
        shares = counts / total
        merged_mean = (shares * means).sum(0)
        merged_var = (shares * (variances + (means - merged_mean).square())).sum(0)
        ctx.group = group
        ctx.save_for_backward(mean, merged_mean, count / total)
        ctx.mark_non_differentiable(total)
        return merged_mean.to(mean.dtype), merged_var.to(mean.dtype), total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_mean: Tensor, grad_var: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        mean, merged_mean, share = ctx.saved_tensors
        gradients = torch.stack([grad_mean, grad_var]).double()  # of this process's loss
        distributed.all_reduce(gradients, group=ctx.group)
        grad_mean, grad_var = share * gradients
        return (grad_mean + 2 * grad_var * (mean - merged_mean)).to(mean.dtype), grad_var.to(mean.dtype), None, None
