"""What a method is; as it stands, empirical risk minimization: nothing is added."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class DomainOutputs:
    """What the network says of the pictures of one domain.

    Attributes:
        features: what the classifier takes, (N, D).
        logits: (N, classes).
        labels: (N,); None for the target, whose labels no method sees.
    """

    features: Tensor
    logits: Tensor
    labels: Tensor | None


class Method(nn.Module):
    """Empirical risk minimization: the mean cross-entropy of all labelled pictures.

    Other methods derive from it: they add to `loss`, may have parameters, which are trained with the network's, and may
    change the network's forward pass in training. Evaluation is always that of the network alone.

    Args:
        network: the classifier that is trained.
        num_features: D, of the features that the network's classifier takes.
        num_classes: of its logits.
        num_domains: domains a step, the target included.
    """

    uses_target: ClassVar[bool] = False
    """Whether unlabelled pictures of the target are trained on."""

    label_smoothing: float = 0.0
    """Share of the target that is spread over all classes; the recipe says it."""

    def __init__(self, network: nn.Module, num_features: int, num_classes: int, num_domains: int) -> None:
        super().__init__()

    def before_step(self) -> None:
        """Draw what a training step needs, before the network sees its pictures."""

    def loss(self, outputs: Sequence[DomainOutputs], progress: float, weight: float) -> Tensor:
        """What a training step minimizes, a scalar.

        Args:
            outputs: by domain; the target, which has no labels, comes last.
            progress: the share of all training steps that are done, from 0 to 1.
            weight: of what the method adds.
        """
        return self.classification_loss(outputs)

    def classification_loss(self, outputs: Sequence[DomainOutputs]) -> Tensor:
        """The mean cross-entropy of all labelled pictures."""
        labelled = [(each.logits, each.labels) for each in outputs if each.labels is not None]
        logits, labels = torch.cat([each for each, _ in labelled]), torch.cat([each for _, each in labelled])
        return functional.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
