"""Which backend computes a call: by the input's device and dtype, or as the environment variable BINORM_BACKEND asks.

``auto``, the default, takes the kernels of the input's device and falls back to the reference where there are none.
``reference`` always computes in plain PyTorch. ``cpu`` and ``triton`` take these kernels and raise an error where they
cannot compute. The variable is read once. Traced calls (``torch.compile``, ``torch.export``, function transforms,
forward-mode differentiation, meta tensors) always see the reference, which compilers fuse with its neighbours.
"""

import os
import warnings
from functools import cache

import torch
from torch import Tensor
from torch.autograd import forward_ad

CHOICES = ("auto", "reference", "cpu", "triton")


def is_traced(input: Tensor, gate: Tensor) -> bool:
    """Whether a call with these tensors is recorded or transformed instead of being computed once."""
    return (
        torch.compiler.is_compiling()
        or not (is_plain(input) and is_plain(gate))
        or input.is_meta
        or torch._C._functorch.peek_interpreter_stack() is not None
        or forward_ad._current_level >= 0
        or torch._C._is_tracing()
        or any(torch._C._get_dispatch_mode(key) is not None for key in _RECORDING)
    )


_RECORDING = (torch._C._TorchDispatchModeKey.PROXY, torch._C._TorchDispatchModeKey.FAKE)


def is_plain(tensor: Tensor) -> bool:
    """Whether a tensor is PyTorch's own: no fake or distributed one, whose values cannot be asked for."""
    return type(tensor) is Tensor or type(tensor) is torch.nn.Parameter


def has_kernels(input: Tensor) -> bool:
    """Whether the operator of `binorm.backends.operator` computes this call, which is not traced."""
    if input.numel() == 0:
        return False
    if input.dtype in _dtypes_with_kernels(input.device.type):
        return True
    asked = _asked()
    if asked in ("cpu", "triton"):
        raise RuntimeError(
            f"BINORM_BACKEND={asked} has no kernels for {input.dtype} on {input.device.type}: "
            "unset it, or choose another dtype or device"
        )
    return False


@cache
def _asked() -> str:
    asked = os.environ.get("BINORM_BACKEND", "auto")
    if asked not in CHOICES:
        raise ValueError(f"BINORM_BACKEND should be one of {', '.join(CHOICES)} (got {asked!r})")
    return asked


@cache
def _dtypes_with_kernels(device: str) -> frozenset[torch.dtype]:
    """Load the kernels for a type of device; what they compute in, nothing where there are none."""
    asked = _asked()
    try:
        if device == "cpu" and asked in ("auto", "cpu"):
            from binorm.backends import cpu

            cpu.load()
            return cpu.DTYPES
        if asked == "triton" or (device == "cuda" and asked == "auto"):
            from binorm.backends import triton

            triton.load(device)
            return triton.DTYPES
    except ImportError as error:
        if asked != "auto":
            raise RuntimeError(f"BINORM_BACKEND={asked} is not available: {error}") from error
        warnings.warn(
            f"binorm computes on {device} in plain PyTorch, several times slower than with its kernels: {error}. "
            "BINORM_BACKEND=reference asks for this without a warning.",
            RuntimeWarning,
            stacklevel=2,
        )
    return frozenset()
