"""Networks with learned gates that the page can look into: finished runs, and the styles it offers."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from binorm import BatchInstanceNorm2d, named_gates
from binorm.demo.pictures import Pixels
from binorm.demo.reports import find_files
from binorm.experiments.analysis.responses import respond
from binorm.experiments.common.errors import UserError, lookup
from binorm.experiments.common.run_files import GATES_FILE, STYLE_FILE
from binorm.experiments.runs.reading import GateLayer
from binorm.experiments.style.style_file import load_style

WEIGHTS_FILE = "model.safetensors"
SHOWN_CHANNELS = 6
STYLE_SIDE = 256  # pixels of the longer side of what a style network is shown
CLASSIFIER_SIDE = 32  # for data sets whose own size the recipe does not say
_KEPT_NETWORKS = 4


@dataclass(frozen=True, eq=False)
class Opened:
    """A network to look into.

    Attributes:
        network: in evaluation mode.
        layers: its norms with gates, in its order.
        side: pixels of what it is shown; a style network sees whole pictures, a classifier squares.
        is_style: whether it draws pictures.
    """

    network: nn.Module
    layers: tuple[GateLayer, ...]
    side: int
    is_style: bool


@dataclass(frozen=True, eq=False)
class ChannelMaps:
    """A channel with its gate, and its response (3, H, W) with gate 0, the gate as learned, and gate 1."""

    index: int
    gate: float
    maps: Tensor


class Networks:
    """Finds networks by the names that it gave them, and opens them.

    Args:
        runs: the folder of all runs.
        styles: files of styles by name.
    """

    def __init__(self, runs: Path, styles: Mapping[str, Path]) -> None:
        self._runs, self._styles = runs, styles
        self._open = functools.lru_cache(_KEPT_NETWORKS)(_open)

    def find(self) -> dict[str, Path]:
        """The file of each network by what the page calls it: runs first, then styles."""
        found = {}
        for path in find_files(self._runs, GATES_FILE):
            weights = [path.parent / name for name in (WEIGHTS_FILE, STYLE_FILE)]
            file = next((each for each in weights if each.is_file() and not each.is_symlink()), None)
            if file is not None:
                found[path.parent.relative_to(self._runs).as_posix()] = file
        return found | {f"style: {name}": path for name, path in self._styles.items()}

    def open(self, name: str) -> Opened:
        """A network by a name of `find`, which alone says what file that is.

        Raises:
            UserError: for any other name, an unreadable file, and a network without gates.
        """
        path = lookup("network", name, self.find())
        return self._open(path, path.stat().st_mtime_ns)


def channel_maps(opened: Opened, layer: str, pixels: Pixels) -> list[ChannelMaps]:
    """What channels of a layer make of a picture: those with the lowest gates and those with the highest.

    The response is that of the norm, before a residual and the activation; all other layers keep their gates.

    Raises:
        UserError: for an unknown layer.
    """
    norms = {name: module for name, module in opened.network.named_modules() if isinstance(module, BatchInstanceNorm2d)}
    norm = lookup("layer", layer, norms)
    seen: list[Tensor] = []
    handle = norm.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    try:
        with torch.inference_mode():
            opened.network(_network_input(opened, pixels))
            order = norm.gate.argsort().tolist()
            half = SHOWN_CHANNELS // 2
            chosen = order if len(order) <= SHOWN_CHANNELS else [*order[:half], *order[-half:]]
            maps = [respond(norm, seen[0], index)[[1, 0, 2], 0] for index in chosen]
    finally:
        handle.remove()
    return [ChannelMaps(index, norm.gate[index].item(), each) for index, each in zip(chosen, maps, strict=True)]


def _open(path: Path, _: int) -> Opened:
    from binorm.experiments.runs.checkpoint import load_network

    is_style = path.name != WEIGHTS_FILE
    if is_style:
        network: nn.Module = load_style(path)[0]
        side = STYLE_SIDE
    else:
        network, trained = load_network(path)
        side = trained.recipe.image_size or CLASSIFIER_SIDE
    network.eval().requires_grad_(False)
    gates = ((name.removesuffix(".gate"), gate.tolist()) for name, gate in named_gates(network))
    layers = tuple(GateLayer(name, tuple(values)) for name, values in gates)
    if not layers:
        raise UserError("this network has no gates: its norm is not batch-instance norm")
    return Opened(network, layers, side, is_style)


def _network_input(opened: Opened, pixels: Pixels) -> Tensor:
    """Pixels (H, W, 3) as (1, 3, H', W'): in [0, 1] for a style, else with mean 0 and variance 1 in each colour."""
    x = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
    height, width = x.shape[-2:]
    scale = opened.side / max(height, width)
    size = (max(8, round(height * scale)), max(8, round(width * scale)))
    if not opened.is_style:
        size = (opened.side, opened.side)
    x = torch.nn.functional.interpolate(x, size, mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)
    if opened.is_style:
        return x
    std, mean = torch.std_mean(x, (2, 3), correction=0, keepdim=True)
    return (x - mean) / std.clamp_min(0.05)
