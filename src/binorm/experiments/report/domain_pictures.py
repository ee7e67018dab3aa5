"""Which figures of a domain report are drawn from which runs: confusions, maps of features, and gates."""

from collections.abc import Iterator, Mapping, Sequence

from binorm.experiments.report import figures, tables
from binorm.experiments.report.domain_confusion_figures import NUMBERED, confusion_figure
from binorm.experiments.report.domain_confusions import Confusions, largest_changes, pair_of
from binorm.experiments.report.domain_feature_figures import MapRow, feature_figure
from binorm.experiments.report.domain_features import FeatureMap, feature_map, read_features
from binorm.experiments.report.domain_gate_figures import Bars, share_bars
from binorm.experiments.report.domain_gates import ALL_DOMAINS, GateComparison, GateGroup
from binorm.experiments.report.domain_runs import (
    BASELINES,
    MIXED,
    DomainRun,
    Task,
    kind_of,
    main_runs,
    methods_of,
)
from binorm.experiments.report.figure_style import SCREEN, Output, norm_colours, stage_colours
from binorm.experiments.report.gate_figures import Histogram, gate_histogram, gate_histograms
from binorm.experiments.report.pictures import Picture, file_name
from binorm.experiments.report.run_folder import RunResult

DRAWN_TASKS = 3  # each takes some seconds to lay out


def confusion_pictures(
    found: Sequence[Confusions], note: str | None, output: Output = SCREEN
) -> list[Picture]:
    """One figure a method: a row for each domain, batch norm beside BIN and their difference."""
    pictures: list[Picture] = []
    for method in dict.fromkeys(each.method for each in found):
        rows = [each for each in found if each.method == method]
        norms = pair_of(list(dict.fromkeys(norm for each in rows for norm in each.counts)))
        title = f"{method}, what is taken for what" if method else "What is taken for what"
        content = confusion_figure(title, rows, norms, note, output)
        caption = f"{method + ': of' if method else 'Of'} each true class, the percentage taken for each class"
        if len(norms) == 2:
            caption += f"; {norms[0]}, {norms[1]}, and {norms[1]} − {norms[0]} in percentage points{_changes(rows, norms)}"
        file = file_name("confusions", method, f".{output.format}", pictures)
        pictures.append(Picture(file, caption, content))
    return pictures


def _changes(rows: Sequence[Confusions], norms: Sequence[str]) -> str:
    """Where numbers do not fit into the cells, the classes that change most."""
    texts = [
        f"{row.domain}: {changes}"
        for row in rows
        if len(row.classes) > NUMBERED and row.counts.keys() >= set(norms) and (changes := largest_changes(row, *norms))
    ]
    return f". Recognized more and less often by most points: {'; '.join(texts)}" if texts else ""


class _Maps:
    """Maps of runs' features, each laid out once however many figures show it."""

    def __init__(self, runs: Sequence[DomainRun]) -> None:
        self.runs = main_runs(runs)
        self._laid_out: dict[tuple[str, str, str], FeatureMap | None] = {}

    def norms(self, task: str) -> tuple[str, ...]:
        """The two norms that are shown of a task."""
        return pair_of(tables.norms_of(each.run for each in self.runs if each.task == task))

    def of(self, method: str, task: str, norm: str) -> tuple[int, FeatureMap] | None:
        """The seed and the map of the first run that has kept its features."""
        wanted = (method, task, norm)
        for each in self.runs:
            if isinstance(each.run, RunResult) and (each.method, each.task, each.run.norm) == wanted:
                key = each.run.folder
                
        return None
