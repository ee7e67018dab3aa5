"""``binorm serve``."""

import gc
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from binorm.experiments.commands.command import Command
from binorm.experiments.common.console import CONSOLE, ERRORS, plain
from binorm.experiments.common.errors import UserError


def _run(options: Namespace, command: str) -> int:
    from binorm.demo.limits import Limits
    from binorm.demo.server import Settings, serve
    from binorm.experiments.style.style_file import style_names, style_path

    limits = Limits(megapixels=options.max_megapixels, megabytes=options.max_megabytes)
    styles = {name: style_path(name) for name in style_names()}
    settings = Settings(Path(options.runs), styles, options.host, options.port, limits)
    CONSOLE.print("starting the page ...")
    if not settings.is_loopback:
        ERRORS.print(
            f"[yellow]warning:[/] anyone who reaches this machine as {plain(options.host)} can use the page, and see "
            f"the reports below {plain(options.runs)}; without --host, only this machine can"
        )

    def started(address: str) -> None:
        CONSOLE.print(f"open [bold]{plain(address)}[/] in a browser; Ctrl-C stops it")

    try:
        serve(settings, started)
    except ModuleNotFoundError as error:
        if error.name not in ("gradio", "fastapi", "uvicorn"):
            raise
        raise UserError(f"'binorm serve' needs {error.name}: pip install 'binorm[demo]'") from error
    CONSOLE.print("stopped; uploads and results are deleted")
    gc.freeze()  # else Python spends seconds on looking through all that it is about to drop
    return 0


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--host", type=str, default="127.0.0.1", help="an address of this machine")
    parser.add_argument("--port", type=int, default=7860, help="0 for any that is free")
    parser.add_argument("--runs", type=str, default="runs", metavar="DIR", help="folder of all runs")
    parser.add_argument("--max-megapixels", type=float, default=12.0, metavar="N", help="of a picture")
    parser.add_argument("--max-megabytes", type=float, default=20.0, metavar="N", help="of an uploaded file")


COMMAND = Command(
    "serve", "open styles, gates and reports in a browser", "binorm serve --runs runs", _add_arguments, _run
)
