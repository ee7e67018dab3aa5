"""What of a classifier is exported: its network, folded, with the normalization of pictures inside if wished."""

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

import binorm
from binorm.experiments.classifiers.classifier import Classifier
from binorm.experiments.common.errors import UserError
from binorm.experiments.common.onnx_files import check_same

INPUT, OUTPUT = "pictures", "logits"
TOLERANCE = 1e-5  # of a batch's largest logit
DIMENSIONS = {0: "count", 2: "height", 3: "width"}


class Deployed(nn.Module):
    """From pictures, (N, 3, H, W) float32, to logits, (N, classes), in evaluation mode; a copy.

    Args:
        classifier: is left as it is.
        normalize: whether pictures are RGB from 0 to 255; else they come normalized.
        fold: whether norms that are batch norm go into the convolutions before them (`binorm.fold`).
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, classifier: Classifier, normalize: bool = True, fold: bool = True) -> None:
        super().__init__()
        network = classifier.network
        self.network = binorm.fold(network) if fold else copy.deepcopy(network)
        self.normalizes = normalize
        expected = classifier.preprocessing
        mean, std = (torch.tensor(each).view(3, 1, 1) for each in (expected.mean, expected.std))
        self.register_buffer("scale", 1 / (255 * std))
        self.register_buffer("shift", -mean / std)
        self.eval()

    def forward(self, pictures: Tensor) -> Tensor:
        """See above."""
        logits: Tensor = self.network(pictures * self.scale + self.shift if self.normalizes else pictures)
        return logits


@dataclass(frozen=True)
class Choices:
    """How a classifier is exported; see `Deployed`."""

    normalize: bool = True
    fold: bool = True


@dataclass(frozen=True)
class Program:
    """A traced classifier.

    Attributes:
        traced: its graph.
        classifier: what it was made from.
        choices: how.
        any_size: whether height and width are free, as the number of pictures is.
    """

    traced: ExportedProgram
    classifier: Classifier
    choices: Choices
    any_size: bool

    @property
    def free(self) -> dict[int, str]:
        """The free dimensions of the input by place."""
        return DIMENSIONS if self.any_size else {0: DIMENSIONS[0]}

    @property
    def facts(self) -> dict[str, str]:
        """What a file says of itself, lists and objects as JSON."""
        card = self.classifier.card
        preprocessing = card.preprocessing
        size = f"{preprocessing.width}x{preprocessing.height} pixels"
        pixels = "RGB from 0 to 255, not normalized" if self.choices.normalize else "RGB, normalized"
        return {
            "network": card.network,
            "norm": card.norm,
            "origin": card.origin,
            "classes": json.dumps(card.classes),
            "preprocessing": json.dumps(asdict(preprocessing)),
            "input": f"{pixels}, float32 (count, 3, height, width); {size}{' or others' * self.any_size}",
            "output": "logits, float32 (count, classes)",
            "made_by": f"binorm {binorm.__version__}",
        }

    def check(self, computed: Callable[[Tensor], Tensor], by: str) -> float:
        """Hold what was exported against the classifier, at several sizes and numbers of pictures; see `check_same`."""
        classifier = self.classifier
        normalize = classifier.preprocessing.normalize

        def network(batch: Tensor) -> Tensor:
            logits: Tensor = classifier(normalize(batch) if self.choices.normalize else batch)
            return logits

        return check_same(computed, network, self._batches(), TOLERANCE, by)

    def _batches(self) -> Iterator[Tensor]:
        height, width = self.classifier.preprocessing.height, self.classifier.preprocessing.width
        shapes = [(1, height, width), (3, height, width)]
        if self.any_size:
            shapes += [(2, (height + 1) // 2, width + width // 3), (1, height + 1, (width + 1) // 2)]
        generator = torch.Generator().manual_seed(0)
        for count, high, wide in shapes:
            pixels = torch.randint(0, 256, (count, 3, high, wide), generator=generator)
            yield pixels.float() if self.choices.normalize else self.classifier.preprocessing.normalize(pixels)


def trace(classifier: Classifier, choices: Choices) -> Program:
    """Trace a classifier for any number of pictures, and for any size from half its own on where it allows that.

    Layers that pad by the input's size (``Conv2dSame`` of timm) fix the size: they are traced for one.

    Raises:
        UserError: where it cannot be traced.
    """
    deployed = Deployed(classifier, choices.normalize, choices.fold).requires_grad_(False)
    height, width = classifier.preprocessing.height, classifier.preprocessing.width
    example = torch.rand(2, 3, height, width)
    count = {0: Dim("count", min=1)}
    sizes = {2: Dim("height", min=(height + 1) // 2), 3: Dim("width", min=(width + 1) // 2)}
    if not any("Same" in type(each).__name__ for each in classifier.modules()):
        try:
            return Program(_exported(deployed, example, count | sizes), classifier, choices, any_size=True)
        except Exception:  # noqa: S110 - tracing raises nearly anything; what fixes a network's size is one reason
            pass
    try:
        return Program(_exported(deployed, example, count), classifier, choices, any_size=False)
    except Exception as error:
        problem = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise UserError(
            f"torch.export cannot trace {classifier.card.network} ({problem}): choose --format hub, which does without"
        ) from error


def _exported(network: nn.Module, example: Tensor, free: dict[int, Dim]) -> ExportedProgram:
    return torch.export.export(network, (example,), dynamic_shapes=(free,))


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        size: in bytes.
        any_size: whether it takes pictures of any size.
        difference: of its outputs from the network's, the largest found, as a share of the largest output.
    """

    size: int
    any_size: bool
    difference: float
