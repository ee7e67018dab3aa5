"""CDAN: as DANN, with features seen together with what the network takes them for."""

from typing import cast

import torch
from torch import Tensor, nn

from binorm.experiments.training.methods.dann import DANN, domain_classifier
from binorm.experiments.training.methods.method import DomainOutputs

LARGEST_PRODUCT = 4096  # values; where D x classes are more, random projections take the place of the product
PROJECTED = 1024


class CDAN(DANN):
    """Conditional domain-adversarial training: the domain classifier sees f ⊗ softmax(logits), (N, D x classes).

    Where that has more than 4096 values it sees (R_f f) ⊙ (R_g softmax(logits)) / √1024 with fixed random matrices of
    1024 rows instead. The network is trained as in `DANN`; the probabilities pass the reversed gradient on as well.

    Source: Long et al., *Conditional Adversarial Domain Adaptation*, NeurIPS 2018, section 3.2 (without the weighting
    by entropy of CDAN+E).
    """

    def __init__(self, network: nn.Module, num_features: int, num_classes: int, num_domains: int) -> None:
        super().__init__(network, num_features, num_classes, num_domains)
        self.randomized = num_features * num_classes > LARGEST_PRODUCT
        if self.randomized:
            self.register_buffer("feature_projection", torch.randn(num_features, PROJECTED))
            self.register_buffer("class_projection", torch.randn(num_classes, PROJECTED))
        size = PROJECTED if self.randomized else num_features * num_classes
        self.domain_classifier = domain_classifier(size, num_domains)

    def conditioned(self, outputs: DomainOutputs) -> Tensor:
        """(N, D) features and (N, classes) logits -> (N, D x classes) products, or (N, 1024) of a random projection."""
        probabilities = outputs.logits.float().softmax(1)
        if self.randomized:
            projected = outputs.features.float() @ cast(Tensor, self.feature_projection)
            product: Tensor = projected * (probabilities @ cast(Tensor, self.class_projection)) / PROJECTED**0.5
            return product
        return torch.einsum("nd,nc->ndc", outputs.features.float(), probabilities).flatten(1)
