"""Reading safetensors: tensors and text, never code."""

from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from binorm.experiments.errors import UserError


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
