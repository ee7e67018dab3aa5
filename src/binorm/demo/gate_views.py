"""What the page draws of a network's gates: histograms, the mean of each layer, and what channels make of a picture."""

import html
import statistics
from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps

from binorm.demo.networks import ChannelMaps, Opened
from binorm.demo.pictures import exact
from binorm.experiments.report import gates
from binorm.experiments.report.figures.gates import Histogram, gate_histogram, layer_means
from binorm.experiments.report.figures.theme import norm_colours, stage_colours
from binorm.experiments.report.gates import TOTAL
from binorm.experiments.runs.reading import GateLayer

SAME_SCALE = "red above 0, blue below: what a ReLU cuts"
_COLOUR = norm_colours(["bin"])["bin"]
_SETTINGS = ("gate 0, instance", "as learned", "gate 1, batch")


def overview(opened: Opened) -> str:
    """All gates of a network: a sentence, their histogram and those of the stages, and the mean of each layer."""
    groups = gates.by_stage(opened.layers)
    # The paper's networks, which have three stages as well, classify.
    told = {TOTAL: groups[TOTAL]} if opened.is_style else groups
    top = max(max(group.fractions) for group in groups.values())
    figures = [
        gate_histogram(Histogram(stage, group.fractions), f"{stage}: {group.count:,} gates", _COLOUR, top=top)
        for stage, group in groups.items()
    ]
    means = gates.layer_means([opened.layers])
    colours = stage_colours(list(dict.fromkeys(layer.stage for layer in means)))
    by_layer = layer_means("mean gate by layer", [(layer.stage, layer.means) for layer in means], colours)
    return (
        f'<p class="measure">{html.escape(gates.summary(told))}</p><div class="figures">'
        + "".join(_figure(each) for each in (by_layer, *figures))
        + "</div>"
    )


def layer_histogram(layer: GateLayer) -> str:
    """The gates of one layer."""
    shares = gates.shares(layer.gates)
    title = f"{layer.name}: {len(layer.gates)} gates, mean {statistics.fmean(layer.gates):.2f}"
    return _figure(gate_histogram(Histogram(layer.name, shares.fractions), title, _COLOUR))


def channel_cards(channels: Sequence[ChannelMaps]) -> str:
    """One card a channel: its response with gate 0, as learned and with gate 1, all on one scale of colours."""
    reach = max(1e-6, *(channel.maps.abs().max().item() for channel in channels))
    cards = []
    for channel in channels:
        shown = colormaps["RdBu_r"](channel.maps.numpy() / (2 * reach) + 0.5, bytes=True)[..., :3]
        images = "".join(
            f'<div><img src="{exact(np.ascontiguousarray(pixels))}" alt="Channel {channel.index}, {name}">'
            f"<span>{name}</span></div>"
            for name, pixels in zip(_SETTINGS, shown, strict=True)
        )
        title = f"channel {channel.index}, gate {channel.gate:.2f}"
        cards.append(f'<figure class="channel"><figcaption>{title}</figcaption>{images}</figure>')
    return f'<div class="channels">{"".join(cards)}</div><p class="note">Response of the norm; {SAME_SCALE}.</p>'


def _figure(svg: bytes) -> str:
    return f"<figure>{svg.decode()}</figure>"
