"""``binorm evaluate``."""

import dataclasses
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace
from rich import box
from rich.table import Table

from binorm.experiments.commands.command import Command, add_data, data_path
from binorm.experiments.common.console import CONSOLE, plain
from binorm.experiments.common.text import printable
from binorm.experiments.recipes.titles import title_of


def _run(options: Namespace, command: str) -> int:
    from binorm.experiments.analysis.evaluate import evaluate

    evaluation = evaluate(Path(options.checkpoint), data_path(options))
    trained = evaluation.trained
    what = plain(title_of(dataclasses.asdict(trained.recipe)))
    title = f"{what}: {trained.norm}, seed {trained.seed} ({evaluation.precision})"
    table = Table(title=title, box=box.SIMPLE_HEAD)
    for heading in ("evaluation set", "pictures", "top-1 %", "loss"):
        table.add_column(heading, justify="left" if heading == "evaluation set" else "right")
    for score in evaluation.scores:
        table.add_row(plain(printable(score.name)), f"{score.images:,}", f"{score.top1:.2f}", f"{score.loss:.4f}")
    CONSOLE.print(table, soft_wrap=False)
    if evaluation.other_data:
        CONSOLE.print(f"[yellow]warning:[/] it was trained and tested on other data ({plain(evaluation.other_data)})")
    return 0


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=str, help="a run's folder or its model.safetensors")
    add_data(parser)


COMMAND = Command(
    "evaluate",
    "accuracy of a trained network on its evaluation sets",
    "binorm evaluate runs/digits/bin/seed0",
    _add_arguments,
    _run,
)
