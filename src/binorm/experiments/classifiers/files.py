"""A classifier in one file: safetensors, with what it is in the header. Nothing in it is ever run."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import save

from binorm.experiments.classifiers.classifier import Card, Classifier
from binorm.experiments.common.errors import UserError
from binorm.experiments.common.files import write_bytes_atomically
from binorm.experiments.common.tensors import read_safetensors, weights_path
from binorm.experiments.data.batches.preprocessing import Preprocessing
from binorm.experiments.models import create
from binorm.experiments.runs.checkpoint import Trained, load_network
from binorm.experiments.training.protocols import Loader

HUB = "hf-hub:"


def load_classifier(place: str | Path) -> Classifier:
    """The classifier of a file, which needs no other; of a run's or an exported folder; or of ``hf-hub:USER/NAME``.

    Raises:
        UserError: if there is none, it is damaged, or its weights do not fit the network that it names.
    """
    path = weights_path(_from_hub(str(place)) if str(place).startswith(HUB) else Path(place))
    fields = _fields(path)
    if "recipe" in fields or "network" not in fields:
        network, trained = load_network(path)
        return Classifier(network, card_of(trained, path))
    state, _ = read_safetensors(path)
    try:
        card = Card(
            network=str(fields["network"]),
            norm=str(fields["norm"]),
            classes=tuple(map(str, fields["classes"])),
            preprocessing=Preprocessing.stored(fields["preprocessing"]),
            dropout=float(fields.get("dropout", 0.0)),
            origin=str(fields.get("origin", "")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} does not say what network it is: expected a classifier's file of binorm") from error
    network = create(card.network, len(card.classes), card.norm, card.dropout)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        problem = " ".join(str(error).split())[:300]
        raise UserError(
            f"{path} does not hold a {card.network} with {card.norm} and {len(card.classes)} classes: {problem}"
        ) from error
    return Classifier(network, card)


def save_classifier(path: Path, classifier: Classifier) -> None:
    """Write a file for `load_classifier`, wholly or not at all.

    Raises:
        UserError: if it cannot be written.
    """
    write_bytes_atomically(path, classifier_bytes(classifier))


def classifier_bytes(classifier: Classifier) -> bytes:
    """The content of such a file."""
    card = classifier.card
    fields: dict[str, Any] = asdict(card)
    training = fields.pop("training")
    if training:  # then network and dropout are the recipe's
        fields = {key: value for key, value in fields.items() if key not in ("network", "dropout")} | training
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in classifier.network.state_dict().items()}
    return save(tensors, {"binorm": json.dumps(fields)})


def card_of(trained: Trained, path: Path) -> Card:
    """What a network trained here is; what files from before it was kept do not say comes from the data.

    Raises:
        UserError: if it would have to, and the data is not at hand.
    """
    recipe, preprocessing = trained.recipe, trained.preprocessing
    if preprocessing is None:
        loader = Loader(None)
        if not loader.finds(recipe):
            raise UserError(
                f"{path} is of an older binorm and does not say what it expects of pictures: put the data set "
                f"{recipe.dataset} into $BINORM_DATA, from which it is found out, or train it again"
            )
        preprocessing = Preprocessing.of(loader.dataset(recipe), recipe)
    return Card(
        network=recipe.model,
        norm=trained.norm,
        classes=trained.classes,
        preprocessing=preprocessing,
        dropout=recipe.dropout,
        origin=trained.origin or f"trained by recipe {recipe.name}, seed {trained.seed}",
        training={"recipe": asdict(recipe), "seed": trained.seed},
    )


def _fields(path: Path) -> dict[str, Any]:
    """What the header says; nothing where it says nothing of ours."""
    if path.suffix != ".safetensors":
        return {}
    try:
        found = json.loads(read_safetensors(path)[1]["binorm"])
    except (KeyError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _from_hub(name: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise UserError(f"{name} needs huggingface_hub: pip install 'binorm[export]'") from error
    try:
        return Path(snapshot_download(name.removeprefix(HUB), allow_patterns=["model.safetensors", "config.json"]))
    except Exception as error:  # what downloading raises has no class in common
        problem = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise UserError(f"cannot get {name} ({problem}): check the name and the connection") from error
