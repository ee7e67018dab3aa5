"""MixStyle: pictures trade the styles of their feature maps while a network trains."""

import torch
from torch import Tensor, nn

from binorm.experiments.models.stages import stage_ends
from binorm.experiments.training.methods.method import Method

MIXED_STAGES = 2  # the first two, whose statistics hold the style
PROBABILITY = 0.5  # of a training step to be mixed
ALPHA = 0.1  # of the Beta distribution that the weights are drawn from
EPSILON = 1e-6


class MixStyle(Method):
    """Empirical risk minimization with mixed styles after the network's first two stages, in training alone.

    In half of the training steps each picture x of a batch takes over a part of the style of another one, x' (drawn by
    a random permutation): MixStyle(x) = γ (x - μ(x)) / σ(x) + β with γ = λ σ(x) + (1 - λ) σ(x') and
    β = λ μ(x) + (1 - λ) μ(x'), λ ~ Beta(0.1, 0.1); μ and σ, per picture and channel, pass no gradient on.

    Source: Zhou et al., *Domain Generalization with MixStyle*, ICLR 2021 (its variant without domain labels).
    """

    def __init__(self, network: nn.Module, num_features: int, num_classes: int, num_domains: int) -> None:
        super().__init__(network, num_features, num_classes, num_domains)
        self._mixing = False
        for name in stage_ends(network)[:MIXED_STAGES]:
            network.get_submodule(name).register_forward_hook(self._mix)

    def before_step(self) -> None:
        """Decide whether the coming step is mixed, in all of its stages alike."""
        self._mixing = bool(torch.rand(()) < PROBABILITY)

    def _mix(self, stage: nn.Module, inputs: object, maps: Tensor) -> Tensor | None:
        return mix_styles(maps) if self._mixing and stage.training else None


def mix_styles(maps: Tensor) -> Tensor:
    """(N, C, H, W) -> the same maps in mixed styles; draws a weight for each picture and a permutation."""
    mean = maps.mean((2, 3), keepdim=True).detach()
    std = (maps.var((2, 3), keepdim=True) + EPSILON).sqrt().detach()
    share = torch.distributions.Beta(ALPHA, ALPHA).sample((len(maps), 1, 1, 1)).to(maps)
    other = torch.randperm(len(maps), device=maps.device)
    mixed_mean, mixed_std = share * mean + (1 - share) * mean[other], share * std + (1 - share) * std[other]
    return (maps - mean) / std * mixed_std + mixed_mean
