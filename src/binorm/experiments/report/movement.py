"""Whether gates moved in training at all: of those that did not, neither trend nor chart says anything."""

import statistics
from collections.abc import Iterator, Sequence

from binorm.experiments.common.text import listed
from binorm.experiments.report.gates import shares
from binorm.experiments.report.scores import finished, norms_of
from binorm.experiments.runs.reading import FinishedRun

NEARLY_BATCH = 0.97  # gates above it are batch norm for all that a reader can tell
LEAST_MOVE = 0.01  # of a layer's mean gate


def still(runs: Sequence[FinishedRun]) -> str:
    """Why nothing can be read from the gates of these runs, and what to do; nothing where they moved.

    Gates of all runs are above `NEARLY_BATCH`, or those of each layer are as they were before training: their mean
    within `LEAST_MOVE`, and as many in each of ten bins.
    """
    layers = [layer for run in runs for layer in run.gate_layers]
    if not layers:
        return ""
    if min(gate for layer in layers for gate in layer.gates) > NEARLY_BATCH:
        found = f"all are above {NEARLY_BATCH}, so this network is nearly batch norm"
    elif all(_moves(runs)):
        found = f"no layer's mean is more than {LEAST_MOVE} from where it began"
    else:
        return ""
    scales = sorted({run.config["gate_lr_scale"] for run in runs if "gate_lr_scale" in run.config})
    now = f" ({listed(f'{scale:g}' for scale in scales)} now)" if scales else ""
    return f"the gates hardly moved: {found}. Train longer, or raise --gate_lr_scale{now}."


def still_norms(runs: Sequence[FinishedRun]) -> dict[str, str]:
    """The norms whose gates hardly moved, each with what `still` says of it."""
    said = {norm: still(finished(runs, norm)) for norm in norms_of(runs)}
    return {norm: sentence for norm, sentence in said.items() if sentence}


def _moves(runs: Sequence[FinishedRun]) -> Iterator[bool]:
    """Of each layer of each run, whether its gates are where they began."""
    for run in runs:
        first = {point.name: point for point in reversed(run.gate_history)}
        for layer in run.gate_layers:
            start = first.get(layer.name)
            counts = [round(each * len(layer.gates)) for each in shares(layer.gates).fractions]
            alike = start is not None and abs(statistics.fmean(layer.gates) - start.mean) <= LEAST_MOVE
            yield alike and start is not None and counts == list(start.histogram)
