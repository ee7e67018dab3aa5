"""Classifiers as ONNX files, checked before they are written."""

from dataclasses import dataclass
from pathlib import Path

from binorm.experiments.classifiers.classifier import Classifier
from binorm.experiments.classifiers.export.deployed import INPUT, OUTPUT, Choices, Program, Written, trace
from binorm.experiments.common.files import write_bytes_atomically
from binorm.experiments.common.onnx_files import describe, graph_of, require_export_packages, runtime_of


@dataclass(frozen=True)
class OnnxFile:
    """The content of a file that computes what a classifier does.

    Attributes:
        data: the content.
        program: what it was made from.
        difference: see `Written`.
    """

    data: bytes
    program: Program
    difference: float


def onnx_file(classifier: Classifier, choices: Choices) -> OnnxFile:
    """Make the content of a file: ``pictures``, (N, 3, H, W) float32 -> ``logits``, (N, classes).

    The metadata name the classes, and say what is expected of pictures. ONNX Runtime has computed what the classifier
    computes, at several sizes and up to `TOLERANCE` of the largest output.

    Raises:
        UserError: without the ONNX packages; where it cannot be traced; and if ONNX Runtime computes something else.
    """
    require_export_packages()
    program = trace(classifier, choices)
    model = graph_of(program.traced, INPUT, OUTPUT)
    describe(model, program.free, {0: program.free[0]}, program.facts)
    data: bytes = model.SerializeToString()
    return OnnxFile(data, program, program.check(runtime_of(data), "ONNX Runtime"))


def export_onnx(classifier: Classifier, path: Path, choices: Choices) -> Written:
    """Write such a file, wholly or not at all.

    Raises:
        UserError: as `onnx_file`, and if it cannot be written.
    """
    made = onnx_file(classifier, choices)
    write_bytes_atomically(path, made.data)
    return Written(len(made.data), made.program.any_size, made.difference)
