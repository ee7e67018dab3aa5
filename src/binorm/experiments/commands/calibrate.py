"""``binorm calibrate``."""

from jsonargparse import ArgumentParser, Namespace

from binorm.experiments.commands.command import Command, chosen_classifier
from binorm.experiments.commands.rescuing import add_rescue, layers_of, out_path, pictures_of, print_before_and_after
from binorm.experiments.common.console import CONSOLE, plain
from binorm.experiments.common.text import counted


def _run(options: Namespace, command: str) -> int:
    from binorm.experiments.classifiers.files import save_classifier
    from binorm.experiments.rescue.calibration import calibrate

    out = out_path(options)
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
    CONSOLE.print(plain(str(found.summary)))
    print_before_and_after(measured)
    layers = counted(len(found.summary), "layer")
    CONSOLE.print(plain(f"written: {out}, with the gates of {layers} set from {found.pictures} pictures"))
    return 0


def _add_arguments(parser: ArgumentParser) -> None:
    add_rescue(parser, pictures=64, layers="1")
    parser.add_argument("--clean-weight", type=float, default=0.5, help="share of untouched pictures, 0 to 1")


COMMAND = Command(
    "calibrate",
    "the gates of a trained network set from unlabelled pictures",
    "binorm calibrate efficientnet-lite0 --images photos/ --out calibrated.safetensors",
    _add_arguments,
    _run,
)
