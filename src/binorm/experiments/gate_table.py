"""The gates of a saved network, layer by layer, for the terminal."""

from pathlib import Path

import torch
from rich import box
from rich.table import Table

from binorm.experiments.checkpoint import load_state_dict
from binorm.experiments.errors import UserError
from binorm.gates import GateSummary, summarize_gates

BARS = " ▁▂▃▄▅▆▇█"


def gate_table(checkpoint: Path) -> Table:
    """One row a layer and one for all: channels, mean, shares below 0.1 and above 0.9, histogram in ten bins.

    Any saved network with batch-instance norms will do: only tensors named ``….gate`` are looked at.

    Raises:
        UserError: for an unusable checkpoint, and for one without gates.
    """
    gates = {name: tensor for name, tensor in load_state_dict(checkpoint).items() if name.split(".")[-1] == "gate"}
    if not gates:
        raise UserError(f"{checkpoint} has no gates: it was trained without batch-instance norm")
    table = Table(title="gates: 0 is instance norm, 1 is batch norm", show_footer=True, box=box.SIMPLE_HEAD)
    rows = [summarize_gates(name.removesuffix("gate").removesuffix("."), gate) for name, gate in gates.items()]
    total = summarize_gates("all", torch.cat(list(gates.values())))
    footers = _cells(total)
    headings = ("layer", "channels", "mean", "below 0.1", "above 0.9", "0 to 1")
    for heading, footer in zip(headings, footers, strict=True):
        table.add_column(heading, footer, justify="left" if heading in ("layer", "0 to 1") else "right")
    for row in rows:
        table.add_row(*_cells(row))
    return table


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
