"""Deep CORAL: features whose covariances agree between domains."""

from collections.abc import Sequence
from itertools import combinations
from typing import ClassVar

import torch
from torch import Tensor

from binorm.experiments.training.methods.method import DomainOutputs, Method


class DeepCoral(Method):
    """Cross-entropy plus weight · mean over pairs of domains of ‖C_i - C_j‖²_F / (4 D²), C the covariances of features.

    Source: Sun & Saenko, *Deep CORAL: Correlation Alignment for Deep Domain Adaptation*, ECCV 2016 workshops.
    """

    uses_target: ClassVar[bool] = True

    def loss(self, outputs: Sequence[DomainOutputs], progress: float, weight: float) -> Tensor:
        """Cross-entropy plus the distance of covariances of (N, D) features; a scalar."""
        covariances = [_covariance(each.features.float()) for each in outputs]
        distances = [(one - other).square().sum() for one, other in combinations(covariances, 2)]
        loss = self.classification_loss(outputs)
        if not distances:
            return loss
        return loss + weight * torch.stack(distances).mean() / (4 * covariances[0].shape[0] ** 2)


def _covariance(features: Tensor) -> Tensor:
    """(N, D) -> (D, D), with N - 1 in the denominator."""
    centred = features - features.mean(0)
    return centred.T @ centred / max(len(features) - 1, 1)
