"""Where gates stand in the course of a training, as TensorBoard and its kind show it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, distributed, nn

from binorm.gates import HISTOGRAM_BINS, GateSummary, gate_values, summarize_gates
from binorm.modules import _BatchInstanceNorm

_EDGES = torch.linspace(0.0, 1.0, HISTOGRAM_BINS + 1, dtype=torch.float64)
_WRAPPERS = {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}  # parts of names, put in by PyTorch


class GateWriter(Protocol):
    """What `log_gates` asks of ``torch.utils.tensorboard.SummaryWriter``, and of whoever stands for it."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> object:
        """Note a number under a name."""

    def add_histogram(self, tag: str, values: Tensor, global_step: int, bins: Tensor) -> object:
        """Note how values are spread over bins, given by their edges."""


def log_gates(writer: GateWriter | None, model: nn.Module, step: int, *, prefix: str = "gates") -> None:
    """Write where the gates of ``model`` stand, over all and for each layer, as they are used.

    Scalars are ``gates/mean``, ``gates/below_0.1`` and ``gates/above_0.9`` (shares of all gates from 0 to 1), and for
    each layer ``gates_mean/<layer>``, ``gates_below_0.1/<layer>`` and ``gates_above_0.9/<layer>``; the histogram of a
    layer, in tenths, is ``gates_values/<layer>``. Layers are named as in the network without wrappers (compiled,
    sharded, replicated, checkpointed), so that curves of differently run trainings lie on each other.

    In a distributed training, call it in every process: sharded gates are gathered, and the first process writes.

    Args:
        writer: a ``torch.utils.tensorboard.SummaryWriter``; None in processes that have none.
        model: a network with batch-instance norms, wrapped or not.
        step: where on the horizontal axis.
        prefix: what the names start with.

    Raises:
        ValueError: for a network without batch-instance norms, and for gates without values here.

    Example:
        >>> writer = torch.utils.tensorboard.SummaryWriter("logs")
        >>> binorm.log_gates(writer, model, step)
    """
    gates = gates_by_layer(model)
    if writer is None or not _is_first_process():
        return
    for tag, value in gate_scalars(gates, prefix).items():
        writer.add_scalar(tag, value, step)
    write_histograms(writer, gates, step, prefix)


def gates_by_layer(model: nn.Module, wrapped: nn.Module | None = None) -> dict[str, Tensor]:
    """The gates of each layer, (C,) in float64 on the CPU, gathered from all processes that hold a part of them.

    Args:
        model: a network with batch-instance norms.
        wrapped: what is called instead of it in training, if that is another module.

    Raises:
        ValueError: for a network without batch-instance norms, and for gates without values here.
    """
    with _gathered(model if wrapped is None else wrapped):
        model = _unwrapped(model)
        gates = {
            _plain(name) or type(layer).__name__: gate_values(layer, name)
            for name, layer in model.named_modules()
            if isinstance(layer, _BatchInstanceNorm)
        }
    if not gates:
        raise ValueError(
            f"{type(model).__name__} has no batch-instance norms whose gates could be logged: convert its batch norms "
            "with binorm.convert_batch_norm(model) first"
        )
    return gates


def gate_scalars(gates: dict[str, Tensor], prefix: str) -> dict[str, float]:
    """Mean and shares, by the names that `log_gates` gives them; those over all gates come first."""
    whole = summarize_gates("", torch.cat(list(gates.values())))
    scalars = {f"{prefix}/{key}": value for key, value in _measures(whole).items()}
    for name, values in gates.items():
        measures = _measures(summarize_gates(name, values))
        scalars |= {f"{prefix}_{key}/{name}": value for key, value in measures.items()}
    return scalars


def _measures(summary: GateSummary) -> dict[str, float]:
    return {"mean": summary.mean, "below_0.1": summary.below, "above_0.9": summary.above}


def write_histograms(writer: GateWriter, gates: dict[str, Tensor], step: int, prefix: str) -> None:
    """One a layer, in tenths; none of a layer whose gates are no numbers, as after a training that has diverged."""
    for name, values in gates.items():
        finite = values[values.isfinite()]
        if finite.numel():
            writer.add_histogram(f"{prefix}_values/{name}", finite, step, bins=_EDGES)


def _unwrapped(model: nn.Module) -> nn.Module:
    """The network in what replicates or compiles it."""
    while True:
        if isinstance(model, nn.parallel.DistributedDataParallel | nn.DataParallel):
            model = model.module
        elif isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
            model = inner
        else:
            return model


def _plain(name: str) -> str:
    """A layer's name without what wrappers put into it."""
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def _is_first_process() -> bool:
    return not (distributed.is_available() and distributed.is_initialized()) or distributed.get_rank() == 0


@contextmanager
def _gathered(model: nn.Module) -> Iterator[None]:
    """With the parameters that ``FullyShardedDataParallel`` has flattened and split, if it has, whole."""
    if not (distributed.is_available() and distributed.is_initialized()):
        yield
        return
    from torch.distributed.fsdp import FullyShardedDataParallel  # which takes a while, and is here for few

    if not FullyShardedDataParallel.fsdp_modules(model):
        yield
        return
    with FullyShardedDataParallel.summon_full_params(model, writeback=False):
        yield
