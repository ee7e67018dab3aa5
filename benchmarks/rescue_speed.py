"""What gates in the first layer cost where a network is used, and how long it takes to set them.

Run: python benchmarks/rescue_speed.py PHOTOS [--rounds 40] [--out benchmarks/results/rescue_speed.json]

EfficientNet-Lite0 as trained and with the gates of its first norm calibrated, both folded and as ONNX files, in ONNX
Runtime, batch 1, float32, rounds alternating. And the seconds from 64 decoded photographs to a calibrated network.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy
import onnxruntime
import torch

import binorm
from binorm.experiments.classifiers.classifier import gated
from binorm.experiments.classifiers.find import find_classifier
from binorm.experiments.classifiers.photographs import read_photographs
from binorm.experiments.common.machine import describe_machine, describe_versions
from binorm.experiments.rescue.calibration import calibrated
from binorm.experiments.rescue.measurement import Drawn
from binorm.experiments.rescue.restyling import Restyling

CALLS = 10  # in a round


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/rescue_speed.json")
    options = parser.parse_args()
    classifier = find_classifier("efficientnet-lite0")
    photographs = read_photographs(options.photos, classifier, most=128)
    seconds = []
    for layers in (1, None):
        drawn = Drawn.by(photographs, 64, 0)
        started = time.perf_counter()
        found = calibrated(classifier, drawn, Restyling(), layers, 0.5)
        seconds.append(time.perf_counter() - started)
        if layers == 1:
            first = found
    networks = {"batch norm": classifier.network, "first layer": first.classifier.network}
    networks["all layers at gate 0.9"] = gated(classifier).network
    with torch.no_grad():
        for gate in binorm.gate_parameters(networks["all layers at gate 0.9"]):
            gate.fill_(0.9)
    sessions = {name: session(binorm.fold(network)) for name, network in networks.items()}
    picture = numpy.random.default_rng(0).standard_normal((1, 3, 224, 224), dtype=numpy.float32)
    times: dict[str, list[float]] = {name: [] for name in sessions}
    for _ in range(options.rounds):
        for name, each in sessions.items():
            started = time.perf_counter()
            for _ in range(CALLS):
                each.run(None, {"pictures": picture})
            times[name].append(1000 * (time.perf_counter() - started) / CALLS)
    ratios = {
        name: [one / other for one, other in zip(each, times["batch norm"], strict=True)]
        for name, each in times.items()
        if name != "batch norm"
    }
    facts = {
        "machine": describe_machine(),
        "versions": {**describe_versions(), "onnxruntime": onnxruntime.__version__},
        "milliseconds": {name: statistics.median(each) for name, each in times.items()},
        "ratio": {name: statistics.median(each) for name, each in ratios.items()},
        "ratio, quartiles": {name: statistics.quantiles(each, n=4)[::2] for name, each in ratios.items()},
        "seconds to calibrate on 64 pictures": {"first layer": seconds[0], "all layers": seconds[1]},
    }
    options.out.write_text(json.dumps(facts, indent=1) + "\n")
    print(json.dumps(facts, indent=1))


def session(network: torch.nn.Module) -> onnxruntime.InferenceSession:
    """The network in ONNX Runtime, for one picture."""
    program = torch.onnx.export(
        network, (torch.rand(1, 3, 224, 224),), dynamo=True, input_names=["pictures"], opset_version=20, verbose=False
    )
    assert program is not None
    return onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    main()
