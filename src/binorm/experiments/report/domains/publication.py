"""The figures of a domain report for print."""

from pathlib import Path

from binorm.experiments.report import tables
from binorm.experiments.report.domains import gate_pictures
from binorm.experiments.report.domains.confusions import confusions
from binorm.experiments.report.domains.gates import gate_comparisons
from binorm.experiments.report.domains.pictures import confusion_pictures, feature_pictures
from binorm.experiments.report.figures.theme import Output
from binorm.experiments.report.pictures import Picture, learning_curves
from binorm.experiments.runs.domains import MIXED, kind_of, main_runs, read_domain_runs, tasks_of
from binorm.experiments.runs.reading import RunResult


def domain_figures(folder: Path, output: Output) -> tuple[list[Picture], list[RunResult]]:
    """What is taken for what, maps of features, gates, and in mixed training learning curves, with the finished runs.

    Raises:
        UserError: as `binorm.experiments.report.domains.page.write_domain_report` does.
    """
    runs = read_domain_runs(folder)
    tasks, gates = tasks_of(runs), gate_comparisons(runs)
    curved = tables.finished(each.run for each in main_runs(runs)) if kind_of(runs) == MIXED else []
    pictures = [
        *learning_curves(curved, None, output),
        *confusion_pictures(confusions(runs, tasks), None, output),
        *feature_pictures(runs, tasks, None, output),
        *gate_pictures.depths_and_shares(gates, None, output),
        *gate_pictures.histogram_panels(gates, output),
    ]
    return pictures, tables.finished(each.run for each in runs)
