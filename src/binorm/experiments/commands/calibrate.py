"""``binorm calibrate``."""

from pathlib import Path

from jsonargparse import SUPPRESS, ArgumentParser, Namespace

from binorm.experiments.commands.command import Command, chosen_classifier
from binorm.experiments.commands.rescuing import add_rescue, layers_of, out_path, pictures_of, print_before_and_after
from binorm.experiments.common.console import CONSOLE, plain
from binorm.experiments.common.errors import UserError
from binorm.experiments.common.files import replacing
from binorm.experiments.common.text import counted

FIGURES = (".png", ".svg", ".pdf")


def _run(options: Namespace, command: str) -> int:
    from binorm import plot_calibration
    from binorm.experiments.classifiers.files import save_classifier
    from binorm.experiments.rescue.calibration import calibrate

    out = out_path(options)
    if "figure" in options and Path(options.figure).suffix not in FIGURES:
        raise UserError(f"--figure should be a file that ends in {', '.join(FIGURES)} (got {options.figure})")
    classifier = chosen_classifier(options)
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
    save_classifier(out, found.classifier)
    if "figure" in options:
        with replacing(Path(options.figure)) as file:
            plot_calibration(found.summary).savefig(file, format=Path(options.figure).suffix[1:])
    CONSOLE.print(plain(str(found.summary)))
    print_before_and_after(measured)
    layers = counted(len(found.summary), "layer")
    CONSOLE.print(plain(f"written: {out}, with the gates of {layers} set from {found.pictures} pictures"))
    return 0


def _add_arguments(parser: ArgumentParser) -> None:
    add_rescue(parser, pictures=64, layers="1")
    parser.add_argument("--clean-weight", type=float, default=0.5, help="share of untouched pictures, 0 to 1")
    parser.add_argument("--figure", type=str, default=SUPPRESS, metavar="FILE", help="draw what each layer removes")


COMMAND = Command(
    "calibrate",
    "the gates of a trained network set from unlabelled pictures",
    "binorm calibrate efficientnet-lite0 --images photos/ --out calibrated.safetensors",
    _add_arguments,
    _run,
)
