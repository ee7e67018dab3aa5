"""The pictures of a report: which figures are drawn from which runs, and the samples."""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from binorm.experiments import figures, tables
from binorm.experiments.errors import UserError
from binorm.experiments.run_folder import RunResult

GATE_BINS = 10
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Picture:
    """A figure or a sheet of samples: the name of its file, what it shows, and the file's content."""

    file: str
    caption: str
    content: bytes

    @property
    def inline(self) -> Markup:
        """What stands for the picture in the page: SVG as it is, whose text is escaped, or a data URI."""
        if self.file.endswith(".svg"):
            return Markup(self.content.decode())  # noqa: S704 - drawn here
        uri = f"data:image/png;base64,{base64.b64encode(self.content).decode()}"
        return Markup('<img src="{}" alt="{}">').format(uri, self.caption)


def learning_curves(runs: Sequence[RunResult], note: str | None) -> list[Picture]:
    """One figure for each evaluation set and one for the training pictures."""
    colours = figures.norm_colours(tables.norms_of(runs))
    pictures: list[Picture] = []
    for data in (*tables.evaluation_sets(runs), "train"):
        lines = []
        for norm, colour in colours.items():
            group = [run for run in tables.finished(runs, norm) if data in (*run.evaluation_sets, "train")]
            if group:
                curves = [dict(enumerate(run.accuracies(data), start=1)) for run in group]
                lines.append(figures.Line(norm, colour, _by_epoch(curves)))
        if lines:
            title = "training pictures" if data == "train" else data
            svg = figures.learning_curves(title, lines, note)
            file = _file_name("learning curves", data, ".svg", pictures)
            pictures.append(Picture(file, f"Top-1 accuracy by epoch: {title}", svg.encode()))
    return pictures


def gate_histograms(runs: Sequence[RunResult], note: str | None) -> list[Picture]:
    """For each norm with learned gates, one figure of all of them and one for each stage, on one scale."""
    pictures: list[Picture] = []
    for norm, colour in figures.norm_colours(tables.norms_of(runs)).items():
        group = [run for run in tables.finished(runs, norm) if run.gate_layers]
        shares = {stage: _shares(gates) for stage, gates in _gates_by_stage(group).items()}
        for stage, (count, fractions) in shares.items():
            top = max(max(each) for _, each in shares.values())
            svg = figures.gate_histogram(f"{norm}, {stage}", fractions, colour, note, top)
            caption = f"Gates of {norm}, {stage}: {count:,} in {len(group)} run{'s' * (len(group) > 1)}"
            pictures.append(Picture(_file_name("gates", f"{norm} {stage}", ".svg", pictures), caption, svg.encode()))
    return pictures


def gate_curves(runs: Sequence[RunResult], note: str | None) -> list[Picture]:
    """For each norm with learned gates, their mean in each stage by epoch."""
    pictures: list[Picture] = []
    for norm in tables.norms_of(runs):
        group = [run for run in tables.finished(runs, norm) if run.gate_history]
        stages = dict.fromkeys(_stage(point.name) for run in group for point in run.gate_history)
        if stages:
            lines = [
                figures.Line(stage, colour, _by_epoch([_stage_means(run, stage) for run in group]))
                for stage, colour in figures.stage_colours(list(stages)).items()
            ]
            svg = figures.gate_curves(f"{norm}, mean gate by stage", lines, note)
            caption = f"Gates of {norm} over training, mean of each stage"
            pictures.append(Picture(_file_name("gates over training", norm, ".svg", pictures), caption, svg.encode()))
    return pictures


def samples(runs: Sequence[RunResult]) -> list[Picture]:
    """Samples of the training pictures and of each evaluation set, from the first run that has them.

    Raises:
        UserError: where a file is no PNG.
    """
    pictures: list[Picture] = []
    for data in ("train", *tables.evaluation_sets(runs)):
        path = next((run.samples[data] for run in runs if data in run.samples), None)
        if path is not None:
            content = path.read_bytes()
            if not content.startswith(_PNG):
                raise UserError(f"{path} is not a PNG picture. Delete it: the report does without.")
            pictures.append(Picture(_file_name("samples", data, ".png", pictures), f"Samples: {data}", content))
    return pictures


def _by_epoch(curves: Sequence[Mapping[int, float]]) -> dict[int, list[float]]:
    """Regroup one curve a run into the values of all runs at each epoch; shorter runs end earlier."""
    epochs = sorted({epoch for curve in curves for epoch in curve})
    return {epoch: [curve[epoch] for curve in curves if epoch in curve] for epoch in epochs}


def _gates_by_stage(runs: Sequence[RunResult]) -> dict[str, list[float]]:
    """All trained gates of the runs under ``"total"``, then those of each stage."""
    gates: dict[str, list[float]] = {}
    for layer in (layer for run in runs for layer in run.gate_layers):
        gates.setdefault("total", []).extend(layer.gates)
        gates.setdefault(_stage(layer.name), []).extend(layer.gates)
    return gates


def _shares(gates: Sequence[float]) -> tuple[int, list[float]]:
    """How many gates there are, and the share of them in each bin; the last bin holds its right edge."""
    counts = [0] * GATE_BINS
    for gate in gates:
        counts[min(int(gate * GATE_BINS), GATE_BINS - 1)] += 1
    return len(gates), [count / len(gates) for count in counts]


def _stage(layer: str) -> str:
    """``"stage1.0.norm1"`` -> ``"stage1"``; layers at the top, such as ``"norm"``, make up the stem."""
    return layer.split(".")[0] if "." in layer else "stem"


def _stage_means(run: RunResult, stage: str) -> dict[int, float]:
    """The mean over all gates of a stage by epoch: layers count by their channels."""
    points = [point for point in run.gate_history if _stage(point.name) == stage]
    sums: dict[int, tuple[float, int]] = {}
    for point in points:
        total, channels = sums.get(point.epoch, (0.0, 0))
        sums[point.epoch] = total + point.mean * point.channels, channels + point.channels
    return {epoch: total / channels for epoch, (total, channels) in sums.items() if channels}


def _file_name(kind: str, name: str, ending: str, earlier: Sequence[Picture]) -> str:
    """A name in lower case, digits and hyphens that no earlier picture has, whatever the data set is called."""
    slug = re.sub(r"[^a-z0-9]+", "-", f"{kind} {name}".lower()).strip("-")
    taken = {picture.file for picture in earlier}
    names = (f"{slug}{suffix}{ending}" for suffix in ("", *(f"-{place}" for place in range(2, len(taken) + 3))))
    return next(each for each in names if each not in taken)
