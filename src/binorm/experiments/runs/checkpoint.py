"""Checkpoints: written atomically, read without ever running what is in them."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO
from safetensors.torch import save
from torch import nn

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.files import replacing, write_bytes_atomically
from binorm.experiments.common.run_files import LAST_CHECKPOINT, WEIGHTS_FILE, weights_of
from binorm.experiments.common.tensors import load_safely, load_state_dict, read_safetensors, weights_path
from binorm.experiments.data.batches.preprocessing import Preprocessing
from binorm.experiments.models import create
from binorm.experiments.recipes import stored_recipe
from binorm.experiments.recipes.classification import ClassifierRecipe


class AtomicCheckpointIO(CheckpointIO):
    """How Lightning saves and loads: through a synced temporary file, and never unpickling objects."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write ``checkpoint`` to ``path``, wholly or not at all."""
        with replacing(Path(path)) as file:
            torch.save(checkpoint, file)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Read a checkpoint of tensors and plain values; see `load_safely`."""
        content = load_safely(Path(path))
        callbacks = content.get("callbacks", {})
        if "StyleRecorder" in callbacks:  # stylizations had a recorder of their own; those begun then go on
            callbacks["Recorder"] = callbacks.pop("StyleRecorder")
        return content

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
        preprocessing: what the network expects of pictures; None in files that were written before it was kept.
        origin: what was done to it after training, in words; empty for nothing.
    """

    recipe: ClassifierRecipe
    norm: str
    seed: int
    classes: tuple[str, ...]
    preprocessing: Preprocessing | None = None
    origin: str = ""


def save_weights(path: Path, network: nn.Module, trained: Trained) -> None:
    """Write weights that travel: safetensors, with what the network is in the header."""
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    write_bytes_atomically(path, save(tensors, {"binorm": json.dumps(asdict(trained))}))


def load_network(path: Path) -> tuple[nn.Module, Trained]:
    """Build and fill the network of a run's folder or of its ``model.safetensors``.

    Raises:
        UserError: if there is no such file, it is damaged, or its weights do not fit the network it names.
    """
    path = weights_path(path)
    if path.name == LAST_CHECKPOINT.name:
        raise UserError(f"{path.parent.parent} has not finished training: repeat the command that began it")
    state, metadata = read_safetensors(path)
    try:
        fields = json.loads(metadata["binorm"])
        recipe = stored_recipe(fields["recipe"], source=f"the recipe in {path}")
        if not isinstance(recipe, ClassifierRecipe):
            raise TypeError(f"{recipe.task} trains no classifier")
        stored = fields.get("preprocessing")
        trained = Trained(
            recipe,
            str(fields["norm"]),
            int(fields["seed"]),
            tuple(map(str, fields["classes"])),
            None if stored is None else Preprocessing.stored(stored),
            str(fields.get("origin", "")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} does not say what network it is: expected a {WEIGHTS_FILE} of binorm") from error
    network = create(recipe.model, len(trained.classes), trained.norm, recipe.dropout)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        problem = " ".join(str(error).split())[:300]
        raise UserError(f"{path} does not hold a {recipe.model} with {trained.norm}: {problem}") from error
    return network, trained


def load_statistics(network: nn.Module, path: Path, domain: str) -> None:
    """Fill the network of `load_network` with the running statistics of a domain, where the run has them for each.

    A domain that has none of its own, as one that training never saw, gets those that the network is saved with.
    """
    path = weights_path(path)
    if any(path.parent.glob(weights_of(path.parent, "*").name)):
        own = weights_of(path.parent, domain)
        network.load_state_dict(load_state_dict(own if own.exists() else path))
