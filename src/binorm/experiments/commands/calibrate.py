"""``binorm calibrate``."""

from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import SUPPRESS, ArgumentParser, Namespace

from binorm.experiments.commands.command import Command, chosen_classifier
from binorm.experiments.commands.rescuing import (
    add_rescue,
    at_target,
    layers_of,
    out_path,
    pictures_of,
    print_before_and_after,
    target_of,
)
from binorm.experiments.common.console import CONSOLE, plain
from binorm.experiments.common.errors import UserError
from binorm.experiments.common.files import replacing
from binorm.experiments.common.text import counted

if TYPE_CHECKING:
    from binorm.experiments.classifiers.classifier import Classifier

FIGURES = (".png", ".svg", ".pdf")


def _run(options: Namespace, command: str) -> int:
    from binorm.experiments.classifiers.files import save_classifier

    out = out_path(options)
    if "figure" in options and Path(options.figure).suffix not in FIGURES:
        raise UserError(f"--figure should be a file that ends in {', '.join(FIGURES)} (got {options.figure})")
    if "images" not in options and "target" not in options:
        raise UserError(
            "expected --images DIR, pictures to set gates from, or --target DIR, pictures of where it should work, or "
            "both"
        )
    if "figure" in options and "images" not in options:
        raise UserError("--figure draws what gates remove: give the pictures that set them, --images DIR")
    classifier = chosen_classifier(options)
    target = target_of(options, classifier)
    calibrated = _with_gates(options, classifier) if "images" in options else classifier
    save_classifier(out, at_target(calibrated, target, classifier))
    CONSOLE.print(plain(f"written: {out}"))
    return 0


def _with_gates(options: Namespace, classifier: "Classifier") -> "Classifier":
    """Set them from ``--images``; say what that did, and draw it where this is asked for."""
    from binorm import plot_calibration
    from binorm.experiments.rescue.calibration import calibrate

    photographs, restyle = pictures_of(options, classifier)
    found, measured = calibrate(
        classifier,
        photographs,
        restyle,
        count=options.pictures,
        layers=layers_of(options),
        clean_weight=options.clean_weight,
        seed=options.seed,
    )
    if "figure" in options:
        with replacing(Path(options.figure)) as file:
            plot_calibration(found.summary).savefig(file, format=Path(options.figure).suffix[1:])
    CONSOLE.print(plain(str(found.summary)))
    layers = counted(len(found.summary), "layer")
    CONSOLE.print(plain(f"gates: of {layers}, set from {found.pictures} pictures of {options.images}"))
    print_before_and_after(measured)
    return found.classifier


def _add_arguments(parser: ArgumentParser) -> None:
    add_rescue(parser, pictures=64, layers="1")
    parser.add_argument("--clean-weight", type=float, default=0.5, help="share of untouched pictures, 0 to 1")
    parser.add_argument("--figure", type=str, default=SUPPRESS, metavar="FILE", help="draw what each layer removes")


COMMAND = Command(
    "calibrate",
    "a trained network set right for other pictures, without labels",
    "binorm calibrate efficientnet-lite0 --images photos/ --out calibrated.safetensors",
    _add_arguments,
    _run,
)
