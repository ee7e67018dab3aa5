"""Networks of timm and torchvision on the whole way of a rescue: converted, calibrated, folded, exported; same outputs.

Run: python benchmarks/rescued_networks.py [--networks timm/repvgg_a0,torchvision/resnet18] [--again]
     [--out benchmarks/results/rescued_networks.json]

Random weights, seeded; running statistics are those of a few training-mode passes. Gates are calibrated on 8 made-up
pictures and the same ones in other light and colour: of the first norm layer, and of all. Differences are the largest
of any output, as a share of the largest output:

- converted: from the original in evaluation, which should be to the bit;
- folded: from the calibrated network, both in float64, where only what folding does can differ;
- rounding: of the folded network in float32 from the same in float64. Networks of random weights multiply the rounding
  of their first layers, some of them beyond 1e-5, whatever computes them;
- ONNX Runtime and ``torch.export``: both in float32, from the folded network in float64, for 1 and 3 pictures where 2
  were exported. They should be within 1e-5, or within three times the network's rounding in PyTorch.

The table stands beside the JSON file. Each network has a process of its own, forked from one that has everything
imported; one that fails, or takes longer than --limit, is a row that says so. Finished networks are not run again, but
for --again.
"""

import argparse
import copy
import json
import multiprocessing
import sys
import time
import warnings
from dataclasses import asdict, dataclass
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import onnxruntime
import onnxscript  # noqa: F401 - what torch.onnx asks for late, once for all processes
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

import binorm
from binorm.experiments.common.files import write_bytes_atomically
from binorm.experiments.common.machine import describe_machine, describe_versions
from binorm.experiments.common.onnx_files import OPSET

TORCHVISION = (
    "resnet18", "resnext50_32x4d", "wide_resnet50_2", "densenet121", "mobilenet_v2", "mobilenet_v3_small",
    "efficientnet_b0", "regnet_x_400mf", "regnet_y_400mf", "shufflenet_v2_x0_5", "mnasnet0_5", "googlenet",
    "inception_v3", "vgg11_bn",
)  # fmt: skip
TIMM = (
    "efficientnet_lite0", "mobilenetv1_100", "mobilenetv4_conv_small_035", "regnetx_002", "repvgg_a0", "dla46_c",
    "hrnet_w18_small", "res2net50_14w_8s", "dpn48b", "ese_vovnet19b_dw", "ghostnet_050", "skresnet18",
    "legacy_seresnet18", "xception41", "levit_128s", "efficientvit_b0", "mobileone_s0", "lcnet_050", "mixnet_s",
    "selecsls42b", "cspresnet50", "gernet_s", "repghostnet_050", "hgnet_tiny", "resnest14d", "starnet_s1",
)  # fmt: skip
NETWORKS = (*(f"torchvision/{name}" for name in TORCHVISION), *(f"timm/{name}" for name in TIMM))
SIZES = {"torchvision/inception_v3": 299, "timm/levit_128s": 224}  # enough for its second head; the only one
SIZE, PICTURES = 64, 8
COUNTS = (1, 3)  # pictures at once that exports are asked for
TOLERANCE, OF_ROUNDING = 1e-5, 3.0
VARIANTS: dict[str, int | None] = {"first": 1, "all": None}  # layers to calibrate


@dataclass(frozen=True)
class Variant:
    """One kind of calibration: numbers of layers, and differences as shares of the largest output.

    Attributes:
        gated: layers with gates below 1.
        folded: norms that are now part of a convolution.
        norms_left: those that are not, gated ones among them.
        lowest: of all gates.
        folded_difference: of the folded network from the calibrated one, in float64.
        rounding: of the folded network in float32 from float64, the largest for 1, 3 and all pictures.
        onnx_difference: of ONNX Runtime from the folded network in float64; None where ``failure`` says why.
        export_difference: of the ``torch.export`` program from the folded network in float64; likewise.
        failure: of ``torch.export`` or ``torch.onnx``, if any.
    """

    gated: int
    folded: int
    norms_left: int
    lowest: float
    folded_difference: float
    rounding: float
    onnx_difference: float | None = None
    export_difference: float | None = None
    failure: str = ""


def build(name: str) -> nn.Module:
    """A network with random weights and statistics of its own, in evaluation mode."""
    torch.manual_seed(0)
    zoo, _, network = name.partition("/")
    if zoo == "timm":
        model: nn.Module = timm.create_model(network, num_classes=10)
    else:
        model = torchvision.models.get_model(network, weights=None, num_classes=10)
    binorm.update_statistics(model, [pictures(name, 8, seed) for seed in range(1, 4)])
    return model.eval().requires_grad_(False)


def pictures(name: str, count: int, seed: int) -> Tensor:
    """Colours that change slowly and fine noise on them, (count, 3, size, size), about standardized."""
    generator, size = torch.Generator().manual_seed(seed), SIZES.get(name, SIZE)
    coarse = torch.randn(count, 3, 4, 4, generator=generator)
    smooth = nn.functional.interpolate(coarse, (size, size), mode="bilinear")
    return smooth + 0.3 * torch.randn(count, 3, size, size, generator=generator)


def restyled(clean: Tensor) -> Tensor:
    """The same pictures with another contrast and colour cast each."""
    generator = torch.Generator().manual_seed(0)
    gain = torch.empty(len(clean), 3, 1, 1).uniform_(0.5, 1.5, generator=generator)
    return clean * gain + 0.5 * torch.randn(len(clean), 3, 1, 1, generator=generator)


def difference(found: Tensor, expected: Tensor) -> float:
    """The largest, as a share of the largest expected value; infinite for another shape and values that are none."""
    if found.shape != expected.shape or not bool(found.isfinite().all()):
        return float("inf")
    return ((found - expected).abs().max() / expected.abs().max()).item()


@torch.no_grad()
def rescue(name: str) -> dict[str, Any]:
    """The row of one network."""
    start = time.perf_counter()
    original = build(name)
    clean = pictures(name, PICTURES, seed=0)
    expected = original(clean)
    converted = binorm.convert_batch_norm(copy.deepcopy(original))
    row: dict[str, Any] = {
        "norms": len(list(binorm.norm_layers(original))),
        "converted_difference": difference(converted(clean), expected),
        "converted_bits": torch.equal(converted(clean), expected),
    }
    for variant, layers in VARIANTS.items():
        row[variant] = asdict(calibrated(name, copy.deepcopy(converted), layers, clean))
    return {**row, "seconds": round(time.perf_counter() - start, 1)}


def calibrated(name: str, model: nn.Module, layers: int | None, clean: Tensor) -> Variant:
    """Calibrate, fold and export one copy of the converted network."""
    binorm.calibrate_gates(model, (clean, restyled(clean)), layers=layers)
    folded, exact = binorm.fold(model), binorm.fold(model.double())
    truth = exact(clean.double())
    gates = [gate.min().item() for gate in binorm.gate_parameters(model)]
    left = len(list(binorm.norm_layers(folded)))
    facts: dict[str, Any] = {
        "gated": sum(gate < 1 for gate in gates),
        "folded": len(gates) - left,
        "norms_left": left,
        "lowest": min(gates),
        "folded_difference": difference(truth, model(clean.double())),
        "rounding": max(difference(folded(clean[:n]), truth[:n]) for n in (*COUNTS, PICTURES)),
    }
    try:
        program = torch.export.export(folded, (clean[:2],), dynamic_shapes=({0: Dim("count", min=1)},))
        facts["export_difference"] = max(difference(program.module()(clean[:n]), truth[:n]) for n in COUNTS)
        facts["onnx_difference"] = onnx_difference(program, clean, truth)
    except Exception as error:  # whatever the exporters raise
        kept = "torch.onnx" if "export_difference" in facts else "torch.export"
        facts["failure"] = f"{kept}: {type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]}"
    return Variant(**facts)


def onnx_difference(program: ExportedProgram, clean: Tensor, truth: Tensor) -> float:
    """Of ONNX Runtime, the largest for `COUNTS` of pictures."""
    exported = torch.onnx.export(program, dynamo=True, opset_version=OPSET, verbose=False)
    assert exported is not None
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, torch.get_num_threads()
    data = exported.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    (put,) = session.get_inputs()
    results = {n: torch.from_numpy(session.run(None, {put.name: clean[:n].numpy()})[0]) for n in COUNTS}
    return max(difference(result, truth[:n]) for n, result in results.items())


def in_own_process(name: str, limit: float) -> dict[str, Any]:
    """The row of one network, or its failure."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(name, there))
    process.start()
    there.close()
    try:
        row: dict[str, Any] = here.recv() if here.poll(limit) else {"failure": f"not finished in {limit:g} s"}
    except EOFError:
        process.join()
        row = {"failure": f"the process ended with exit code {process.exitcode}"}
    process.terminate()
    process.join()
    return row


def _send(name: str, connection: Connection) -> None:
    warnings.simplefilter("ignore")  # what exporters and networks say of themselves
    try:
        row = rescue(name)
    except Exception as error:
        row = {"failure": f"{type(error).__name__}: {error}"}
    connection.send(row)


def failures(row: dict[str, Any]) -> list[str]:
    """What is not as it should be, in words."""
    if "failure" in row:
        return [row["failure"]]
    found = [] if row["converted_bits"] else [f"converted differs by {row['converted_difference']:.1e}"]
    for variant in VARIANTS:
        facts = row[variant]
        found += [f"{variant}: {facts['failure']}"] if facts["failure"] else []
        limits = {"folded": TOLERANCE, "onnx": limit(facts), "export": limit(facts)}
        for key, most in limits.items():
            value = facts[f"{key}_difference"]
            if value is not None and not value <= most:
                found.append(f"{variant}: {key} differs by {value:.1e}")
    return found


def limit(variant: dict[str, Any]) -> float:
    """What an export may differ by."""
    return max(TOLERANCE, OF_ROUNDING * variant["rounding"])


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Markdown: a line a network; of pairs, with the first layer alone calibrated and with all."""
    heads = "network|norms|converted|gated|folded|folded differs by|rounding|ONNX Runtime|torch.export|seconds|"
    lines = [f"| {' | '.join(heads.split('|'))} |", "|" + "---|" * 11]

    def pair(row: dict[str, Any], key: str) -> str:
        values = [row[variant][key] for variant in VARIANTS]
        return " / ".join("–" if v is None else f"{v:.0e}" if isinstance(v, float) else str(v) for v in values)

    for name, row in rows.items():
        faults = "; ".join(failures(row)).replace("|", "\\|")
        if "failure" in row:
            lines.append(f"| {name} {'| – ' * 9}| {faults} |")
            continue
        bits = "same bits" if row["converted_bits"] else f"{row['converted_difference']:.0e}"
        keys = ("gated", "folded", "folded_difference", "rounding", "onnx_difference", "export_difference")
        cells = " | ".join([bits, *(pair(row, key) for key in keys), f"{row['seconds']:.0f}"])
        lines.append(f"| {name} | {row['norms']} | {cells} | {faults} |")
    good = [row for row in rows.values() if not failures(row)]
    exports = [[row[each][f"{key}_difference"] for each in VARIANTS for key in ("onnx", "export")] for row in good]
    small = sum(max(each) <= TOLERANCE for each in exports)
    missing = sum(name not in rows for name in NETWORKS)
    later = f" {missing} of the {len(NETWORKS)} are not run yet." if missing else ""
    verdict = f"{len(good)} of {len(rows)} networks as they should be, {small} of them within {TOLERANCE:g}.{later}"
    return "\n".join([*lines, "", verdict])


def main() -> None:
    """Run what is not done yet; write figures and table after each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default=",".join(NETWORKS), help="with commas")
    parser.add_argument("--again", action="store_true", help="also those that are finished")
    parser.add_argument("--limit", type=float, default=3600, help="seconds for a network")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/rescued_networks.json")
    options = parser.parse_args(sys.argv[1:])
    torch.set_num_threads(1)  # before the first pool of threads, which a fork would lose
    known = json.loads(options.out.read_text())["networks"] if options.out.exists() else {}
    for name in options.networks.split(","):
        if options.again or name not in known or "failure" in known[name]:
            known[name] = in_own_process(name, options.limit)
            write(options.out, known)
        print(f"{name}: {'; '.join(failures(known[name])) or 'as it should be'}", flush=True)
    print(table(known))


def write(out: Path, rows: dict[str, dict[str, Any]]) -> None:
    """The figures as JSON, and the table beside them."""
    more = {name: version(name) for name in ("timm", "torchvision", "onnx", "onnxscript", "onnxruntime")}
    facts = {
        "networks": rows,
        "tolerance": TOLERANCE,
        "machine": describe_machine(),
        "versions": describe_versions() | more,
    }
    write_bytes_atomically(out, (json.dumps(facts, indent=1) + "\n").encode())
    write_bytes_atomically(out.with_suffix(".md"), (table(rows) + "\n").encode())


if __name__ == "__main__":
    main()
