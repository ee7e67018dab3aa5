"""Figures for a publication: of one run's gates, or of a whole comparison."""

from collections.abc import Sequence
from pathlib import Path

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.files import write_bytes_atomically, write_text_atomically
from binorm.experiments.report import gate_pictures, tables
from binorm.experiments.report.figures.theme import Output, for_print
from binorm.experiments.report.pictures import Picture, learning_curves
from binorm.experiments.runs.domains import is_domain_folder
from binorm.experiments.runs.reading import RunResult, find_runs, read_run

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
    if is_domain_folder(folder):
        # Maps of features need scikit-learn, which nothing else here waits for.
        from binorm.experiments.report.domains.publication import domain_figures

        pictures, runs = domain_figures(folder, output)
    else:
        runs = tables.finished([read_run(path) for path in find_runs(folder)])
        pictures = [*learning_curves(runs, None, output), *_gates(runs, output)]
    if not runs:
        raise UserError(f"there are no finished runs in {folder}: expected <norm>/seed<k>/ there")
    return _write(pictures, runs, out)


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
    if not isinstance(run, RunResult):
        raise UserError(f"{run_folder} has no figures yet: the run is {run.status} ({run.reason})")
    if not run.gate_layers:
        raise UserError(f"{run_folder} has no learned gates: it was trained with {run.norm}")
    return _write(_gates([run], output), [run], out)


def _gates(runs: Sequence[RunResult], output: Output) -> list[Picture]:
    return [
        *gate_pictures.histogram_panels(runs, output),
        *gate_pictures.layers(runs, None, output),
        *gate_pictures.curves(runs, None, output),
        *gate_pictures.strips(runs, None, output),
    ]


def _write(pictures: Sequence[Picture], runs: Sequence[RunResult], out: Path) -> list[Path]:
    paths = [out / picture.file for picture in pictures]
    for path, picture in zip(paths, pictures, strict=True):
        write_bytes_atomically(path, picture.content)
    title = str(runs[0].config.get("title", runs[0].folder.parent.parent.name))
    schedule = tables.schedule_label(runs)
    about = f"{title}, {schedule}" if schedule else title
    captions = "".join(f"{picture.file}: {picture.caption}. {about}.\n" for picture in pictures)
    write_text_atomically(out / CAPTIONS_FILE, captions)
    return paths
