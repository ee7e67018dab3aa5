"""``binorm gates``."""

from pathlib import Path
from typing import Literal

from jsonargparse import SUPPRESS, ArgumentParser, Namespace

from binorm.experiments.commands.command import Command, add_data, data_path
from binorm.experiments.common.console import CONSOLE, plain
from binorm.experiments.common.errors import UserError


def _run(options: Namespace, command: str) -> int:
    from binorm.experiments.report.gates import gate_tables

    checkpoint = Path(options.checkpoint)
    file_format = options.format if "format" in options else None
    if file_format and not (options.responses or "figures" in options):
        raise UserError("--format is that of --figures or --responses: give one of them")
    for table in gate_tables(checkpoint):
        CONSOLE.print(table, soft_wrap=False)
    written = []
    if "figures" in options:
        from binorm.experiments.report.publication import write_gate_figures

        written += write_gate_figures(checkpoint, Path(options.figures), file_format or "pdf")
    if options.responses:
        written += _responses(checkpoint, data_path(options), file_format or "png")
    for path in written:
        CONSOLE.print(plain(f"written: {path}"))
    return 0


def _responses(run: Path, data: Path | None, file_format: str) -> list[Path]:
    from binorm.experiments.report.responses import write_responses
    from binorm.experiments.runs.checkpoint import load_network
    from binorm.experiments.training.protocols import Loader

    if not run.is_dir():
        raise UserError(f"--responses needs the folder of a run (got {run})")
    recipe = load_network(run)[1].recipe
    dataset = Loader(data).dataset(recipe)
    return write_responses(run, dataset, run / "responses", file_format)


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=str, help="a run's folder, a .safetensors, or a saved state_dict()")
    parser.add_argument(
        "--figures", type=str, default=SUPPRESS, metavar="DIR", help="write figures for print there (of a run's folder)"
    )
    parser.add_argument(
        "--responses",
        action="store_true",
        help="draw what the channels with the lowest gates see, into the run's folder",
    )
    parser.add_argument("--format", type=Literal["pdf", "svg", "png"], default=SUPPRESS, help="of these files")
    add_data(parser)


COMMAND = Command(
    "gates", "where the gates of a network stand", "binorm gates runs/digits/bin/seed0", _add_arguments, _run
)
