"""Classifiers in 8-bit integers, by ONNX Runtime's static quantization, measured before they are written."""

import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from binorm.experiments.classifiers.classifier import Classifier
from binorm.experiments.classifiers.export.deployed import INPUT, Choices, Program
from binorm.experiments.classifiers.export.onnx import onnx_file
from binorm.experiments.classifiers.photographs import Photographs
from binorm.experiments.common.errors import UserError
from binorm.experiments.common.files import write_bytes_atomically
from binorm.experiments.common.onnx_files import runtime_of, session_of

CALIBRATED = 100  # pictures at the most
BATCH = 16
TIMED = 30  # runs of each file
OPERATORS = (
    "Conv",
    "Gemm",
    "MatMul",
    "Add",
    "Relu",
    "Clip",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
)


@dataclass(frozen=True)
class Quantized:
    """What became of a classifier in integers, beside its file in float32.

    Attributes:
        calibrated_on: how many pictures the ranges of values come from.
        measured_on: how many pictures the next three come from.
        fresh: whether these are others.
        agreement: share with the same first class, from 0 to 1.
        accuracy: in integers, from 0 to 1; None without labels.
        accuracy_float: the same in float32.
        size: of the file, in bytes.
        size_float: see there.
        seconds: for one picture, the median.
        seconds_float: see there.
        any_size: whether it takes pictures of any size.
    """

    calibrated_on: int
    measured_on: int
    fresh: bool
    agreement: float
    accuracy: float | None
    accuracy_float: float | None
    size: int
    size_float: int
    seconds: float
    seconds_float: float
    any_size: bool


def export_int8(
    classifier: Classifier, photographs: Photographs, path: Path, normalize: bool = True, least_agreement: float = 0.8
) -> Quantized:
    """Write an ONNX file whose convolutions and linear layers compute in 8-bit integers, a scale for each channel.

    The network is folded. Ranges of values come from some of the pictures (`CALIBRATED`); what is said of the file is
    measured on the others, where there are as many, else on the same.

    Raises:
        UserError: as `onnx_file`; for an agreement below ``least_agreement``; and if it cannot be written.
    """
    made = onnx_file(classifier, Choices(normalize=normalize, fold=True))
    pictures, measured, fresh = _shares(photographs)
    data = _quantized(made.data, made.program, pictures.pictures)
    exact, rounded = (_classes(each, made.program, measured.pictures) for each in (made.data, data))
    agreement = float((exact == rounded).double().mean())
    if not agreement >= least_agreement:
        raise UserError(
            f"in 8-bit integers the network gives {100 * agreement:.0f} % of {len(measured)} pictures the class that "
            f"it gives them in float32 (at least {100 * least_agreement:.0f} % is expected); nothing is written: give "
            "more or other pictures with --images, or leave out --int8"
        )
    labels = measured.labels
    seconds_float, seconds = _seconds(made.data, data, made.program, measured.pictures[:1])
    write_bytes_atomically(path, data)
    return Quantized(
        calibrated_on=len(pictures),
        measured_on=len(measured),
        fresh=fresh,
        agreement=agreement,
        accuracy=None if labels is None else float((rounded == labels).double().mean()),
        accuracy_float=None if labels is None else float((exact == labels).double().mean()),
        size=len(data),
        size_float=len(made.data),
        seconds=seconds,
        seconds_float=seconds_float,
        any_size=made.program.any_size,
    )


def _shares(photographs: Photographs) -> tuple[Photographs, Photographs, bool]:
    """Pictures for the ranges, spread evenly over all; those to measure on; and whether these are others."""
    total = len(photographs)
    count = min(CALIBRATED, total)
    chosen = [place * total // count for place in range(count)]
    others = sorted(set(range(total)) - set(chosen))
    if len(others) < count:
        return photographs.subset(chosen), photographs, False
    return photographs.subset(chosen), photographs.subset(others), True


def _inputs(program: Program, pictures: Tensor, size: int = BATCH) -> Iterator[Tensor]:
    for batch in torch.split(pictures, size):
        yield batch.float() if program.choices.normalize else program.classifier.preprocessing.normalize(batch)


class _Reader:
    """Batches as ONNX Runtime's calibration asks for them."""

    def __init__(self, batches: Iterator[Tensor]) -> None:
        self._batches = batches

    def get_next(self) -> dict[str, Any] | None:
        """The next, or None behind the last."""
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch.numpy()}


def _quantized(data: bytes, program: Program, pictures: Tensor) -> bytes:
    """The content of the quantized file; ONNX Runtime's tools go by way of files."""
    import onnx
    from onnxruntime.quantization import QuantFormat, quantize_static  # type: ignore[import-untyped]
    from onnxruntime.quantization.shape_inference import quant_pre_process  # type: ignore[import-untyped]

    with tempfile.TemporaryDirectory() as folder:
        plain, prepared, target = (Path(folder) / f"{name}.onnx" for name in ("plain", "prepared", "int8"))
        plain.write_bytes(data)
        quant_pre_process(plain, prepared, skip_optimization=True, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            target,
            _Reader(_inputs(program, pictures)),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(OPERATORS),
            per_channel=True,
        )
        model = onnx.load(target)
    facts = program.facts | {"quantized": f"8-bit integers, ranges from {len(pictures)} pictures"}
    onnx.helper.set_model_props(model, facts)
    made: bytes = model.SerializeToString()
    return made


def _classes(data: bytes, program: Program, pictures: Tensor) -> Tensor:
    compute = runtime_of(data)
    return torch.cat([compute(batch).argmax(1) for batch in _inputs(program, pictures)])


def _seconds(exact: bytes, rounded: bytes, program: Program, picture: Tensor) -> tuple[float, float]:
    """Median seconds for one picture of both, in turn, so that what else the machine does falls on both."""
    (batch,) = _inputs(program, picture)
    sessions = [session_of(each) for each in (exact, rounded)]
    taken: list[list[float]] = [[], []]
    for session in sessions:
        session.run(None, {INPUT: batch.numpy()})
    for _ in range(TIMED):
        for session, times in zip(sessions, taken, strict=True):
            start = time.perf_counter()
            session.run(None, {INPUT: batch.numpy()})
            times.append(time.perf_counter() - start)
    return statistics.median(taken[0]), statistics.median(taken[1])
