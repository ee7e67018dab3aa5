"""The losses of style transfer: content, style and total variation, each relative to what it is measured against."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from binorm.experiments.common.errors import lookup
from binorm.experiments.style.training.loss_network import LossNetwork


def gram_matrix(features: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C, C): the products of channels averaged over places, G = F Fᵀ / (H W), in float32.

    Source: Gatys, Ecker & Bethge, *Image Style Transfer Using Convolutional Neural Networks*, CVPR 2016, section 2.2.
    """
    flat = features.flatten(2)
    with torch.autocast(features.device.type, enabled=False):
        flat = flat.float()
        return flat @ flat.transpose(1, 2) / flat.shape[2]


def relative_error(found: Tensor, wanted: Tensor) -> Tensor:
    """Σ(found − wanted)² / Σ wanted², a scalar: 0 where they agree, 1 where ``found`` is 0."""
    found, wanted = found.float(), wanted.float()
    return (found - wanted).square().sum() / wanted.square().sum().clamp_min(1e-12)


def total_variation(pictures: Tensor) -> Tensor:
    """(N, 3, H, W) -> the mean squared difference of neighbouring pixels, across and down, a scalar."""
    down, across = pictures.diff(dim=-2), pictures.diff(dim=-1)
    return down.square().mean() + across.square().mean()


@dataclass(frozen=True)
class Losses:
    """The losses of one batch, unweighted scalars."""

    content: Tensor
    style: Mapping[str, Tensor]
    variation: Tensor

    def total_style(self) -> Tensor:
        """The mean over the style layers."""
        return torch.stack(list(self.style.values())).mean()


class PerceptualLoss:
    """What a stylized batch lacks of its photographs' content and of one image's style.

    Every loss is relative (`relative_error`): content to the features of the batch's photographs, style to the Gram
    matrices of the style image, (1, 3, H, W), RGB in [0, 1]. Weights then mean about the same for every loss network,
    layer and image, which they do not with Johnson et al.'s sums; the gradients' directions are the same for each
    layer. Layers are named as in `LossNetwork`.

    Source: Johnson, Alahi & Fei-Fei, *Perceptual Losses for Real-Time Style Transfer and Super-Resolution*, ECCV 2016,
    section 3.2.
    """

    def __init__(
        self, network: LossNetwork, style_image: Tensor, content_layers: Sequence[str], style_layers: Sequence[str]
    ) -> None:
        for name in (*content_layers, *style_layers):
            lookup("layer of the loss network:", name, dict.fromkeys(network.names()))
        self.network = network
        self.content_layers, self.style_layers = tuple(content_layers), tuple(style_layers)
        with torch.no_grad():
            features = network(style_image, self.style_layers)
            self.style_grams = {name: gram_matrix(each) for name, each in features.items()}

    def __call__(self, stylized: Tensor, photographs: Tensor) -> Losses:
        """Both (N, 3, H, W), RGB in [0, 1]; gradients flow to ``stylized``."""
        with torch.no_grad():
            wanted = self.network(photographs, self.content_layers)
        found = self.network(stylized, (*self.content_layers, *self.style_layers))
        content = torch.stack([relative_error(found[name], wanted[name]) for name in self.content_layers]).mean()
        style = {}
        for name in self.style_layers:
            grams = gram_matrix(found[name])
            style[name] = relative_error(grams, self.style_grams[name].expand_as(grams))
        return Losses(content, style, total_variation(stylized.float()))
