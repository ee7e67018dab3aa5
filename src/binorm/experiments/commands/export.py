"""``binorm export``."""

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from binorm.experiments.commands.command import Command
from binorm.experiments.common.console import CONSOLE, plain
from binorm.experiments.common.errors import UserError


def _run(options: Namespace, command: str) -> int:
    from binorm.experiments.style.export import export_onnx
    from binorm.experiments.style.style_file import load_style

    path = Path(options.out)
    if path.suffix != ".onnx":
        raise UserError(f"--out should be a file that ends in .onnx (got {path})")
    network, card = load_style(_style(options.style))
    if options.gate:
        from binorm.experiments.style.network import shift_gates

        network = shift_gates(network, options.gate)
    export_onnx(network, path, card)
    CONSOLE.print(plain(f"written: {path}; ONNX Runtime computes the same from it"))
    return 0


def _style(style: str) -> str:
    """The style as given, unless it is a network that is not exported."""
    from binorm.experiments.common.run_files import WEIGHTS_FILE

    path = Path(style)
    if path.name == WEIGHTS_FILE or (path / WEIGHTS_FILE).exists():
        raise UserError(f"{style} is a classifier: styles alone are exported, networks of 'binorm train style'")
    return style


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("style", type=str, help="a style's name, its .safetensors, or its run's folder; no classifier")
    parser.add_argument("--out", type=str, required=True, metavar="FILE.onnx", help="the file to write")
    parser.add_argument(
        "--gate",
        type=float,
        default=0.0,
        metavar="SHIFT",
        help="move all gates: -1 to instance norm, 1 to batch norm, 0 for as trained",
    )


COMMAND = Command(
    "export",
    "a style as an ONNX file, for pictures of any size",
    "binorm export starry-night --out starry-night.onnx",
    _add_arguments,
    _run,
)
