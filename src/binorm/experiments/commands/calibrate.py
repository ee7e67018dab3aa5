"""``binorm calibrate``."""

from pathlib import Path

from jsonargparse import SUPPRESS, ArgumentParser, Namespace
from rich import box
from rich.table import Table

from binorm.experiments.commands.command import Command, add_model, chosen_classifier
from binorm.experiments.common.console import CONSOLE, ERRORS, plain
from binorm.experiments.common.errors import UserError
from binorm.experiments.common.files import require_writable
from binorm.experiments.common.text import counted

RESTYLINGS = "light,colour,saturation,contrast,gamma,fog,blur,noise,jpeg"


def _run(options: Namespace, command: str) -> int:
    from binorm.experiments.classifiers.files import save_classifier
    from binorm.experiments.classifiers.photographs import read_photographs
    from binorm.experiments.rescue.calibration import calibrate
    from binorm.experiments.rescue.restyling import Restyle, Restyling

    out = Path(options.out)
    if out.suffix != ".safetensors":
        raise UserError(f"--out should be a file that ends in .safetensors (got {out})")
    require_writable(out.parent)
    restyle: Restyle = Restyling() if options.restyle == "all" else Restyling(tuple(options.restyle.split(",")))
    classifier = chosen_classifier(options)
    photographs = read_photographs(Path(options.images), classifier, most=2 * options.pictures)
    for sentence in photographs.broken:
        ERRORS.print(f"[yellow]left out:[/] {plain(sentence)}")
    if "target" in options:
        from binorm.experiments.rescue.target import TargetStyle

        restyle = TargetStyle(read_photographs(Path(options.target), classifier), restyle)
    found = calibrate(
        classifier,
        photographs,
        restyle,
        count=options.pictures,
        layers=layers_of(options.layers),
        clean_weight=options.clean_weight,
        seed=options.seed,
    )
    save_classifier(out, found.classifier)
    CONSOLE.print(plain(str(found.summary)))
    which = "other pictures" if found.fresh else "the same pictures"
    title = f"before and after, on {found.measured_on} {which}"
    table = Table(title=plain(title), box=box.SIMPLE_HEAD)
    for heading in ("", "before", "after"):
        table.add_column(heading, justify="left" if not heading else "right")
    rows = (
        ("top-1 % as they are", found.before.accuracy, found.after.accuracy),
        ("top-1 % restyled", found.before.accuracy_restyled, found.after.accuracy_restyled),
        ("% restyled, classified as before they were", found.before.agreement, found.after.agreement),
    )
    for name, before, after in rows:
        if before is not None and after is not None:
            table.add_row(name, f"{before:.1f}", f"{after:.1f}")
    CONSOLE.print(table, soft_wrap=False)
    layers = counted(len(found.summary), "layer")
    CONSOLE.print(plain(f"written: {out}, with the gates of {layers} set from {found.calibrated_on} pictures"))
    return 0


def layers_of(text: str) -> int | list[str] | None:
    """``--layers``: how many, names, or ``all``."""
    if text == "all":
        return None
    return int(text) if text.isdecimal() else text.split(",")


def _add_arguments(parser: ArgumentParser) -> None:
    add_model(parser)
    parser.add_argument("--images", type=str, required=True, metavar="DIR", help="pictures, labelled or not")
    parser.add_argument(
        "--target", type=str, default=SUPPRESS, metavar="DIR", help="a few pictures of where it should work, no labels"
    )
    parser.add_argument("--out", type=str, required=True, metavar="FILE.safetensors", help="the file to write")
    parser.add_argument("--layers", type=str, default="1", help="how many, first ones first; or names; or all")
    parser.add_argument("--pictures", type=int, default=64, help="how many pictures to use")
    parser.add_argument("--clean-weight", type=float, default=0.5, help="share of untouched pictures, 0 to 1")
    parser.add_argument("--restyle", type=str, default="all", metavar="KINDS", help=f"all, or some of {RESTYLINGS}")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of pictures and their restyling")


COMMAND = Command(
    "calibrate",
    "the gates of a trained network set from unlabelled pictures",
    "binorm calibrate efficientnet-lite0 --images photos/ --out calibrated.safetensors",
    _add_arguments,
    _run,
)
