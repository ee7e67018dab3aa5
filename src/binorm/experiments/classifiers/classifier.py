"""A trained classifier, with all that is needed to use it and to build it again."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, nn

from binorm import BatchInstanceNorm2d
from binorm.experiments.common.errors import UserError
from binorm.experiments.data.batches.preprocessing import Preprocessing
from binorm.experiments.models import create


@dataclass(frozen=True)
class Card:
    """What a classifier is.

    Attributes:
        network: its name, as `create` takes it.
        norm: its norms' name.
        classes: the names of its outputs.
        preprocessing: what it expects of pictures.
        dropout: as `create` takes it.
        origin: where its weights come from and what was done to them since, in words.
        training: the recipe and the seed that it was trained by, where it was trained here.
    """

    network: str
    norm: str
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    dropout: float = 0.0
    origin: str = ""
    training: Mapping[str, Any] = field(default_factory=dict)


class Classifier(nn.Module):
    """A trained network for inference.

    Args:
        network: (N, 3, H, W), normalized, to logits of shape (N, classes); put in evaluation mode.
        card: what it is.

    Example:
        >>> model = binorm.load("model.safetensors")
        >>> pixels = model.preprocessing.read(Path("photo.jpg").read_bytes())
        >>> model.classes[model(model.preprocessing.normalize(pixels[None])).argmax()]
        'tench'
    """

    def __init__(self, network: nn.Module, card: Card) -> None:
        super().__init__()
        self.network, self.card = network, card
        self.eval()

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of its outputs."""
        return self.card.classes

    @property
    def preprocessing(self) -> Preprocessing:
        """What it expects of pictures."""
        return self.card.preprocessing

    def forward(self, pictures: Tensor) -> Tensor:
        """Normalized pictures, (N, 3, H, W), to logits, (N, classes)."""
        logits: Tensor = self.network(pictures)
        return logits


def with_gates(classifier: Classifier) -> Classifier:
    """A copy of a classifier whose batch norms are batch-instance norms with gate 1; the same outputs.

    Raises:
        UserError: for a network with neither batch norms nor gates.
    """
    card, network = classifier.card, classifier.network
    if any(isinstance(each, BatchInstanceNorm2d) for each in network.modules()):
        return Classifier(copy.deepcopy(network), card)
    if card.norm != "bn":
        raise UserError(
            f"{card.network} has the norm {card.norm}: gates can be set where there are gates (bin) or batch norms (bn)"
        )
    gated = create(card.network, len(card.classes), "bin", card.dropout)
    missing, unexpected = gated.load_state_dict(network.state_dict(), strict=False)
    if unexpected or not all(name.endswith(".gate") for name in missing):
        raise TypeError(f"{card.network} with gates has other tensors than without: {missing}, {unexpected}")
    return Classifier(gated, replace(card, norm="bin"))
