"""The paper's clip: gates are projected onto [0, 1] after every optimizer's step (section 3)."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook

from binorm.modules import _BatchInstanceNorm

RANGE = (0.0, 1.0)
GROUP_KEY = "gate_range"  # marks an optimizer's parameter group whose tensors are all gates


def clip_gates_(model: nn.Module, masters: Iterable[Tensor] | None = None) -> None:
    """Project every stored gate of ``model`` onto [0, 1], in place: after each step of a loop without ``torch.optim``.

    The step of every ``torch.optim.Optimizer`` that holds the gates does it by itself. Left as they are: what gates are
    parametrized by, and gates inside of a flat parameter (``FullyShardedDataParallel(use_orig_params=False)``).

    Args:
        model: any module.
        masters: the tensors that your optimizer steps in place of the parameters (float32 copies of a network in half
            precision, say), one for each of ``model.parameters()``, in that order; those of gates are projected too.

    Raises:
        ValueError: where ``masters`` and parameters are not of the same number or shapes.

    Example:
        >>> for parameter in model.parameters():
        ...     parameter.data.sub_(parameter.grad, alpha=0.1)
        >>> binorm.clip_gates_(model)
    """
    gate_ids = {id(_stored(each)) for each in model.modules() if isinstance(each, _BatchInstanceNorm)}
    parameters = list(model.parameters())
    copies = parameters if masters is None else list(masters)
    if [each.shape for each in copies] != [each.shape for each in parameters]:
        raise ValueError(
            f"masters should be one tensor for each of the model's {len(parameters)} parameters, of its shape and in "
            f"their order (got {len(copies)} tensors)"
        )
    held = [(own, copy) for own, copy in zip(parameters, copies, strict=True) if id(own) in gate_ids]
    _clip_([own for own, _ in held])
    if masters is not None:
        _clip_([copy for _, copy in held])


def _clip_after_step(optimizer: Optimizer, _: Any, __: Any) -> None:
    """Project the gates that an optimizer holds, called by PyTorch after each of its steps."""
    if _keeps_versions(optimizer):
        return
    groups = [group for group in optimizer.param_groups if not group.get("differentiable")]  # whose graph is kept
    gate_ids = {id(_stored(layer)) for layer in tuple(_BatchInstanceNorm.alive)}
    _clip_([each for group in groups for each in group["params"] if GROUP_KEY in group or id(each) in gate_ids])


def _stored(layer: _BatchInstanceNorm) -> Tensor | None:
    """The parameter that holds a layer's gates, also where ``torch.nn.utils.prune`` masks it."""
    gate = layer._parameters.get("gate")
    return gate if gate is not None else layer._parameters.get("gate_orig")


def _keeps_versions(optimizer: Optimizer) -> bool:
    """Whether parameters are one of several versions that the optimizer computes from each other.

    Schedule-free optimizers do, and have modes to change from one to the other. Moving one version alone would throw
    the other, computed from it, to the far end; their averages need no projection to come back.
    """
    return callable(getattr(optimizer, "eval", None)) and callable(getattr(optimizer, "train", None))


@torch.no_grad()
def _clip_(gates: list[Tensor]) -> None:
    for gate in gates:
        gate.clamp_(*RANGE)


register_optimizer_step_post_hook(_clip_after_step)
