"""Small style networks and files with random weights, gates and running statistics."""

import torch
from torch import nn

from binorm.experiments.style.network import ConvNorm, StyleNetwork
from binorm.experiments.style.style_file import StyleCard, save_style


def random_style_network(norm="bin", width=4, blocks=1, seed=0):
    """Ready for use; its norms have nothing in common with those of a new network."""
    torch.manual_seed(seed)
    network = StyleNetwork(width, blocks, norm)
    for layer in network.modules():
        if isinstance(layer, ConvNorm):
            nn.init.uniform_(layer.norm.weight, 0.5, 1.5)
            nn.init.normal_(layer.norm.bias, 0.0, 0.5)
            if norm != "in":
                nn.init.normal_(layer.norm.running_mean, 0.0, 0.3)
                nn.init.uniform_(layer.norm.running_var, 0.05, 0.5)
            if norm == "bin":
                nn.init.uniform_(layer.norm.gate)
    return network.eval().requires_grad_(False)


def write_random_style(path, norm="bin", title="Waves", **options):
    """A style file; returns its path."""
    network = random_style_network(norm, **options)
    card = StyleCard(title, "Nobody", "1900", "made up", norm, network.width, len(network.blocks), "a test")
    save_style(path, network, card)
    return path
