"""Networks as ONNX: traced, described, and held against ONNX Runtime before anything is written."""

import importlib
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from binorm.experiments.common.errors import UserError

if TYPE_CHECKING:
    import onnx

OPSET = 20  # the newest that every ONNX Runtime since 1.17 (2024) computes
PACKAGES = ("onnx", "onnxruntime", "onnxscript")  # torch.onnx needs the last one


def require_export_packages(packages: Iterable[str] = PACKAGES) -> None:
    """Raise a `UserError` that names the extra, unless these can be imported."""
    for name in packages:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise UserError(f"the export needs {name}: pip install 'binorm[export]'") from error


def graph_of(program: ExportedProgram, input_name: str, output_name: str) -> "onnx.ModelProto":
    """The ONNX graph of a program with one input and one output, which get these names."""
    made = torch.onnx.export(
        program,
        dynamo=True,
        input_names=[input_name],
        output_names=[output_name],
        opset_version=OPSET,
        verbose=False,
    )
    assert made is not None  # noqa: S101 - dynamo=True gives one
    model: onnx.ModelProto = made.model_proto
    return model


def describe(
    model: "onnx.ModelProto", of_input: Mapping[int, str], of_output: Mapping[int, str], facts: Mapping[str, str]
) -> None:
    """Name free dimensions by place and add facts; drop the tracer's notes, which tell of this machine's files."""
    import onnx

    graph = model.graph
    for each in (*graph.node, *graph.initializer, *graph.input, *graph.output, graph):
        del each.metadata_props[:]
        each.doc_string = ""
    del graph.value_info[:]
    for value, free in ((graph.input[0], of_input), (graph.output[0], of_output)):
        for place, name in free.items():
            value.type.tensor_type.shape.dim[place].dim_param = name
    onnx.helper.set_model_props(model, dict(facts))
    onnx.checker.check_model(model, full_check=True)


def session_of(data: bytes) -> Any:
    """ONNX Runtime's session for the content of a file, on the CPU."""
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def runtime_of(data: bytes) -> Callable[[Tensor], Tensor]:
    """What ONNX Runtime computes from a file with one input and one output."""
    session = session_of(data)
    name = session.get_inputs()[0].name
    return lambda batch: torch.from_numpy(session.run(None, {name: batch.numpy()})[0])


@torch.inference_mode()
def check_same(
    computed: Callable[[Tensor], Tensor],
    network: Callable[[Tensor], Tensor],
    batches: Iterable[Tensor],
    tolerance: float,
    by: str,
) -> float:
    """Hold what was exported against the network it was made from.

    Args:
        computed: what was exported, with the network's input and output.
        network: the network.
        batches: inputs, (N, 3, H, W).
        tolerance: the largest difference that is allowed, as a share of the largest output of a batch.
        by: who computes what was exported, for people.

    Returns:
        The largest difference, as such a share.

    Raises:
        UserError: if they differ by more anywhere, or the network gives no numbers.
    """
    largest = 0.0
    for batch in batches:
        expected, result = network(batch), computed(batch)
        size = f"{batch.shape[3]}x{batch.shape[2]}"
        if not torch.isfinite(expected).all():
            raise UserError(
                f"the network's own outputs are not finite at {size} pixels, as after a training that diverged or from "
                "a damaged file; nothing is written: choose another file"
            )
        difference = float("inf")
        if result.shape == expected.shape:
            difference = float((result - expected).abs().max() / expected.abs().max().clamp_min(1e-30))
        if not difference <= tolerance:  # nan is no agreement either
            raise UserError(
                f"the exported network is wrong: at {size} pixels {by} gives results of shape {tuple(result.shape)} "
                f"that differ by {difference:.2g} of the largest (at most {tolerance} is expected); nothing is "
                f"written. Try other versions of torch (here {torch.__version__}) and onnxscript"
            )
        largest = max(largest, difference)
    return largest
