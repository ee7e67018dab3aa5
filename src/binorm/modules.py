"""Batch-instance normalization as layers with the constructors, buffers and errors of ``nn.BatchNorm*d``."""

import warnings
from collections.abc import Callable
from typing import Any, ClassVar, NoReturn, Self, cast
from weakref import WeakSet

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _NormBase

from binorm.backends.selection import is_plain
from binorm.folding import GuardedEps
from binorm.functional import batch_instance_norm


class _BatchInstanceNorm(_NormBase):
    """What the 1d, 2d and 3d layers share; use those.

    No batch norm to ``isinstance``, on purpose. Code that looks for batch norms either changes what it finds (freezes
    it, sets its momentum), for which there is `binorm.norm_layers`, or replaces it (``nn.SyncBatchNorm``'s conversion
    and Lightning's ``sync_batchnorm``, frozen batch norms, folds), which would drop the gate without a word, in
    training even where all gates are 1. To be passed by is the lesser harm: the network stays what it is.
    """

    gate: nn.Parameter
    input_dims: tuple[int, ...]  # how many dimensions an input may have; each subclass names its own

    alive: ClassVar[WeakSet["_BatchInstanceNorm"]] = WeakSet()  # whose gates are clipped after an optimizer's step

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        gate_init: float = 1.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        if not 0.0 <= gate_init <= 1.0:
            raise ValueError(
                f"gate_init should be in [0, 1], from instance norm (0) to batch norm (1) (got {gate_init})"
            )
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device=device, dtype=dtype)
        self.gate_init = float(gate_init)
        self.gate = nn.Parameter(torch.full((num_features,), self.gate_init, device=device, dtype=dtype))
        _BatchInstanceNorm.alive.add(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Come alive as a copy, or from a pickle."""
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self.eps = vars(self)["eps"]  # in older pickles it stands there alone
        _BatchInstanceNorm.alive.add(self)

    def reset_parameters(self) -> None:
        """Set weight to 1, bias to 0, the gate to ``gate_init`` and the running statistics to their start."""
        super().reset_parameters()
        if hasattr(self, "gate"):  # the base class calls this before there is one
            self._reset_gate(self.gate_init)

    def _reset_gate(self, value: float) -> None:
        if "gate" in self._parameters:
            nn.init.constant_(self.gate, value)
        else:  # parametrized
            self.gate = torch.full_like(self.gate, value)  # type: ignore[assignment]

    @property
    def eps(self) -> float:
        """Added to every variance. While gates are below 1, arithmetic on tensors with it is refused: `GuardedEps`."""
        is_recorded = torch.compiler.is_compiling() or torch._C._is_tracing()
        return self._eps if is_recorded or self._computes_batch_norm() else GuardedEps(self._eps)

    @eps.setter
    def eps(self, eps: float) -> None:
        vars(self)["eps"] = self._eps = float(eps)  # the former for nn.BatchNorm's repr, the latter for compilers

    def _computes_batch_norm(self) -> bool:
        """Whether every gate is 1, or not here to be asked (on meta, fake, sharded): nothing can be folded then."""
        gate = getattr(self, "gate", None)
        if gate is None or gate.is_meta or not is_plain(gate):
            return True
        return bool((gate.detach() >= 1.0).all())

    def forward(self, input: Tensor) -> Tensor:
        """Normalize ``input``, (N, C, *spatial), into a tensor of the same shape and dtype."""
        if isinstance(input, fx.Proxy):
            return self._traced(input)
        return self._normalize(input)

    def _normalize(
        self,
        input: Tensor,
        *,
        residual: Tensor | None = None,
        activation: str = "identity",
        negative_slope: float = 0.01,
    ) -> Tensor:
        """Check, count, and compute; the last three arguments are those of `binorm.functional.batch_instance_norm`."""
        self._check_input_dim(input)
        # Under torch.compile, torch before 2.14 says that it is exporting.
        if self.training and torch.compiler.is_exporting() and not torch.compiler.is_dynamo_compiling():
            warnings.warn(
                "a batch-instance norm is being exported in training mode: the recorded graph cannot be moved to "
                "evaluation afterwards, as one with batch norms can. Export model.eval() for evaluation",
                stacklevel=2,
            )
        updates = self.training and self.track_running_stats
        if updates and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        reads_or_updates = updates or not self.training
        return self._compute(
            input,
            self.gate,
            self.weight,
            self.bias,
            self.running_mean if reads_or_updates else None,
            self.running_var if reads_or_updates else None,
            self.training or self.running_mean is None,  # without running statistics, evaluation uses the batch's
            self._running_share() if updates else 0.0,
            self._eps,
            residual=residual,
            activation=activation,
            negative_slope=negative_slope,
            clip_gate=True,
        )

    def _compute(self, input: Tensor, gate: Tensor, *arguments: Any, **fused: Any) -> Tensor:
        """`binorm.functional.batch_instance_norm`; synchronised layers compute in their own way."""
        return batch_instance_norm(input, gate, *arguments, **fused)

    def _traced(self, *inputs: Any) -> Any:
        """Stay one call in a graph of ``torch.fx``, as its tracer does with PyTorch's own layers."""
        tracer = cast(fx.Tracer, next(each.tracer for each in inputs if isinstance(each, fx.Proxy)))
        return tracer.create_proxy("call_module", tracer.path_of_module(self), inputs, {})

    def __prepare_scriptable__(self) -> NoReturn:
        """Called by ``torch.jit.script`` before it compiles a module."""
        raise RuntimeError(
            "torch.jit.script cannot compile a batch-instance norm: record the network with "
            "torch.jit.trace(model.eval(), example), or use torch.export, or torch.compile"
        )

    def extra_repr(self) -> str:
        """Batch norm's, and the gate's start where it is not 1."""
        batch_norm_repr: str = super().extra_repr()  # type: ignore[no-untyped-call]
        return batch_norm_repr + ("" if self.gate_init == 1.0 else f", gate_init={self.gate_init}")

    def _running_share(self) -> float:
        """The share of this batch in the running statistics; momentum None asks for their plain average."""
        if self.momentum is not None:
            return self.momentum
        return 1.0 / float(self.num_batches_tracked) if self.num_batches_tracked is not None else 0.0

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() not in self.input_dims:
            expected = " or ".join(f"{dims}D" for dims in self.input_dims)
            raise ValueError(f"expected {expected} input (got {input.dim()}D input)")

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move or convert; a gate that leaves meta is never what happened to be in its new memory."""
        gate = self._parameters.get("gate")
        if gate is not None and gate.is_meta and not hasattr(self, "_hf_hook"):  # accelerate's, for what it offloads
            beside = self.weight if self.affine else self.running_mean
            if beside is not None and not beside.is_meta:  # a loader found all but the gate: a batch norm's checkpoint
                self.gate = nn.Parameter(torch.ones_like(gate, device=beside.device, dtype=beside.dtype))
        was_meta = gate is not None and self.gate.is_meta
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if was_meta and not self.gate.is_meta:
            self._reset_gate(self.gate_init)
        return self

    def __setattr__(self, name: str, value: Any) -> None:
        """Set it; and where ``transformers`` has given the layer memory of no content, fill that.

        ``from_pretrained`` puts uninitialised memory where a checkpoint lacks a tensor, initialises the layers that it
        knows by class, and then marks every layer as initialised, as it has marked the tensors that it did load.
        """
        super().__setattr__(name, value)
        if name == "_is_hf_initialized" and value:
            self._fill_unset(loaded_mark=name)

    @torch.no_grad()
    def _fill_unset(self, loaded_mark: str) -> None:
        """Give tensors their start that were neither loaded nor written to since they were made."""
        tensors = dict((*self.named_parameters(recurse=False), *self.named_buffers(recurse=False)))
        loaded = {name for name, tensor in tensors.items() if getattr(tensor, loaded_mark, False)}
        start = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0, "num_batches_tracked": 0}
        start["gate"] = 1.0 if loaded & {"weight", "running_mean"} else self.gate_init  # a batch norm's checkpoint: 1
        for name in start.keys() & tensors.keys() - loaded:
            if tensors[name]._version == 0:  # else somebody's own initialization
                tensors[name].fill_(start[name])

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        if "gate" in self._parameters:  # not parametrized or pruned: then there is nothing to add to
            state_dict = self._with_gate(state_dict, prefix, local_metadata, error_msgs)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    def _with_gate(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], error_msgs: list[str]
    ) -> dict[str, Any]:
        """Add gate 1 to a batch norm's state, and say what is wrong with anything that is no state of either norm."""
        key = prefix + "gate"
        if key in state_dict:
            if not state_dict[key].is_meta and torch.isnan(state_dict[key]).any():
                error_msgs.append(f"{key} holds NaN: the network had diverged when it was saved")
            return state_dict
        batch_norm_keys = [prefix + name for name in ("weight", "bias", "running_mean", "running_var")]
        own_keys = [k for k in batch_norm_keys if getattr(self, k.removeprefix(prefix)) is not None]
        absent = [k for k in own_keys if k not in state_dict]
        # A batch norm without tensors leaves nothing but its version.
        if not absent and (own_keys or local_metadata):
            like = state_dict[own_keys[0]] if own_keys else self.gate
            assigned = local_metadata.get("assign_to_params_buffers", False)  # then the loaded dtypes are the layer's
            gate = torch.ones_like(self.gate, device=like.device, dtype=like.dtype if assigned else None)
            return {**state_dict, key: gate}
        if any(k in state_dict for k in own_keys):
            error_msgs.append(
                f"{prefix}* is the state of neither a batch-instance norm (no gate) nor a batch norm "
                f"(no {', '.join(k.removeprefix(prefix) for k in absent)}): was it an instance or group norm?"
            )
        return state_dict


class BatchInstanceNorm1d(_BatchInstanceNorm):
    r"""Batch-instance normalization of (N, C) or (N, C, L) input.

    .. math:: y = (\rho \, \hat{x}_{BN} + (1 - \rho) \, \hat{x}_{IN}) \, \gamma + \beta

    See `BatchInstanceNorm2d`, which differs in the input's shape alone. In (N, C) input every instance has one value,
    so x̂_IN is 0 and the layer is batch norm scaled by the gate.
    """

    input_dims = (2, 3)


class BatchInstanceNorm2d(_BatchInstanceNorm):
    r"""Batch-instance normalization of (N, C, H, W) input: batch and instance norm mixed by one learned gate a channel.

    .. math:: y = (\rho \, \hat{x}_{BN} + (1 - \rho) \, \hat{x}_{IN}) \, \gamma + \beta

    x̂_BN is normalized with the mean and biased variance of a channel over (N, H, W) in training, and with their running
    averages in evaluation; x̂_IN always with those of each (sample, channel) over (H, W). The gate ρ starts at
    ``gate_init`` and stays in [0, 1] by itself: every pass computes with its projection, and after the step of a
    ``torch.optim`` optimizer that holds it the stored value is projected too (`binorm.clip_gates_`). Its gradient is
    small, so train it with 10 times the learning rate and without weight decay: `binorm.param_groups` does.

    Drops in for ``nn.BatchNorm2d``: same arguments, buffers and errors, and it loads a batch norm's state dict (every
    gate is then 1, which is batch norm).

    Args:
        num_features: C.
        eps: added to every variance.
        momentum: the share of a batch in the running statistics; None for their plain average over all batches.
        affine: learn ``weight`` (γ) and ``bias`` (β). The gate is learned either way.
        track_running_stats: keep running statistics; without them evaluation uses the batch's own.
        gate_init: where the gate starts: 1 is batch norm, as in the paper, 0 is instance norm.
        device: where the parameters live.
        dtype: of the parameters; lower-precision input with float32 parameters works.

    Shape:
        Input and output (N, C, H, W), any memory layout, of the same dtype. 1x1 maps: x̂_IN is 0.

    Attributes:
        gate: ρ, shape (C,), starts at ``gate_init``.
        weight: γ, shape (C,), starts at 1.
        bias: β, shape (C,), starts at 0.
        running_mean: shape (C,).
        running_var: shape (C,), unbiased.
        num_batches_tracked: scalar.

    Raises:
        ValueError: for input of another dimension or number of channels, for a training batch with one value per
            channel, and for ``gate_init`` outside [0, 1].

    Source: Nam & Kim, *Batch-Instance Normalization for Adaptively Style-Invariant Neural Networks*, NeurIPS 2018,
    section 3.

    Example:
        >>> norm = binorm.BatchInstanceNorm2d(64)
        >>> norm(torch.randn(8, 64, 32, 32)).shape
        torch.Size([8, 64, 32, 32])
    """

    input_dims = (4,)


class BatchInstanceNorm3d(_BatchInstanceNorm):
    r"""Batch-instance normalization of (N, C, D, H, W) input.

    .. math:: y = (\rho \, \hat{x}_{BN} + (1 - \rho) \, \hat{x}_{IN}) \, \gamma + \beta

    See `BatchInstanceNorm2d`, which differs in the input's shape alone.
    """

    input_dims = (5,)
