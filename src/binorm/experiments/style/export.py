"""Style networks as ONNX files, for pictures of any number and size, checked before they are written."""

import copy
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch.export import Dim

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.files import write_bytes_atomically
from binorm.experiments.style.network import StyleNetwork
from binorm.experiments.style.style_file import StyleCard

if TYPE_CHECKING:
    import onnx

INPUT, OUTPUT = "pictures", "stylized"
OPSET = 20  # the newest that every ONNX Runtime since 1.17 (2024) computes
TOLERANCE = 1e-4  # of values in [0, 1]: a fortieth of a level of 255, and far more than rounding
CHECKED_SHAPES = ((1, 8, 8), (3, 33, 38), (1, 66, 51), (2, 64, 96))  # N, H, W; multiples of 4 and none


def export_onnx(network: StyleNetwork, path: Path, card: StyleCard | None = None) -> None:
    """Write a network as ONNX: ``pictures``, (N, 3, H, W) float32 RGB in [0, 1] -> ``stylized``, the same shape.

    N, H and W are free, from `StyleNetwork.MIN_SIZE` pixels on. The network, which stays as it is, is exported as it
    computes in evaluation; the metadata say what the card says. ONNX Runtime has computed what the network computes, at
    several sizes and up to `TOLERANCE`, before the file is put in place.

    Raises:
        UserError: without the ONNX packages, if ONNX Runtime computes something else, or if the file cannot be written.
    """
    _require_onnx()
    network = copy.deepcopy(network).cpu().eval().requires_grad_(False)
    model = _traced(network)
    _describe(model, network, card)
    data = model.SerializeToString()
    check_onnx(data, network)
    write_bytes_atomically(path, data)


def check_onnx(data: bytes, network: StyleNetwork) -> None:
    """Compare ONNX Runtime's results with the network's at `CHECKED_SHAPES`, on random pictures.

    Raises:
        UserError: if they differ by more than `TOLERANCE` anywhere.
    """
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    for count, height, width in CHECKED_SHAPES:
        pictures = torch.rand(count, 3, height, width, generator=generator)
        with torch.inference_mode():
            expected = network(pictures)
        result = torch.from_numpy(session.run([OUTPUT], {INPUT: pictures.numpy()})[0])
        difference = float((result - expected).abs().max()) if result.shape == expected.shape else float("inf")
        if not difference <= TOLERANCE:  # nan is no agreement either
            raise UserError(
                f"the exported network is wrong: at {width}x{height} pixels ONNX Runtime {onnxruntime.__version__} "
                f"gives results of shape {tuple(result.shape)} that differ by {difference:.2g} (at most {TOLERANCE} is "
                f"expected); nothing is written. Try other versions of torch (here {torch.__version__}) and onnxscript"
            )


def _require_onnx() -> None:
    for name in ("onnx", "onnxruntime", "onnxscript"):  # torch.onnx needs the last one
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise UserError(f"the export needs {name}: pip install 'binorm[export]'") from error


def _traced(network: StyleNetwork) -> "onnx.ModelProto":
    free = {0: Dim("count", min=1)}
    free |= {place: Dim(name, min=network.MIN_SIZE) for place, name in ((2, "height"), (3, "width"))}
    program = torch.onnx.export(
        network,
        (torch.rand(2, 3, 33, 38),),
        dynamo=True,
        dynamic_shapes=(free,),
        input_names=[INPUT],
        output_names=[OUTPUT],
        opset_version=OPSET,
        verbose=False,
    )
    assert program is not None  # noqa: S101 - dynamo=True gives one
    model: onnx.ModelProto = program.model_proto
    return model


def _describe(model: "onnx.ModelProto", network: StyleNetwork, card: StyleCard | None) -> None:
    """Name the output's shape and the style; drop the tracer's notes, which tell of this machine's files."""
    import onnx

    graph = model.graph
    for each in (*graph.node, *graph.initializer, *graph.input, *graph.output, graph):
        del each.metadata_props[:]
        each.doc_string = ""
    del graph.value_info[:]
    for place, name in ((0, "count"), (2, "height"), (3, "width")):
        graph.output[0].type.tensor_type.shape.dim[place].dim_param = name
    facts = {"norm": network.norm_name, "input": "RGB in [0, 1]"}
    if card is not None:
        facts |= {"title": card.title, "artist": card.artist, "date": card.date, "source": card.source}
    onnx.helper.set_model_props(model, facts)
    onnx.checker.check_model(model, full_check=True)
