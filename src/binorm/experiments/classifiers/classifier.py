"""A trained classifier, with all that is needed to use it and to build it again."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, nn

from binorm.experiments.common.errors import UserError
from binorm.experiments.data.batches.preprocessing import Preprocessing
from binorm.experiments.models.norms import with_gates


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


def gated(classifier: Classifier) -> Classifier:
    """A copy of a classifier whose batch norms are batch-instance norms with gate 1; the same outputs.

    Raises:
        UserError: for a network with neither batch norms nor gates.
    """
    card = classifier.card
    try:
        network = with_gates(classifier.network)
    except (TypeError, ValueError) as error:
        raise UserError(f"{card.network} cannot have gates: {error}") from error
    return Classifier(network, replace(card, norm="bin") if card.norm == "bn" else card)
