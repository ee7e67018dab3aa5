"""Which figures are drawn from which runs of one recipe: curves, gates, and the images that runs hold."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.run_files import RESPONSES_FOLDER
from binorm.experiments.report import gates
from binorm.experiments.report.figures.gates import (
    Histogram,
    Strip,
    gate_development,
    gate_histogram,
    gate_histograms,
    layer_means,
)
from binorm.experiments.report.figures.lines import Line, gate_curves, learning_curves
from binorm.experiments.report.figures.theme import SCREEN, Output, norm_colours, stage_colours
from binorm.experiments.report.gates import TOTAL, Shares
from binorm.experiments.report.page import Figure
from binorm.experiments.report.published import GATES
from binorm.experiments.report.scores import evaluation_sets, finished, norms_of
from binorm.experiments.runs.reading import FinishedRun

LONGEST_NAME = 100  # characters of a file's name
_PNG = b"\x89PNG\r\n\x1a\n"


def curves(runs: Sequence[FinishedRun], note: str | None, output: Output = SCREEN) -> list[Figure]:
    """Learning curves: one figure for each evaluation set and one for the training pictures."""
    drawn: list[Figure] = []
    for data in (*evaluation_sets(runs), "train"):
        lines = []
        for norm, colour in norm_colours(norms_of(runs)).items():
            group = [run for run in finished(runs, norm) if data in (*run.evaluation_sets, "train")]
            if group:
                accuracies = [dict(enumerate(run.accuracies(data), start=1)) for run in group]
                lines.append(Line(norm, colour, by_epoch(accuracies)))
        if any(map(_drawable, lines)):
            title = "training pictures" if data == "train" else data
            file = file_name("learning curves", data, f".{output.format}", drawn)
            content = learning_curves(title, lines, note, output)
            drawn.append(Figure(file, f"Top-1 accuracy by epoch: {title}", content))
    return drawn


def samples(runs: Sequence[FinishedRun]) -> list[Figure]:
    """Samples of the training pictures and of each evaluation set, from the first run that has them.

    Raises:
        UserError: where a file is no PNG.
    """
    found: list[Figure] = []
    for data in ("train", *evaluation_sets(runs)):
        path = next((run.samples[data] for run in runs if data in run.samples), None)
        if path is not None:
            found.append(Figure(file_name("samples", data, ".png", found), f"Samples: {data}", _read_png(path)))
    return found


def responses(runs: Sequence[FinishedRun]) -> list[Figure]:
    """What channels with low gates see, from the first run in whose folder such images lie.

    Raises:
        UserError: where a file is no PNG.
    """
    paths = next((found for run in runs if (found := sorted((run.folder / RESPONSES_FOLDER).glob("*.png")))), [])
    drawn: list[Figure] = []
    for path in paths:
        caption = f"Strongest responses, {path.parent.parent.parent.name} {path.parent.parent.name}"
        drawn.append(Figure(file_name("responses", path.stem, ".png", drawn), caption, _read_png(path)))
    return drawn


def histograms(runs: Sequence[FinishedRun], note: str | None) -> list[Figure]:
    """For the page: one figure of all gates and one for each stage, on one scale, beside the paper's."""
    drawn: list[Figure] = []
    for norm, colour, group in _groups(runs):
        shares = gates.gates_by_norm(group)[norm]
        panels = _histograms(shares)
        top = top_of(list(panels.values()))
        for stage, histogram in panels.items():
            content = gate_histogram(histogram, f"{norm}, {stage}", colour, note, top)
            caption = f"Gates of {norm}, {stage}: {shares[stage].count:,} in {runs_text(len(group))}"
            drawn.append(Figure(file_name("gates", f"{norm} {stage}", ".svg", drawn), caption, content))
    return drawn


def histogram_panels(runs: Sequence[FinishedRun], output: Output) -> list[Figure]:
    """For print: the same histograms, for each norm in one figure."""
    drawn: list[Figure] = []
    for norm, colour, group in _groups(runs):
        panels = list(_histograms(gates.gates_by_norm(group)[norm]).values())
        caption = f"Share of channels by gate after training, {norm}, {runs_text(len(group))}"
        if any(histogram.reference for histogram in panels):
            caption += f"; outlines: the paper's {GATES.network}, read off its figure within {GATES.tolerance}"
        file = file_name("gates", norm, f".{output.format}", drawn)
        drawn.append(Figure(file, caption, gate_histograms(panels, colour, output)))
    return drawn


def gate_layers(runs: Sequence[FinishedRun], note: str | None, output: Output = SCREEN) -> list[Figure]:
    """The mean gate of each layer, in the order of the network."""
    drawn: list[Figure] = []
    for norm, _, group in _groups(runs):
        layers = [(layer.stage, layer.means) for layer in gates.layer_means(run.gate_layers for run in group)]
        colours = stage_colours(list(dict.fromkeys(stage for stage, _ in layers)))
        content = layer_means(f"{norm}, mean gate by layer", layers, colours, note, output)
        file = file_name("gates by layer", norm, f".{output.format}", drawn)
        drawn.append(Figure(file, f"Mean gate of {norm} in each norm layer{_spread(group)}", content))
    return drawn


def gate_means(runs: Sequence[FinishedRun], note: str | None, output: Output = SCREEN) -> list[Figure]:
    """The mean gate of each stage by epoch."""
    drawn: list[Figure] = []
    for norm, _, group in _groups(runs):
        developments = [_development([run]) for run in group]
        means = [
            {stage: {epoch: each.mean for epoch, each in epochs.items()} for stage, epochs in development.items()}
            for development in developments
        ]
        stages = list(dict.fromkeys(stage for run in means for stage in run if stage != TOTAL)) or [TOTAL]
        lines = [
            Line(stage, colour, by_epoch([run.get(stage, {}) for run in means]))
            for stage, colour in stage_colours(stages).items()
        ]
        content = gate_curves(f"{norm}, mean gate by stage", lines, note, output)
        file = file_name("gates over training", norm, f".{output.format}", drawn)
        drawn.append(Figure(file, f"Gates of {norm} over training, mean of each stage{_spread(group)}", content))
    return drawn


def gate_strips(runs: Sequence[FinishedRun], note: str | None, output: Output = SCREEN) -> list[Figure]:
    """The histograms by epoch, of all gates and of each stage."""
    drawn: list[Figure] = []
    for norm, colour, group in _groups(runs):
        strips = [
            Strip(stage, {epoch: each.fractions for epoch, each in epochs.items()})
            for stage, epochs in _development(group).items()
        ]
        content = gate_development(f"{norm}, gates in ten bins", strips, colour, note, output)
        caption = f"Gates of {norm} over training, share of channels in each of ten bins"
        file = file_name("gate shares over training", norm, f".{output.format}", drawn)
        drawn.append(Figure(file, f"{caption}, {runs_text(len(group))} together", content))
    return drawn


def by_epoch(curves: Sequence[Mapping[int, float]]) -> dict[int, list[float]]:
    """Regroup one curve a run into the values of all runs at each epoch; shorter runs end earlier."""
    epochs = sorted({epoch for curve in curves for epoch in curve})
    return {epoch: [curve[epoch] for curve in curves if epoch in curve] for epoch in epochs}


def _drawable(line: Line) -> bool:
    """Whether a line goes anywhere: a single epoch is no curve."""
    return sum(any(map(math.isfinite, values)) for values in line.values.values()) > 1


def file_name(kind: str, name: str, ending: str, earlier: Sequence[Figure]) -> str:
    """A short name in lower case, digits and hyphens that no earlier figure has, whatever the data set is called."""
    slug = re.sub(r"[^a-z0-9]+", "-", f"{kind} {name}".lower())[:LONGEST_NAME].strip("-")
    taken = {figure.file for figure in earlier}
    names = (f"{slug}{suffix}{ending}" for suffix in ("", *(f"-{place}" for place in range(2, len(taken) + 3))))
    return next(each for each in names if each not in taken)


def runs_text(count: int) -> str:
    """``"3 runs"``."""
    return f"{count} run{'s' * (count != 1)}"


def top_of(histograms: Sequence[Histogram]) -> float:
    """The largest share in any of them, for one scale."""
    return max(max(*each.fractions, *(each.reference or [0.0])) for each in histograms)


def _development(runs: Sequence[FinishedRun]) -> dict[str, dict[int, Shares]]:
    return gates.development([point for run in runs for point in run.gate_history])


def _groups(runs: Sequence[FinishedRun]) -> Iterator[tuple[str, str, list[FinishedRun]]]:
    """Each norm with learned gates, its colour and its runs."""
    for norm, colour in norm_colours(norms_of(runs)).items():
        group = [run for run in finished(runs, norm) if run.gate_layers and run.gate_history]
        if group:
            yield norm, colour, group


def _histograms(groups: Mapping[str, Shares]) -> dict[str, Histogram]:
    """One for each group of gates, beside the paper's where there is one."""
    paper = gates.references(groups)
    beside = {stage: (each.shares.fractions, f"paper: {GATES.network}, {each.label}") for stage, each in paper.items()}
    return {stage: Histogram(stage, group.fractions, *beside.get(stage, (None, ""))) for stage, group in groups.items()}


def _spread(group: Sequence[FinishedRun]) -> str:
    return f": mean ± std of {len(group)} runs" if len(group) > 1 else ", one run"


def _read_png(path: Path) -> bytes:
    content = path.read_bytes()
    if not content.startswith(_PNG):
        raise UserError(f"{path} is not a PNG picture. Delete it: the report does without.")
    return content
