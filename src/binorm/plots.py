"""Figures of a network's gates, and of what setting them changed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn

from binorm.calibration import CalibrationSummary
from binorm.gates import HISTOGRAM_BINS, gate_summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
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
    layers = gate_summary(model)
    if not layers:
        raise ValueError(
            f"{type(model).__name__} has no batch-instance norms whose gates could be drawn: convert its batch norms "
            "with binorm.convert_batch_norm(model) first"
        )
    shares = torch.tensor([[count / layer.channels for count in layer.histogram] for layer in layers])
    figure, axes = _rows([layer.name for layer in layers])
    image = axes.imshow(shares.numpy(), aspect="auto", cmap="Blues", vmin=0, vmax=1, extent=(0, 1, len(layers), 0))
    axes.set_xticks([tick / HISTOGRAM_BINS for tick in range(0, HISTOGRAM_BINS + 1, 2)])
    axes.set_xlabel("gate: 0 instance norm, 1 batch norm")
    figure.colorbar(image, label="share of the layer's channels")
    return figure


def plot_calibration(summary: CalibrationSummary) -> "Figure":
    """Draw how much style each layer saw and how much of it its gates let through: a bar a layer.

    A bar's length is how far restyling moved the layer's statistics (`CalibratedLayer.shift`); its dark part is what is
    left of that with the gates as they are now.

    Args:
        summary: what `binorm.calibrate_gates` returned.

    Returns:
        A figure of matplotlib's, as `plot_gates` does.

    Raises:
        ImportError: without matplotlib.
        ValueError: for a summary without layers.
    """
    if not summary:
        raise ValueError("no layer was calibrated, so that there is nothing to draw")
    figure, axes = _rows([layer.name for layer in summary])
    places = [row + 0.5 for row in range(len(summary))]
    axes.barh(places, [layer.shift for layer in summary], color="#f0c9a8", label="removed")
    axes.barh(places, [layer.shift * layer.left for layer in summary], color="#b5530a", label="left")
    axes.set_ylim(len(summary), 0)
    axes.set_xlabel("style: mean square of what restyling moves, in standard deviations")
    figure.legend(loc="outside upper right", ncols=2, frameon=False)
    return figure


def _rows(names: Sequence[str]) -> "tuple[Figure, Axes]":
    """An empty figure with a row, one high, for each of these names."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("figures need matplotlib: pip install matplotlib") from error
    figure = Figure(figsize=(7, 1.2 + 0.22 * len(names)), layout="constrained")
    axes = figure.add_subplot()
    axes.set_yticks([row + 0.5 for row in range(len(names))], names, fontsize=7)
    return figure, axes
