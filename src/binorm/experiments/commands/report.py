"""``binorm report``."""

from pathlib import Path

from jsonargparse import SUPPRESS, ArgumentParser, Namespace

from binorm.experiments.commands.command import Command
from binorm.experiments.common.console import CONSOLE, plain
from binorm.experiments.common.errors import UserError
from binorm.experiments.common.text import listed

REPORT = "report.json"
KEPT = "runs"  # where a folder that is given on keeps its runs, beside its report


def _run(options: Namespace, command: str) -> int:
    from binorm.experiments.report import write_report
    from binorm.experiments.report.parts.overview import write_overview

    given = [Path(each) for each in options.folders]
    for path in given:
        if not path.exists():
            raise UserError(f"there is no {path}: expected a folder of a recipe's runs, such as runs/digits")
    folders = [folder for path in given for folder in _reported_on(path)]
    reported = [path for path in given if path not in folders and (path / REPORT).exists()]
    if not folders and not reported:
        raise UserError(f"there are no runs in {listed(map(str, given))}: expected <norm>/seed<k>/ there, or in runs/")
    for folder in folders:
        report = write_report(folder / KEPT if (folder / KEPT).is_dir() else folder, to=folder)
        CONSOLE.print(plain(f"report: {report.html}"))
    if "overview" in options:
        written = write_overview([path for path in given if (path / REPORT).exists()], Path(options.overview))
        CONSOLE.print(written.terminal, soft_wrap=False)
        CONSOLE.print(plain(f"overview: {written.html}"))
    return 0


def _reported_on(path: Path) -> list[Path]:
    """A recipe's folder, or those of the styles in it; none of tables, figures and what else ``runs/*`` names."""
    return [path] if _has_runs(path) else [each for each in sorted(path.glob("*")) if _has_runs(each)]


def _has_runs(folder: Path) -> bool:
    from binorm.experiments.runs.reading import find_all_runs

    return folder.is_dir() and bool(find_all_runs(folder / KEPT if (folder / KEPT).is_dir() else folder))


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "folders",
        metavar="FOLDER",
        nargs="+",
        type=str,
        help="of a recipe's runs, such as runs/digits; or one that keeps them in FOLDER/runs",
    )
    parser.add_argument(
        "--overview",
        type=str,
        default=SUPPRESS,
        metavar="DIR",
        help="write there BIN against BN in all of them, as a figure and a table",
    )


COMMAND = Command(
    "report",
    "write the reports of trained runs anew, and one over all of them",
    "binorm report runs/* --overview runs",
    _add_arguments,
    _run,
)
