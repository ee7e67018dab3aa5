"""Style networks as ONNX files, for pictures of any number and size, checked before they are written."""

import copy
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch.export import Dim

from binorm.experiments.common.files import write_bytes_atomically
from binorm.experiments.common.onnx_files import check_same, describe, graph_of, require_export_packages, runtime_of
from binorm.experiments.style.network import StyleNetwork
from binorm.experiments.style.style_file import StyleCard

if TYPE_CHECKING:
    import onnx

INPUT, OUTPUT = "pictures", "stylized"
FREE = {0: "count", 2: "height", 3: "width"}
TOLERANCE = 1e-4  # of the largest value: a fortieth of a level of 255, and far more than rounding
CHECKED_SHAPES = ((1, 8, 8), (3, 33, 38), (1, 66, 51), (2, 64, 96))  # N, H, W; multiples of 4 and none


def export_onnx(network: StyleNetwork, path: Path, card: StyleCard | None = None) -> None:
    """Write a network as ONNX: ``pictures``, (N, 3, H, W) float32 RGB in [0, 1] -> ``stylized``, the same shape.

    N, H and W are free, from `StyleNetwork.MIN_SIZE` pixels on. The network, which stays as it is, is exported as it
    computes in evaluation; the metadata say what the card says. ONNX Runtime has computed what the network computes, at
    several sizes and up to `TOLERANCE`, before the file is put in place.

    Raises:
        UserError: without the ONNX packages, if ONNX Runtime computes something else, or if the file cannot be written.
    """
    require_export_packages()
    network = copy.deepcopy(network).cpu().eval().requires_grad_(False)
    model = _traced(network)
    describe(model, FREE, FREE, _facts(network, card))
    data = model.SerializeToString()
    check_onnx(data, network)
    write_bytes_atomically(path, data)


def check_onnx(data: bytes, network: StyleNetwork) -> None:
    """Compare ONNX Runtime's results with the network's at `CHECKED_SHAPES`, on random pictures.

    Raises:
        UserError: if they differ by more than `TOLERANCE` anywhere.
    """
    generator = torch.Generator().manual_seed(0)
    pictures = (torch.rand(count, 3, height, width, generator=generator) for count, height, width in CHECKED_SHAPES)
    check_same(runtime_of(data), network, pictures, TOLERANCE, "ONNX Runtime")


def _traced(network: StyleNetwork) -> "onnx.ModelProto":
    free = {place: Dim(name, min=network.MIN_SIZE if place else 1) for place, name in FREE.items()}
    program = torch.export.export(
        network,
        (torch.rand(2, 3, 33, 38),),
        dynamic_shapes=(free,),
        prefer_deferred_runtime_asserts_over_guards=True,  # of sizes that are no multiples of the stride
    )
    return graph_of(program, INPUT, OUTPUT)


def _facts(network: StyleNetwork, card: StyleCard | None) -> dict[str, str]:
    facts = {"norm": network.norm_name, "input": "RGB in [0, 1]"}
    if card is not None:
        facts |= {"title": card.title, "artist": card.artist, "date": card.date, "source": card.source}
    return facts
