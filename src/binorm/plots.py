"""A figure of a network's gates."""

from typing import TYPE_CHECKING

import torch
from torch import nn

from binorm.gates import HISTOGRAM_BINS, gate_summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_gates(model: nn.Module) -> "Figure":
    """Draw where the gates of every layer stand: a row a layer, ten equal bins, the share of its channels in each.

    Args:
        model: a network with batch-instance norms.

    Returns:
        A figure of matplotlib's, in no window: ``plot_gates(model).savefig("gates.png")``, or the last line of a
        notebook's cell.

    Raises:
        ImportError: without matplotlib.
        ValueError: for a network without batch-instance norms.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("plot_gates needs matplotlib: pip install matplotlib") from error
    layers = gate_summary(model)
    if not layers:
        raise ValueError(
            f"{type(model).__name__} has no batch-instance norms whose gates could be drawn: convert its batch norms "
            "with binorm.convert_batch_norm(model) first"
        )
    shares = torch.tensor([[count / layer.channels for count in layer.histogram] for layer in layers])
    figure = Figure(figsize=(7, 1.2 + 0.22 * len(layers)), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(shares.numpy(), aspect="auto", cmap="Blues", vmin=0, vmax=1, extent=(0, 1, len(layers), 0))
    axes.set_yticks([row + 0.5 for row in range(len(layers))], [layer.name for layer in layers], fontsize=7)
    axes.set_xticks([tick / HISTOGRAM_BINS for tick in range(0, HISTOGRAM_BINS + 1, 2)])
    axes.set_xlabel("gate: 0 instance norm, 1 batch norm")
    figure.colorbar(image, label="share of the layer's channels")
    return figure
