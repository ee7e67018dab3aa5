"""Checkpoints: written atomically, read without ever running what is in them."""

import json
import pickle
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO
from safetensors.torch import save
from torch import Tensor, nn

from binorm.experiments.atomic import replacing, write_bytes_atomically
from binorm.experiments.errors import UserError
from binorm.experiments.models import create
from binorm.experiments.recipe import Recipe, parse_recipe
from binorm.experiments.safetensors_file import read_safetensors
from binorm.experiments.style.style_file import STYLE_FILE

WEIGHTS_FILE = "model.safetensors"
LAST_CHECKPOINT = Path("checkpoints") / "last.ckpt"


def weights_of(folder: Path, domain: str) -> Path:
    """The file of a network with the running statistics of one domain, where it has them for each."""
    return folder / f"model-{domain}.safetensors"


class AtomicCheckpointIO(CheckpointIO):
    """How Lightning saves and loads: through a synced temporary file, and never unpickling objects."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write ``checkpoint`` to ``path``, wholly or not at all."""
        with replacing(Path(path)) as file:
            torch.save(checkpoint, file)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Read a checkpoint of tensors and plain values; see `load_safely`."""
        return load_safely(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        """Delete a checkpoint, if it is there."""
        Path(path).unlink(missing_ok=True)


@dataclass(frozen=True)
class Trained:
    """What a saved network is: enough to build it again.

    Attributes:
        recipe: what it was trained by.
        norm: the norm's name.
        seed: of the run.
        classes: the names of its outputs.
    """

    recipe: Recipe
    norm: str
    seed: int
    classes: tuple[str, ...]


def save_weights(path: Path, network: nn.Module, trained: Trained) -> None:
    """Write weights that travel: safetensors, with what the network is in the header."""
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    write_bytes_atomically(path, save(tensors, {"binorm": json.dumps(asdict(trained))}))


def load_network(path: Path) -> tuple[nn.Module, Trained]:
    """Build and fill the network of a run's folder or of its ``model.safetensors``.

    Raises:
        UserError: if there is no such file, it is damaged, or its weights do not fit the network it names.
    """
    path = _weights_path(path)
    if path.name == LAST_CHECKPOINT.name:
        raise UserError(f"{path.parent.parent} has not finished training: repeat the command that began it")
    state, metadata = read_safetensors(path)
    try:
        fields = json.loads(metadata["binorm"])
        recipe = parse_recipe(fields["recipe"], source=f"the recipe in {path}")
        trained = Trained(recipe, str(fields["norm"]), int(fields["seed"]), tuple(map(str, fields["classes"])))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} does not say what network it is: expected a {WEIGHTS_FILE} of binorm") from error
    network = create(recipe.model, len(trained.classes), trained.norm, recipe.dropout)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        problem = " ".join(str(error).split())[:300]
        raise UserError(f"{path} does not hold a {recipe.model} with {trained.norm}: {problem}") from error
    return network, trained


def load_state_dict(path: Path) -> dict[str, Tensor]:
    """The named tensors of any checkpoint: a run's folder, ``.safetensors``, a Lightning or plain PyTorch file.

    Raises:
        UserError: if there is no such file, it is damaged, or it would have to be unpickled.
    """
    path = _weights_path(path)
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


def _weights_path(path: Path) -> Path:
    """A run's folder stands for its weights, or its last checkpoint while it trains."""
    if not path.exists():
        raise UserError(f"there is no checkpoint at {path}: expected a run's folder, a .safetensors or a .ckpt file")
    if not path.is_dir():
        return path
    for name in (WEIGHTS_FILE, STYLE_FILE, LAST_CHECKPOINT):
        if (path / name).exists():
            return path / name
    raise UserError(f"{path} has neither {WEIGHTS_FILE} nor {LAST_CHECKPOINT}: is it the folder of one run (…/seed0)?")
