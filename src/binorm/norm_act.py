"""Norm and activation in one layer, with the constructor of timm's ``BatchNormAct2d``."""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, fx, nn

from binorm.modules import BatchInstanceNorm2d

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "": nn.Identity,
    "identity": nn.Identity,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "silu": nn.SiLU,
    "swish": nn.SiLU,
    "gelu": nn.GELU,
    "relu6": nn.ReLU6,
}


class BatchInstanceNormAct2d(BatchInstanceNorm2d):
    r"""Batch-instance normalization of (N, C, H, W) input, then an activation, with a residual added between them.

    .. math:: y = \phi((\rho \, \hat{x}_{BN} + (1 - \rho) \, \hat{x}_{IN}) \, \gamma + \beta + residual)

    ReLU, ReLU6, LeakyReLU, SiLU and GELU (by erf) are computed in the norm's own pass over memory, and so is the
    residual's addition; any other activation after it. Saved for the backward pass are the input (and the residual),
    not the activation's input.

    Args:
        num_features: C.
        eps: as `BatchInstanceNorm2d`'s, as are ``momentum``, ``affine``, ``track_running_stats``, ``gate_init``,
            ``device`` and ``dtype``.
        momentum: see there.
        affine: see there.
        track_running_stats: see there.
        apply_act: False for no activation.
        act_layer: its class, a function that makes one, or its name: "relu", "relu6", "leaky_relu", "silu" (or
            "swish"), "gelu", "identity".
        act_kwargs: for the activation's constructor.
        inplace: passed on to activations that take it; of no effect where the activation is part of the norm's pass.
        drop_layer: makes a layer between norm and activation (and before the residual), such as DropBlock.
        gate_init: see there.
        device: see there.
        dtype: see there.

    Raises:
        ValueError: for an unknown activation's name, and as `BatchInstanceNorm2d` does.

    Example:
        >>> norm = binorm.BatchInstanceNormAct2d(64)
        >>> norm(torch.randn(8, 64, 32, 32), residual=torch.randn(8, 64, 32, 32)).min()
        tensor(0., grad_fn=<MinBackward1>)
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        apply_act: bool = True,
        act_layer: str | Callable[..., nn.Module] | None = nn.ReLU,
        act_kwargs: dict[str, Any] | None = None,
        inplace: bool = True,
        drop_layer: Callable[[], nn.Module] | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        gate_init: float = 1.0,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, gate_init=gate_init, device=device, dtype=dtype
        )
        self.drop = drop_layer() if drop_layer is not None else nn.Identity()
        self.act = _make_activation(act_layer, act_kwargs or {}, inplace) if apply_act else nn.Identity()

    def forward(self, input: Tensor, residual: Tensor | None = None) -> Tensor:
        """Normalize ``input``, (N, C, H, W), add ``residual`` of the same shape, activate."""
        if isinstance(input, fx.Proxy):
            return self._traced(input) if residual is None else self._traced(input, residual)
        drops = not isinstance(self.drop, nn.Identity)
        fused = None if drops else _fused_activation(self.act)
        if fused is not None:
            activation, negative_slope = fused
            return self._normalize(input, residual=residual, activation=activation, negative_slope=negative_slope)
        if drops:
            output = self.drop(self._normalize(input))
            output = output if residual is None else output + residual
        else:
            output = self._normalize(input, residual=residual)
        return self.act(output)  # type: ignore[no-any-return]


def _make_activation(
    act_layer: str | Callable[..., nn.Module] | None, act_kwargs: dict[str, Any], inplace: bool
) -> nn.Module:
    if isinstance(act_layer, str):
        if act_layer not in _ACTIVATIONS:
            raise ValueError(
                f"act_layer should be a class or one of {', '.join(filter(None, _ACTIVATIONS))} (got {act_layer!r})"
            )
        act_layer = _ACTIVATIONS[act_layer]
    if act_layer is None:
        return nn.Identity()
    try:
        return act_layer(**{"inplace": inplace, **act_kwargs})
    except TypeError:  # it does not know inplace
        return act_layer(**act_kwargs)


def _fused_activation(act: nn.Module) -> tuple[str, float] | None:
    """Name and negative slope for the functional call, None where the module itself has to be called."""
    if act._forward_hooks or act._forward_pre_hooks or act._backward_hooks or act._backward_pre_hooks:
        return None
    kind = type(act)  # exactly: a subclass may do anything
    if kind is nn.LeakyReLU:
        return "leaky_relu", cast(nn.LeakyReLU, act).negative_slope
    if kind is nn.GELU:
        return ("gelu", 0.0) if act.approximate == "none" else None
    names = {nn.Identity: "identity", nn.ReLU: "relu", nn.ReLU6: "relu6", nn.SiLU: "silu"}
    return (names[kind], 0.0) if kind in names else None
