"""The classifier that a command line means: a run, a file of weights of any network, or a network with its weights."""

from dataclasses import replace
from pathlib import Path

import torch

from binorm.experiments.classifiers.classifier import Card, Classifier
from binorm.experiments.classifiers.files import HUB, load_classifier
from binorm.experiments.classifiers.imagenet import imagenet_classes
from binorm.experiments.common.errors import UserError, nearest
from binorm.experiments.common.tensors import load_state_dict, weights_path
from binorm.experiments.data.batches.preprocessing import Preprocessing
from binorm.experiments.models import create
from binorm.experiments.models.head import find_head, last_linear
from binorm.experiments.models.weights import DEFAULT, PACKAGED
from binorm.experiments.models.zoo import expected_input

KNOWN = f"a run's folder, a file of weights, {', '.join(PACKAGED)}, timm:NAME, torchvision:NAME or {HUB}USER/NAME"


def find_classifier(model: str, network: str = "", classes: Path | None = None) -> Classifier:
    """A trained classifier in evaluation mode.

    Args:
        model: a run's folder or its ``model.safetensors``, as ``binorm calibrate`` writes one; weights that come in a
            package (``efficientnet-lite0``); a network of a collection with the weights that it downloads
            (``timm:NAME``, ``torchvision:NAME``); a repository on a hub (``hf-hub:USER/NAME``); or, where ``network``
            is given, a file with the tensors of its state dict.
        network: the name, as `create` takes it, of the network whose tensors ``model`` has.
        classes: a text file with the classes' names, one a line, for weights that do not say them.

    Raises:
        UserError: for what is not there, is damaged or has weights of another network; and for class names that are not
            as many as the network's outputs.
    """
    if network:
        found = _of_weights(network, model)
    elif model in PACKAGED:
        found = _of_weights(PACKAGED[model], model)
    elif model.startswith(HUB) or Path(model).exists():
        _check_own(model)
        found = load_classifier(model)
    elif ":" in model:
        found = _of_weights(model, DEFAULT)
    else:
        raise UserError(f"there is no network {model!r}{nearest(model, dict.fromkeys(PACKAGED))} Expected {KNOWN}")
    return found if classes is None else _renamed(found, classes)


def _check_own(model: str) -> None:
    """Tell what is missing where a file holds tensors and does not say of what."""
    path = Path(model)
    if path.is_file() and path.suffix in (".pth", ".pt", ".ckpt", ".bin"):
        raise UserError(
            f"{model} holds tensors and does not say of what network: name that with --model, such as timm:NAME"
        )


def _of_weights(name: str, weights: str) -> Classifier:
    """A network whose batch norms stay; or with gates, where the weights have some."""
    count, norm = len(imagenet_classes()), "bn"
    if weights != DEFAULT and weights not in PACKAGED:
        state = load_state_dict(weights_path(Path(weights)))
        norm = "bin" if any(key.endswith(".gate") for key in state) else "bn"
        count = _outputs(name, norm, state)
    network = create(name, count, norm, weights=weights)
    classes = imagenet_classes() if count == len(imagenet_classes()) else tuple(f"class {k}" for k in range(count))
    height, width, short_side, mean, std, interpolation = expected_input(name, network)
    preprocessing = Preprocessing(height, width, short_side, mean, std, interpolation)
    return Classifier(network, Card(name, norm, classes, preprocessing, origin=f"weights {weights} of {name}"))


def _outputs(name: str, norm: str, state: dict[str, torch.Tensor]) -> int:
    """How many classes weights are for: the rows of the last layer of the network's head."""
    count = len(imagenet_classes())
    with torch.device("meta"):
        network = create(name, count, norm)
    head = find_head(network, count)
    last = last_linear(network.get_submodule(head), count)
    weight = state.get(f"{head}.{last}.weight" if last else f"{head}.weight")
    if weight is None:
        raise UserError(f"the weights have no {head}.weight, as {name} has: choose the network that they are of")
    return len(weight)


def _renamed(classifier: Classifier, path: Path) -> Classifier:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the class names in {path}: {error}") from error
    names = tuple(line for line in lines if line)
    if len(names) != len(classifier.classes) or len(set(names)) != len(names):
        raise UserError(
            f"{path} has {len(names)} names, {len(set(names))} of them different; the network has "
            f"{len(classifier.classes)} outputs: expected one name for each, a line each, in their order"
        )
    return Classifier(classifier.network, replace(classifier.card, classes=names))
