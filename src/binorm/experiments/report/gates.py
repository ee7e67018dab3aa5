"""Where learned gates stand: by stage of the network, by layer and over training, beside the paper's figure."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from rich.console import RenderableType
from torch import Tensor

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.run_files import GATES_FILE
from binorm.experiments.common.tensors import load_state_dict
from binorm.experiments.report.figures.theme import shorten
from binorm.experiments.report.published import GATES
from binorm.experiments.report.significance import number
from binorm.experiments.report.table import Cell, Head, Row, Table
from binorm.experiments.report.terminal import terminal_tables
from binorm.experiments.runs.reading import FinishedRun, GateLayer, GatePoint, read_gates
from binorm.gates import HISTOGRAM_BINS, summarize_gates

Group = TypeVar("Group")

TOTAL = "total"
STEM, FINAL = "stem", "final"
STAGES_APART = 0.05  # means of stages that are nearer are about the same
MOST_STAGES = 10  # more parts of a sequence are its blocks
_PUBLISHED_STAGES = ("lower", "middle", "upper")
_NAME_LENGTH = 12  # of a stage: the longest that leaves room for ten bins in 80 characters
_BARS = " ▁▂▃▄▅▆▇█"
_BIN_HEADINGS = (*(f"–.{place}" for place in range(1, 10)), "–1")  # the upper edges


@dataclass(frozen=True)
class Shares:
    """A group of gates.

    Attributes:
        count: how many there are; 0 where nobody counted them.
        mean: of the gates.
        fractions: the share of them in each of ten equal bins over [0, 1]; the last bin holds its right edge.
    """

    count: int
    mean: float
    fractions: tuple[float, ...]

    @property
    def ends(self) -> float:
        """The share in the first and the last bin together."""
        return self.fractions[0] + self.fractions[-1]


@dataclass(frozen=True)
class Reference:
    """What the paper shows beside a group of gates: what it calls the group, and its shares (mean by bin centres)."""

    label: str
    shares: Shares


@dataclass(frozen=True)
class LayerMeans:
    """The mean gate of one layer, one value for each run, and the stage that the layer belongs to."""

    name: str
    stage: str
    means: tuple[float, ...]


def stages_of(layers: Iterable[str]) -> dict[str, str]:
    """The stage of each layer: ``"stage1.0.norm1"`` is in ``"stage1"``.

    What all names begin with, as a wrapper leaves it, is passed over. Layers outside of any module make up the stem, or
    the final layers where they come after a stage. Where all others are in one sequence of a few numbered parts, as
    timm's EfficientNets have them, ``"blocks.0"`` and so on are the stages.
    """
    parts = {layer: layer.split(".") for layer in layers}
    depth = _common_depth(list(parts.values()))
    stages: dict[str, str] = {}
    for layer, words in parts.items():
        if len(words) > depth + 1:
            stages[layer] = words[depth]
        else:
            stages[layer] = FINAL if set(stages.values()) - {STEM} else STEM
    return stages | _numbered_parts(parts, stages, depth)


def shares(gates: Sequence[float]) -> Shares:
    """Count gates, at least one, into their bins."""
    counts = [0] * HISTOGRAM_BINS
    for gate in gates:
        counts[min(int(gate * HISTOGRAM_BINS), HISTOGRAM_BINS - 1)] += 1
    return Shares(len(gates), statistics.fmean(gates), tuple(count / len(gates) for count in counts))


def by_stage(layers: Sequence[GateLayer]) -> dict[str, Shares]:
    """All gates under ``"total"``, then those of each stage, unless there is but one.

    The same layer may come from several runs.
    """
    stages = stages_of(layer.name for layer in layers)
    gates: dict[str, list[float]] = {TOTAL: []}
    for layer in layers:
        gates[TOTAL].extend(layer.gates)
        gates.setdefault(stages[layer.name], []).extend(layer.gates)
    return {group: shares(values) for group, values in _worth_showing(gates).items()}


def development(history: Sequence[GatePoint]) -> dict[str, dict[int, Shares]]:
    """The shares after each epoch, in total and by stage as in `by_stage`; layers count by their channels."""
    stages = stages_of(point.name for point in history)
    points: dict[str, dict[int, list[GatePoint]]] = {TOTAL: {}}
    for point in history:
        for group in (TOTAL, stages[point.name]):
            points.setdefault(group, {}).setdefault(point.epoch, []).append(point)
    return {
        group: {epoch: _pooled(layers) for epoch, layers in sorted(epochs.items())}
        for group, epochs in _worth_showing(points).items()
    }


def layer_means(runs: Iterable[Sequence[GateLayer]]) -> list[LayerMeans]:
    """The mean gate of each layer in every run that has it, in the order of the network."""
    means: dict[str, list[float]] = {}
    for layer in (layer for run in runs for layer in run):
        means.setdefault(layer.name, []).append(statistics.fmean(layer.gates))
    stages = stages_of(means)
    return [LayerMeans(name, stages[name], tuple(values)) for name, values in means.items()]


def gates_by_norm(runs: Sequence[FinishedRun]) -> dict[str, dict[str, Shares]]:
    """Where the trained gates of all runs of a norm stand, in total and by stage; without norms that have none."""
    layers: dict[str, list[GateLayer]] = {}
    for run in runs:
        if run.gate_layers and run.gate_history:
            layers.setdefault(run.norm, []).extend(run.gate_layers)
    return {norm: by_stage(each) for norm, each in layers.items()}


def share_text(fraction: float) -> str:
    """``"10.3 %"``."""
    return f"{number(100 * fraction, 1)} %"


def references(groups: Iterable[str]) -> dict[str, Reference]:
    """The paper's shares for the total and the stages of a classifier with three stages, as its own has; else none."""
    stages = _stages(groups)
    if len(stages) != len(GATES.stages) or "decoder" in stages:  # such a network draws pictures
        return {}
    published = zip((TOTAL, *stages), (TOTAL, *_PUBLISHED_STAGES), (GATES.total, *GATES.stages), strict=True)
    return {group: Reference(label, _from_fractions(fractions)) for group, label, fractions in published}


def summary(groups: Mapping[str, Shares]) -> str:
    """In numbers: how many gates are near 0 and 1, whether both ends stand out, how stages differ; then the paper's.

    Args:
        groups: as `by_stage` gives them.
    """
    total = groups[TOTAL]
    text = (
        f"{_percent(total.fractions[0])} of the gates lie below 0.1 and {_percent(total.fractions[-1])} above 0.9: "
        f"{_percent(total.ends)} in the two end bins, {_ends_text(total)}."
    )
    stages = _stages(groups)
    if len(stages) > 1:
        low, high = (round(groups[stage].mean, 2) for stage in (stages[0], stages[-1]))
        text += f" The mean gate is {low:.2f} in {stages[0]} and {high:.2f} in {stages[-1]}"
        near = "" if low == high else ", which is about the same"
        more = f": more instance norm in the {'lower' if low < high else 'upper'} stage"
        text += f"{more if abs(high - low) >= STAGES_APART else near}."
    paper = references(groups)
    if not paper:
        return text
    total, lower, upper = (paper[group].shares for group in (TOTAL, stages[0], stages[-1]))
    return (
        f"{text} The paper's {GATES.network}: {_percent(total.fractions[0])} and {_percent(total.fractions[-1])}, "
        f"together {_percent(total.ends)}, {_ends_text(total)}; means by bin centres {lower.mean:.2f} in the lower and "
        f"{upper.mean:.2f} in the upper stage."
    )


def _stages(groups: Iterable[str]) -> list[str]:
    return [group for group in groups if group not in (TOTAL, STEM, FINAL)]


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.0f} %"


def _common_depth(parts: Sequence[Sequence[str]]) -> int:
    """With how many words all names begin; every name keeps at least one."""
    depth = 0
    while len(parts) > 1 and all(len(words) > depth + 1 and words[depth] == parts[0][depth] for words in parts):
        depth += 1
    return depth


def _numbered_parts(parts: Mapping[str, Sequence[str]], stages: Mapping[str, str], depth: int) -> dict[str, str]:
    """The stages of the layers of a single sequence, where its parts are numbered and few; else nothing."""
    inside = {layer: words for layer, words in parts.items() if stages[layer] not in (STEM, FINAL)}
    numbered = all(len(words) > depth + 2 and words[depth + 1].isdigit() for words in inside.values())
    found = {layer: ".".join(words[depth : depth + 2]) for layer, words in inside.items()}
    single = len({stages[layer] for layer in inside}) == 1
    return found if single and numbered and 1 < len(set(found.values())) <= MOST_STAGES else {}


def _worth_showing(groups: dict[str, Group]) -> dict[str, Group]:
    """A network of one stage is its own total."""
    return groups if len(groups) > 2 else {TOTAL: groups[TOTAL]}


def _pooled(points: Sequence[GatePoint]) -> Shares:
    count = sum(point.channels for point in points)
    counts = [sum(column) for column in zip(*(point.histogram for point in points), strict=True)]
    mean = sum(point.mean * point.channels for point in points) / count
    return Shares(count, mean, tuple(each / count for each in counts))


def _from_fractions(fractions: tuple[float, ...]) -> Shares:
    centres = [(place + 0.5) / len(fractions) for place in range(len(fractions))]
    mean = sum(centre * each for centre, each in zip(centres, fractions, strict=True)) / sum(fractions)
    return Shares(0, mean, fractions)


def _ends_text(group: Shares) -> str:
    first, *between, last = group.fractions
    low, high = first > max(between), last > max(between)
    if low and high:
        return "each of which holds more than any bin between"
    if low or high:
        return f"of which only the {'lower' if low else 'upper'} holds more than every bin between"
    return "neither of which holds more than every bin between"


def gate_tables(checkpoint: Path) -> list[RenderableType]:
    """What there is to say about the gates of a saved network, as tables for a terminal.

    Args:
        checkpoint: a run's folder, a ``.safetensors``, or a saved ``state_dict()``. Any network with batch-instance
            norms will do: only tensors named ``….gate`` are looked at.

    Returns:
        The gates by layer, by stage, and, for the folder of a run that recorded it, their development.

    Raises:
        UserError: for an unusable checkpoint, and for one without gates.
    """
    gates = {
        name.removesuffix("gate").removesuffix("."): tensor
        for name, tensor in load_state_dict(checkpoint).items()
        if name.split(".")[-1] == "gate" and tensor.ndim == 1 and len(tensor)
    }
    if not gates:
        raise UserError(f"{checkpoint} has no gates: it was trained without batch-instance norm")
    history = read_gates(checkpoint / GATES_FILE)[1] if checkpoint.is_dir() else ()
    tables = [_layer_table(gates), _stage_table(gates), *([_development_table(history)] if history else [])]
    return [each for table in tables for each in terminal_tables(table)]


def _layer_table(gates: Mapping[str, Tensor]) -> Table:
    heads = (*map(Head, ("channels", "mean", "below 0.1", "above 0.9")), Head("0 to 1", words=True))
    rows = [_layer_row(name, gate) for name, gate in gates.items()]
    rows.append(_layer_row("all", torch.cat(list(gates.values())), total=True))
    return Table("layer", heads, tuple(rows), terminal="gates: 0 is instance norm, 1 is batch norm")


def _layer_row(name: str, gate: Tensor, total: bool = False) -> Row:
    found = summarize_gates(name, gate)
    most = max(found.histogram)
    # One character a bin; a bin that holds anything is never drawn empty.
    bars = "".join(_BARS[-(-count * (len(_BARS) - 1) // most)] for count in found.histogram)
    texts = (f"{found.channels:,}", f"{found.mean:.3f}", f"{found.below:.1%}", f"{found.above:.1%}", bars)
    return Row(Head(name, total=total), tuple(map(Cell, texts)))


def _stage_table(gates: Mapping[str, Tensor]) -> Table:
    """One row a stage, and below it what the paper shows of that stage of its network."""
    # A gate is stored unclipped by other programs than binorm.
    groups = by_stage([GateLayer(name, tuple(gate.double().clamp(0, 1).tolist())) for name, gate in gates.items()])
    paper = references(groups)
    rows = []
    for stage, group in groups.items():
        rows.append(_shares_row(stage, group))
        if stage in paper:
            rows.append(_shares_row(f"paper {paper[stage].label}", paper[stage].shares, quiet=True))
    title = f"share of gates by stage, beside the paper's {GATES.network}" if paper else "share of gates by stage"
    return _shares_table("stage", rows, title)


def _development_table(history: Sequence[GatePoint]) -> Table:
    """The shares before training, halfway and at its end, in total and by stage."""
    rows = []
    for stage, epochs in development(history).items():
        recorded = list(epochs)
        for epoch in dict.fromkeys((recorded[0], recorded[len(recorded) // 2], recorded[-1])):
            rows.append(_shares_row(str(epoch), epochs[epoch], stage))
    return _shares_table("epoch", rows, "share of gates over training")


def _shares_table(corner: str, rows: Sequence[Row], title: str) -> Table:
    return Table(corner, tuple(map(Head, ("mean", *_BIN_HEADINGS))), tuple(rows), terminal=title)


def _shares_row(name: str, group: Shares, stage: str = "", quiet: bool = False) -> Row:
    # In four characters.
    shares = ["1.00" if each > 0.9995 else f"{each:.3f}".removeprefix("0") for each in group.fractions]
    cells = tuple(Cell(text, quiet=quiet) for text in (f"{group.mean:.2f}", *shares))
    return Row(Head(shorten(name, _NAME_LENGTH), group=stage, quiet=quiet), cells)
