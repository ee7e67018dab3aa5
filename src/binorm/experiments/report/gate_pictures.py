"""Which figures of gates are drawn from which runs: for each norm whose gates are learned."""

from collections.abc import Iterator, Sequence

from binorm.experiments.report import gate_statistics, tables
from binorm.experiments.report.figures import lines as figures
from binorm.experiments.report.figures.gates import (
    Histogram,
    Strip,
    gate_development,
    gate_histogram,
    gate_histograms,
    layer_means,
)
from binorm.experiments.report.figures.theme import SCREEN, Output, norm_colours, stage_colours
from binorm.experiments.report.gate_statistics import TOTAL, Shares
from binorm.experiments.report.pictures import Picture, by_epoch, file_name
from binorm.experiments.report.published import GATES
from binorm.experiments.runs.reading import RunResult


def gates_by_norm(runs: Sequence[RunResult]) -> dict[str, dict[str, Shares]]:
    """Where the trained gates of all runs of a norm stand, in total and by stage; without norms that have none."""
    return {
        norm: gate_statistics.by_stage([layer for run in group for layer in run.gate_layers])
        for norm, _, group in _groups(runs)
    }


def histograms(runs: Sequence[RunResult], note: str | None) -> list[Picture]:
    """For the page: one figure of all gates and one for each stage, on one scale, beside the paper's."""
    pictures: list[Picture] = []
    for norm, colour, group in _groups(runs):
        drawn = _histograms(gates_by_norm(group)[norm])
        top = max(max(*each.fractions, *(each.reference or [0.0])) for each in drawn.values())
        for stage, histogram in drawn.items():
            content = gate_histogram(histogram, f"{norm}, {stage}", colour, note, top)
            count = gates_by_norm(group)[norm][stage].count
            caption = f"Gates of {norm}, {stage}: {count:,} in {_runs(group)}"
            pictures.append(Picture(file_name("gates", f"{norm} {stage}", ".svg", pictures), caption, content))
    return pictures


def histogram_panels(runs: Sequence[RunResult], output: Output) -> list[Picture]:
    """For print: the same histograms, for each norm in one figure."""
    pictures: list[Picture] = []
    for norm, colour, group in _groups(runs):
        drawn = _histograms(gates_by_norm(group)[norm])
        content = gate_histograms(list(drawn.values()), colour, output)
        caption = f"Share of channels by gate after training, {norm}, {_runs(group)}"
        if any(histogram.reference for histogram in drawn.values()):
            caption += f"; outlines: the paper's {GATES.network}, read off its figure within {GATES.tolerance}"
        file = file_name("gates", norm, f".{output.format}", pictures)
        pictures.append(Picture(file, caption, content))
    return pictures


def layers(runs: Sequence[RunResult], note: str | None, output: Output = SCREEN) -> list[Picture]:
    """The mean gate of each layer, in the order of the network."""
    pictures: list[Picture] = []
    for norm, _, group in _groups(runs):
        means = gate_statistics.layer_means(run.gate_layers for run in group)
        colours = stage_colours(list(dict.fromkeys(layer.stage for layer in means)))
        content = layer_means(
            f"{norm}, mean gate by layer", [(layer.stage, layer.means) for layer in means], colours, note, output
        )
        caption = f"Mean gate of {norm} in each norm layer{_spread(group)}"
        file = file_name("gates by layer", norm, f".{output.format}", pictures)
        pictures.append(Picture(file, caption, content))
    return pictures


def curves(runs: Sequence[RunResult], note: str | None, output: Output = SCREEN) -> list[Picture]:
    """The mean gate of each stage by epoch."""
    pictures: list[Picture] = []
    for norm, _, group in _groups(runs):
        means = [
            {
                stage: {epoch: each.mean for epoch, each in epochs.items()}
                for stage, epochs in _development([run]).items()
            }
            for run in group
        ]
        stages = list(dict.fromkeys(stage for run in means for stage in run if stage != TOTAL)) or [TOTAL]
        lines = [
            figures.Line(stage, colour, by_epoch([run.get(stage, {}) for run in means]))
            for stage, colour in stage_colours(stages).items()
        ]
        content = figures.gate_curves(f"{norm}, mean gate by stage", lines, note, output)
        caption = f"Gates of {norm} over training, mean of each stage{_spread(group)}"
        file = file_name("gates over training", norm, f".{output.format}", pictures)
        pictures.append(Picture(file, caption, content))
    return pictures


def strips(runs: Sequence[RunResult], note: str | None, output: Output = SCREEN) -> list[Picture]:
    """The histograms by epoch, of all gates and of each stage."""
    pictures: list[Picture] = []
    for norm, colour, group in _groups(runs):
        drawn = [
            Strip(stage, {epoch: each.fractions for epoch, each in epochs.items()})
            for stage, epochs in _development(group).items()
        ]
        content = gate_development(f"{norm}, gates in ten bins", drawn, colour, note, output)
        caption = f"Gates of {norm} over training, share of channels in each of ten bins, {_runs(group)} together"
        file = file_name("gate shares over training", norm, f".{output.format}", pictures)
        pictures.append(Picture(file, caption, content))
    return pictures


def _development(runs: Sequence[RunResult]) -> dict[str, dict[int, Shares]]:
    return gate_statistics.development([point for run in runs for point in run.gate_history])


def _groups(runs: Sequence[RunResult]) -> Iterator[tuple[str, str, list[RunResult]]]:
    """Each norm with learned gates, its colour and its runs."""
    for norm, colour in norm_colours(tables.norms_of(runs)).items():
        group = [run for run in tables.finished(runs, norm) if run.gate_layers and run.gate_history]
        if group:
            yield norm, colour, group


def _histograms(groups: dict[str, Shares]) -> dict[str, Histogram]:
    published = gate_statistics.references(groups)
    return {
        stage: Histogram(
            stage,
            group.fractions,
            published[stage].shares.fractions if stage in published else None,
            f"paper: {GATES.network}, {published[stage].label}" if stage in published else "",
        )
        for stage, group in groups.items()
    }


def _runs(group: Sequence[RunResult]) -> str:
    return f"{len(group)} run{'s' * (len(group) > 1)}"


def _spread(group: Sequence[RunResult]) -> str:
    return f": mean ± std of {len(group)} runs" if len(group) > 1 else ", one run"
