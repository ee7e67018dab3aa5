"""Writes every report under results/ anew from the runs that lie beside it, and BIN against BN over all of them.

Run: make results, or python tools/results.py [--results results]

A folder of results/ keeps its runs in runs/, as far as they were kept, without weights; its report is written from them
alone. A report whose runs were not kept stays as it is. figures/forest.svg and the table in results/README.md, between
its two comments, are made of all reports.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from binorm.experiments.commands.recipe_options import natural_key
from binorm.experiments.common.files import write_text_atomically
from binorm.experiments.report import write_report
from binorm.experiments.report.paper import write_table
from binorm.experiments.report.parts.overview import write_overview
from binorm.experiments.report.scores import finished
from binorm.experiments.runs.reading import read_runs

START, END = "<!-- The following is written by: make results -->", "<!-- Until here. -->"
# Of several recipes: a folder, and those that have as many seeds as the others.
TABLES = {"characters": [f"{data}-resnet{depth}" for data in ("icdar2003", "chars74k") for depth in (8, 14, 20)]}
HTML = ("report.html", "table.html", "overview.html")  # too large to keep, and Markdown says the same


def main() -> int:
    """Write them all, and say what there is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("results"))
    results = parser.parse_args().results
    folders = reports(results)
    for folder in folders:
        print(f"{folder.name}: {rebuild(folder)}", flush=True)
    for name, recipes in TABLES.items():
        write_recipes_table([results / recipe for recipe in recipes], results / name)
    write_overview(folders, results)
    splice(results / "README.md", overview_text(results))
    for name in HTML:
        for path in (*results.glob(f"*/{name}"), *results.glob(name)):
            path.unlink()
    return 0


def reports(results: Path) -> list[Path]:
    """The folders of comparisons."""
    found = sorted(results.iterdir(), key=lambda path: natural_key(path.name))
    return [path for path in found if (path / "report.json").exists() or (path / "runs").is_dir()]


def rebuild(folder: Path) -> str:
    """Write a folder's report from its runs; what there is, in words."""
    if not (folder / "runs").is_dir():
        return "its runs were not kept, the report stays as it is"
    for figure in (folder / "figures").glob("*.svg"):
        figure.unlink()
    write_report(folder / "runs", to=folder)
    runs = read_runs(folder / "runs")
    return f"{len(finished(runs))} of {len(runs)} runs"


def write_recipes_table(folders: Sequence[Path], to: Path) -> None:
    """Write the table of recipes whose runs are kept."""
    with tempfile.TemporaryDirectory() as place:
        links = [Path(place) / folder.name for folder in folders]
        for link, folder in zip(links, folders, strict=True):
            link.symlink_to((folder / "runs").resolve())
        write_table(links, to)


def overview_text(results: Path) -> str:
    """Figure, table and sentences of overview.md, below its title and summary."""
    text = (results / "overview.md").read_text(encoding="utf-8")
    return text[text.index("<img") :].strip().replace("### ", "**").replace("\n\n| ", "**\n\n| ")


def splice(readme: Path, text: str) -> None:
    """Put ``text`` between the two comments.

    Raises:
        ValueError: where they are not there.
    """
    before, _, rest = readme.read_text(encoding="utf-8").partition(START)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"{readme} should hold {START!r} and below it {END!r}")
    write_text_atomically(readme, f"{before}{START}\n\n{text}\n\n{END}{after}")


if __name__ == "__main__":
    sys.exit(main())
