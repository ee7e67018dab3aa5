"""DANN: features from which a second classifier cannot tell the domains."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from binorm.experiments.training.methods.gradient_reversal import reversal_weight, reverse_gradient
from binorm.experiments.training.methods.method import DomainOutputs, Method

HIDDEN = 100  # units of the domain classifier, as in the paper's network for MNIST


class DANN(Method):
    """Domain-adversarial training: cross-entropy of labels plus cross-entropy of domains, behind gradient reversal.

    The domain classifier (D -> 100 -> ReLU -> domains) sees the features of all domains and learns to tell them apart;
    the network receives its gradient times -λ · weight, with λ = `reversal_weight` of the progress, and so learns
    features that do not. Without a target, the training domains are brought together.

    Source: Ganin et al., *Domain-Adversarial Training of Neural Networks*, JMLR 2016.
    """

    uses_target: ClassVar[bool] = True

    def __init__(self, network: nn.Module, num_features: int, num_classes: int, num_domains: int) -> None:
        super().__init__(network, num_features, num_classes, num_domains)
        self.domain_classifier = domain_classifier(num_features, num_domains)

    def loss(self, outputs: Sequence[DomainOutputs], progress: float, weight: float) -> Tensor:
        """Cross-entropy of labels plus that of domains, a scalar; see `DomainOutputs` for the shapes of each domain."""
        features = torch.cat([self.conditioned(each) for each in outputs])
        reversed_features = reverse_gradient(features, weight * reversal_weight(progress))
        domains = torch.repeat_interleave(
            torch.arange(len(outputs), device=features.device),
            torch.tensor([len(each.features) for each in outputs], device=features.device),
        )
        domain_loss = functional.cross_entropy(self.domain_classifier(reversed_features), domains)
        return self.classification_loss(outputs) + domain_loss

    def conditioned(self, outputs: DomainOutputs) -> Tensor:
        """What the domain classifier sees: the features, (N, D)."""
        return outputs.features


def domain_classifier(num_features: int, num_domains: int) -> nn.Module:
    """Two linear layers with a ReLU between them: (N, num_features) -> (N, num_domains) logits."""
    return nn.Sequential(nn.Linear(num_features, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, num_domains))
