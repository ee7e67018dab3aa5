"""Reading safetensors: tensors and text, never code."""

import pickle
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.run_files import LAST_CHECKPOINT, STYLE_FILE, WEIGHTS_FILE


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the header's text of a safetensors file.

    Raises:
        UserError: if it cannot be read or is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise UserError(f"{path} is damaged or no safetensors file ({error})") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error


def load_state_dict(path: Path) -> dict[str, Tensor]:
    """The named tensors of any checkpoint: a run's folder, ``.safetensors``, a Lightning or plain PyTorch file.

    Raises:
        UserError: if there is no such file, it is damaged, or it would have to be unpickled.
    """
    path = weights_path(path)
    if path.suffix == ".safetensors":
        return read_safetensors(path)[0]
    content: Any = load_safely(path)
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}, expected the named tensors of a network")
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}


def load_safely(path: Path) -> dict[str, Any]:
    """`torch.load` of tensors and plain values; anything else in the file is refused, not run.

    Raises:
        UserError: naming the file and what is wrong with it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle versions; what cannot be read is an error below
            content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} is refused: it is damaged, or it holds objects besides tensors and plain values, which could run "
            "any code when loaded. Save a state_dict() or safetensors instead"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        way_out = "delete it to start that run again" if path.name == LAST_CHECKPOINT.name else "get it again"
        raise UserError(f"{path} is damaged or no checkpoint: {way_out}") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    return content


def weights_path(path: Path) -> Path:
    """A run's folder stands for its weights, or its last checkpoint while it trains."""
    if not path.exists():
        raise UserError(f"there is no checkpoint at {path}: expected a run's folder, a .safetensors or a .ckpt file")
    if not path.is_dir():
        return path
    for name in (WEIGHTS_FILE, STYLE_FILE, LAST_CHECKPOINT):
        if (path / name).exists():
            return path / name
    raise UserError(f"{path} has neither {WEIGHTS_FILE} nor {LAST_CHECKPOINT}: is it the folder of one run (…/seed0)?")
