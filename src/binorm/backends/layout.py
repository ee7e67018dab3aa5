"""The memory layout that batch normalization gives its output, which every backend gives too."""

import torch
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor


def in_batch_norm_layout(x: Tensor) -> Tensor:
    """Lay ``x`` out as ``nn.BatchNorm*d`` lays out its output: channels-last if the strides are so, else contiguous."""
    if x.is_contiguous():
        return x
    if not torch.compiler.is_compiling() and is_functorch_wrapped_tensor(x):  # vmap cannot tell any other layout
        return x
    if x.dim() not in (4, 5):
        return x.contiguous()
    channels_last = torch.channels_last if x.dim() == 4 else torch.channels_last_3d
    if x.is_contiguous(memory_format=channels_last) or _has_channels_last_strides(x):
        return x.contiguous(memory_format=channels_last)
    return x.contiguous()


def _has_channels_last_strides(x: Tensor) -> bool:
    """PyTorch's own rule, also for slices: strides grow in the order C, ..., W, H, N, and do not fit contiguity too."""
    least = 0
    for dim in (1, *range(x.dim() - 1, 1, -1), 0):
        stride = x.stride(dim)
        if stride < max(least, 1) or (dim == 0 and least == x.stride(1)):
            return False
        least = stride * x.shape[dim]
    return True
