"""``binorm report``."""

from pathlib import Path

from jsonargparse import SUPPRESS, ArgumentParser, Namespace

from binorm.experiments.commands.command import Command
from binorm.experiments.common.console import CONSOLE, plain
from binorm.experiments.common.errors import UserError

KEPT = "runs"  # where a folder that is given on keeps its runs, beside its report


def _run(options: Namespace, command: str) -> int:
    from binorm.experiments.report import write_report
    from binorm.experiments.report.parts.overview import write_overview

    folders = [Path(each) for each in options.folders]
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"there is no folder {folder}: expected one of a recipe's runs, such as runs/digits")
    for folder in folders:
        runs = folder / KEPT if (folder / KEPT).is_dir() else folder
        if runs != folder or not (folder / "report.json").exists() or any(folder.glob("**/seed*")):
            report = write_report(runs, to=folder)
            CONSOLE.print(plain(f"report: {report.html}"))
    if "overview" in options:
        written = write_overview(folders, Path(options.overview))
        CONSOLE.print(written.terminal, soft_wrap=False)
        CONSOLE.print(plain(f"overview: {written.html}"))
    return 0


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
