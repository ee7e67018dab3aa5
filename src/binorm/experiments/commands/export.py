"""``binorm export``."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jsonargparse import SUPPRESS, ActionYesNo, ArgumentParser, Namespace

from binorm.experiments.commands.command import Command, add_model, chosen_classifier
from binorm.experiments.common.console import CONSOLE, ERRORS, one_line, plain
from binorm.experiments.common.errors import UserError, nearest

if TYPE_CHECKING:
    from binorm.experiments.classifiers.classifier import Classifier

SUFFIXES = {"onnx": ".onnx", "torch-export": ".pt2", "hub": ""}
OF_STYLES, OF_INT8 = ("gate",), ("images", "least_agreement")
OF_CLASSIFIERS = ("normalize", "fold", "int8", "classes", *OF_INT8)


def _run(options: Namespace, command: str) -> int:
    from binorm.experiments.common.files import require_writable

    path = Path(options.out)
    style = _is_style(options)
    file_format = options.format if "format" in options else _format_of(path)
    expected = SUFFIXES[file_format]
    if path.suffix != expected and expected:
        raise UserError(f"--out should be a file that ends in {expected} for --format {file_format} (got {path})")
    _check_options(options, style, file_format)
    require_writable(path.parent)
    if style:
        return _export_style(options, path)
    classifier = chosen_classifier(options)
    if "int8" in options:
        return _export_int8(options, classifier, path)
    if file_format == "hub":
        return _export_hub(classifier, path)
    return _export_program(options, classifier, path, file_format)


def _is_style(options: Namespace) -> bool:
    """Whether what is to be exported is the network of a style."""
    from binorm.experiments.common.run_files import STYLE_FILE
    from binorm.experiments.common.tensors import read_safetensors
    from binorm.experiments.models.weights import PACKAGED
    from binorm.experiments.style.style_file import style_names

    given, path = options.classifier, Path(options.classifier)
    if options.model or given in PACKAGED:
        return False
    if (path / STYLE_FILE).exists():
        return True
    if not path.exists() or given in style_names():
        return nearest(given, dict.fromkeys(style_names())) != "."  # a style's name, or one misspelled
    if path.is_file() and path.suffix == ".safetensors":
        return "binorm-style" in read_safetensors(path)[1]
    return False


def _format_of(path: Path) -> str:
    """The format that a file's ending stands for."""
    for name, suffix in SUFFIXES.items():
        if suffix and path.suffix == suffix:
            return name
    raise UserError(
        f"--out should be a file that ends in .onnx or .pt2, or a folder with --format hub (got {path}): choose one"
    )


def _check_options(options: Namespace, style: bool, file_format: str) -> None:
    """Raise for options that would do nothing."""
    if style and file_format != "onnx":
        raise UserError(f"{options.classifier} is a style, and styles are exported as onnx (got {file_format})")
    for name in OF_CLASSIFIERS if style else OF_STYLES:
        if name in options:
            kind, other = ("a style", "classifiers") if style else ("no style", "styles")
            option = f"--{name.replace('_', '-')}"
            raise UserError(f"{option} is that of {other}, and {options.classifier} is {kind}: leave it out")
    if file_format == "hub" and ("normalize" in options or "fold" in options):
        raise UserError("--normalize and --fold are those of onnx and torch-export: a hub gets the network as it is")
    if "int8" in options and (file_format != "onnx" or "images" not in options):
        raise UserError("--int8 needs --format onnx, and --images with pictures that the ranges of values come from")
    if "int8" in options and not options.get("fold", True):
        raise UserError("--int8 folds norms: leave out --no-fold")
    for name in OF_INT8:
        if name in options and "int8" not in options:
            raise UserError(f"--{name.replace('_', '-')} is that of --int8: give both or none")
    if not 0.0 <= options.get("least_agreement", 0.0) <= 1.0:
        raise UserError(f"--least-agreement should lie between 0 and 1 (got {options.least_agreement})")


def _export_style(options: Namespace, path: Path) -> int:
    from binorm.experiments.style.export import export_onnx
    from binorm.experiments.style.style_file import load_style

    network, card = load_style(options.classifier)
    if "gate" in options:
        from binorm.experiments.style.network import shift_gates

        network = shift_gates(network, options.gate)
    export_onnx(network, path, card)
    CONSOLE.print(plain(f"written: {path}; ONNX Runtime computes the same from it"))
    return 0


def _normalizes(options: Namespace) -> bool:
    return bool(options.get("normalize", "yes") == "yes")


def _export_program(options: Namespace, classifier: "Classifier", path: Path, file_format: str) -> int:
    from binorm.experiments.classifiers.export.deployed import Choices

    choices = Choices(normalize=_normalizes(options), fold=options.get("fold", True))
    if file_format == "onnx":
        from binorm.experiments.classifiers.export.onnx import export_onnx

        written, reader = export_onnx(classifier, path, choices), "ONNX Runtime"
    else:
        from binorm.experiments.classifiers.export.torch_export import export_torch

        written, reader = export_torch(classifier, path, choices), "torch.export"
    CONSOLE.print(plain(f"written: {path}, {_megabytes(written.size)}; {reader} computes the same from it"))
    CONSOLE.print(plain(f"  up to {written.difference:.0e} of the largest output"))
    _say_input(classifier, written.any_size, choices.normalize)
    return 0


def _say_input(classifier: "Classifier", any_size: bool, normalize: bool) -> None:
    pixels = "RGB from 0 to 255" if normalize else "normalized"
    size = f"{classifier.preprocessing.width}x{classifier.preprocessing.height}"
    sizes = "any size" if any_size else f"{size} alone: the network does not allow other sizes"
    CONSOLE.print(plain(f"  pictures: {pixels}, float32, any number of them; pixels: {sizes}"))


def _export_hub(classifier: "Classifier", folder: Path) -> int:
    from binorm.experiments.classifiers.export.hub import export_hub

    size = export_hub(classifier, folder)
    CONSOLE.print(plain(f"written: {folder}, {_megabytes(size)}; binorm.load reads the same from it"))
    CONSOLE.print(plain(f"  to push it: hf upload USER/NAME {folder}"))
    return 0


def _export_int8(options: Namespace, classifier: "Classifier", path: Path) -> int:
    from binorm.experiments.classifiers.export.int8 import export_int8
    from binorm.experiments.classifiers.photographs import read_photographs
    from binorm.experiments.common.onnx_files import require_export_packages

    require_export_packages()
    photographs = read_photographs(Path(options.images), classifier, most=options.pictures)
    for sentence in photographs.broken:
        ERRORS.print("[yellow]left out:[/]", one_line(sentence))
    least = options.get("least_agreement", 0.8)
    found = export_int8(classifier, photographs, path, _normalizes(options), least)
    which = (
        "other pictures" if found.fresh else "the same pictures" if found.measured_on == found.calibrated_on else "all"
    )
    CONSOLE.print(plain(f"written: {path}, with ranges of values from {found.calibrated_on} pictures"))
    CONSOLE.print(
        plain(f"  the same class as in float32: {100 * found.agreement:.1f} % of {found.measured_on} ({which})")
    )
    if found.accuracy is not None and found.accuracy_float is not None:
        CONSOLE.print(plain(f"  top-1: {100 * found.accuracy:.1f} % (float32: {100 * found.accuracy_float:.1f} %)"))
    ratio = found.size_float / found.size
    CONSOLE.print(
        plain(f"  size: {_megabytes(found.size)} (float32: {_megabytes(found.size_float)}, {ratio:.1f} times)")
    )
    faster = found.seconds_float / found.seconds
    times = f"{1000 * found.seconds:.1f} ms (float32: {1000 * found.seconds_float:.1f} ms, {faster:.1f} times)"
    CONSOLE.print(plain(f"  one picture: {times}"))
    _say_input(classifier, found.any_size, _normalizes(options))
    return 0


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _add_arguments(parser: ArgumentParser) -> None:
    add_model(parser, "; or a style's name, its .safetensors, or its run's folder")
    parser.add_argument("--out", type=str, required=True, metavar="PATH", help="the file or folder to write")
    parser.add_argument(
        "--format",
        type=Literal["onnx", "torch-export", "hub"],
        default=SUPPRESS,
        help="onnx, torch-export, or hub, a folder to be pushed; as --out ends (.onnx, .pt2) if not given",
    )
    parser.add_argument(
        "--normalize",
        type=Literal["yes", "no"],
        default=SUPPRESS,
        help="whether the file normalizes pictures itself: yes (RGB from 0 to 255) unless given",
    )
    parser.add_argument(
        "--fold",
        action=ActionYesNo(no_prefix="no-"),
        default=SUPPRESS,
        help="take norms whose gates are all 1 into the convolutions before them, as is done unless --no-fold is given",
    )
    parser.add_argument("--int8", action="store_true", default=SUPPRESS, help="onnx in 8-bit integers, measured")
    parser.add_argument(
        "--images", type=str, default=SUPPRESS, metavar="DIR", help="of --int8: pictures as the network will see"
    )
    parser.add_argument("--pictures", type=int, default=1000, help="of --int8: how many of them to take at most")
    parser.add_argument(
        "--least-agreement",
        type=float,
        default=SUPPRESS,
        metavar="SHARE",
        help="of --int8: write nothing if fewer pictures than this (0.8) have the same class as in float32",
    )
    parser.add_argument(
        "--gate",
        type=float,
        default=SUPPRESS,
        metavar="SHIFT",
        help="of styles: move all gates: -1 to instance norm, 1 to batch norm, 0 for as trained",
    )


COMMAND = Command(
    "export",
    "a trained network for others: ONNX, torch.export, or a folder for a hub",
    "binorm export runs/digits/bin/seed0 --out digits.onnx",
    _add_arguments,
    _run,
)
