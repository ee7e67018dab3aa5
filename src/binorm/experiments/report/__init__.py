"""From run folders to what people read: tables, figures, the report of one recipe, the table of several.

A kind of training is found by the module of its name, which offers ``read_page(folder, classifier)``, and
``print_figures(folder, output)`` where it has figures for print; `binorm.experiments.recipes.KINDS` says which task is
of which kind.
"""

from importlib import import_module
from pathlib import Path
from types import ModuleType

from binorm.experiments.recipes import KINDS
from binorm.experiments.report.written import Written, write_page
from binorm.experiments.runs.reading import task_of


def write_report(folder: Path, classifier: Path | None = None, to: Path | None = None) -> Written:
    """Report on the runs in ``folder``: ``report.html``, ``report.md``, ``report.json`` and ``figures/``.

    Of a finished run nothing but its ``config.yaml``, ``run.json``, ``metrics.csv`` and, as far as it has them,
    ``gates.json`` and ``confusion.json`` is needed; figures of what is not there are left out.

    Args:
        folder: ``runs/<recipe>``, with runs in ``<norm>/seed<k>/``, of several domains below method and task; or
            ``runs/style/<style>``.
        to: where the report goes; None for ``folder`` itself.
        classifier: of styles, the folder of a run with learned gates, which then stand beside those of the styles.

    Raises:
        UserError: there are no runs, a file of a finished run is missing or damaged, or the report cannot be written.
    """
    return write_page(kind_module(folder).read_page(folder, classifier), to or folder)


def kind_module(folder: Path) -> ModuleType:
    """The module of the kind of training whose runs lie in ``folder``; classification where nothing says so."""
    kind = KINDS.get(task_of(folder) or "", "classification")
    return import_module(f"binorm.experiments.report.{kind}")
