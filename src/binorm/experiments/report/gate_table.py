"""The gates of a saved network for the terminal: layer by layer, by stage beside the paper's, and over training."""

from collections.abc import Mapping
from pathlib import Path

import torch
from rich import box
from rich.table import Table
from rich.text import Text
from torch import Tensor

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.run_files import GATES_FILE
from binorm.experiments.common.tensors import load_state_dict
from binorm.experiments.report import gate_statistics
from binorm.experiments.report.gate_statistics import Shares
from binorm.experiments.report.published import GATES
from binorm.experiments.runs.reading import GateLayer, read_gates
from binorm.gates import GateSummary, summarize_gates

FIRST_COLUMN = 12  # characters: the widest that leaves room for ten bins in 80
BARS = " ▁▂▃▄▅▆▇█"
BIN_HEADINGS = (*(f"–.{place}" for place in range(1, 10)), "–1")  # the upper edges


def gate_tables(checkpoint: Path) -> list[Table]:
    """What there is to say about the gates of a saved network.

    Args:
        checkpoint: a run's folder, a ``.safetensors``, or a saved ``state_dict()``. Any network with batch-instance
            norms will do: only tensors named ``….gate`` are looked at.

    Returns:
        The gates by layer, by stage, and, for the folder of a run that recorded it, their development.

    Raises:
        UserError: for an unusable checkpoint, and for one without gates.
    """
    gates = _load_gates(checkpoint)
    tables = [_layer_table(gates), _stage_table(gates)]
    development = _development_table(checkpoint) if checkpoint.is_dir() else None
    return tables if development is None else [*tables, development]


def _load_gates(checkpoint: Path) -> dict[str, Tensor]:
    """The gates by the name of their layer."""
    state = load_state_dict(checkpoint)
    gates = {
        name.removesuffix("gate").removesuffix("."): tensor
        for name, tensor in state.items()
        if name.split(".")[-1] == "gate" and tensor.ndim == 1 and len(tensor)
    }
    if not gates:
        raise UserError(f"{checkpoint} has no gates: it was trained without batch-instance norm")
    return gates


def _layer_table(gates: Mapping[str, Tensor]) -> Table:
    table = Table(title="gates: 0 is instance norm, 1 is batch norm", show_footer=True, box=box.SIMPLE_HEAD)
    total = summarize_gates("all", torch.cat(list(gates.values())))
    headings = ("layer", "channels", "mean", "below 0.1", "above 0.9", "0 to 1")
    for heading, footer in zip(headings, _cells(total), strict=True):
        table.add_column(heading, footer, justify="left" if heading in ("layer", "0 to 1") else "right")
    for name, gate in gates.items():
        table.add_row(*_cells(summarize_gates(name, gate)))
    return table


def _stage_table(gates: Mapping[str, Tensor]) -> Table:
    """One row a stage, and below it what the paper shows of that stage of its network."""
    layers = [
        # A gate is stored unclipped by other programs than binorm.
        GateLayer(name, tuple(gate.double().clamp(0, 1).tolist()))
        for name, gate in gates.items()
    ]
    groups = gate_statistics.by_stage(layers)
    paper = gate_statistics.references(groups)
    title = f"share of gates by stage, beside the paper's {GATES.network}" if paper else "share of gates by stage"
    table = _shares_table(title, "stage")
    for stage, group in groups.items():
        table.add_row(Text(stage), *_shares_cells(group), end_section=stage not in paper)
        if stage in paper:
            reference = paper[stage]
            cells = [Text(cell, style="dim") for cell in _shares_cells(reference.shares)]
            table.add_row(Text(f"paper {reference.label}", style="dim"), *cells, end_section=True)
    return table


def _development_table(run: Path) -> Table | None:
    """The shares before training, halfway and at its end, in total and by stage; None where none are recorded."""
    history = read_gates(run / GATES_FILE)[1]
    if not history:
        return None
    table = _shares_table("share of gates over training", "epoch")
    for stage, epochs in gate_statistics.development(history).items():
        table.add_row(Text(stage, style="bold"))
        recorded = list(epochs)
        shown = dict.fromkeys((recorded[0], recorded[len(recorded) // 2], recorded[-1]))
        for epoch in shown:
            table.add_row(f"  {epoch}", *_shares_cells(epochs[epoch]), end_section=epoch == recorded[-1])
    return table


def _shares_table(title: str, first: str) -> Table:
    """A table of ten bins that fits into 80 columns."""
    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(first, no_wrap=True, overflow="ellipsis", max_width=FIRST_COLUMN)
    for heading in ("mean", *BIN_HEADINGS):
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _shares_cells(group: Shares) -> list[str]:
    return [f"{group.mean:.2f}", *map(_fraction, group.fractions)]


def _fraction(value: float) -> str:
    """In four characters."""
    return "1.00" if value > 0.9995 else f"{value:.3f}".removeprefix("0")


def _cells(row: GateSummary) -> tuple[str, ...]:
    return (
        row.name,
        f"{row.channels:,}",
        f"{row.mean:.3f}",
        f"{row.below:.1%}",
        f"{row.above:.1%}",
        _bars(row.histogram),
    )


def _bars(histogram: tuple[int, ...]) -> str:
    """One character a bin; a bin that holds anything is never drawn empty."""
    most = max(histogram)
    return "".join(BARS[-(-count * (len(BARS) - 1) // most)] for count in histogram)
