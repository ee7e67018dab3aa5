"""Figures for a publication: of one run's gates, or of a whole comparison."""

from collections.abc import Sequence
from pathlib import Path

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.files import write_bytes_atomically, write_text_atomically
from binorm.experiments.common.text import printable
from binorm.experiments.report import kind_module
from binorm.experiments.report.classification import gate_figures
from binorm.experiments.report.figures.theme import for_print
from binorm.experiments.report.notes import run_title, schedule_label
from binorm.experiments.report.page import Figure
from binorm.experiments.runs.reading import FinishedRun, find_all_runs, find_runs, read_run

CAPTIONS_FILE = "captions.txt"


def write_figures(folder: Path, out: Path, file_format: str = "pdf") -> list[Path]:
    """Draw a comparison for print: learning curves, and gates as `write_gate_figures` does, over all runs.

    Of several domains also what is taken for what, maps of features, and gates beside those of the baseline.

    Figures are one column wide (3.35 inches), or two where their parts are many (6.9 inches), in 8 point letters that a
    PDF or SVG carries with it, on white, without titles or dates: equal runs give equal files. What a title would say
    stands in ``captions.txt`` beside them.

    Args:
        folder: ``runs/<recipe>``, with its runs in ``<norm>/seed<k>/``, of several domains below method and task.
        out: where the files go; made where it is not there.
        file_format: pdf, svg or png.

    Returns:
        The figures' files.

    Raises:
        UserError: for another format, for a folder without finished runs, and for damaged files.
    """
    output = for_print(file_format)
    figures, runs = kind_module(folder).print_figures(folder, output) if find_all_runs(folder) else ([], [])
    if not runs:
        raise UserError(f"there are no finished runs in {folder}: expected <norm>/seed<k>/ there")
    return _write(figures, runs, out)


def write_gate_figures(run_folder: Path, out: Path, file_format: str = "pdf") -> list[Path]:
    """Draw the gates of one run for print: histograms beside the paper's, their development, means by layer and stage.

    Args:
        run_folder: ``runs/<recipe>/<norm>/seed<k>``.
        out: as in `write_figures`, as is ``file_format``.
        file_format: see there.

    Returns:
        The figures' files.

    Raises:
        UserError: for another format, and for anything but the folder of a finished run with learned gates.
    """
    output = for_print(file_format)
    if run_folder.resolve() not in find_runs(run_folder.resolve().parent.parent):
        raise UserError(f"{run_folder} is not the folder of a run: expected <recipe>/<norm>/seed<k>")
    run = read_run(run_folder.resolve())
    if not isinstance(run, FinishedRun):
        raise UserError(f"{run_folder} has no figures yet: the run is {run.status} ({run.reason})")
    if not run.gate_layers:
        raise UserError(f"{run_folder} has no learned gates: it was trained with {run.norm}")
    return _write(gate_figures([run], output), [run], out)


def _write(figures: Sequence[Figure], runs: Sequence[FinishedRun], out: Path) -> list[Path]:
    paths = [out / figure.file for figure in figures]
    for path, figure in zip(paths, figures, strict=True):
        write_bytes_atomically(path, figure.content)
    title = run_title(runs[0], runs[0].folder.parent.parent.name)
    schedule = schedule_label(runs)
    about = f"{title}, {schedule}" if schedule else title
    captions = "".join(f"{figure.file}: {figure.caption}. {about}.\n" for figure in figures)
    write_text_atomically(out / CAPTIONS_FILE, printable(captions, "\n"))
    return paths
