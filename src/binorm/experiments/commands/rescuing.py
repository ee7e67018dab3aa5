"""What `binorm calibrate` and `binorm tune` have in common: their pictures, and how they tell what they did."""

from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import SUPPRESS, ArgumentParser, Namespace
from rich import box
from rich.table import Table

from binorm.experiments.commands.command import add_model
from binorm.experiments.common.console import CONSOLE, ERRORS, plain
from binorm.experiments.common.errors import UserError
from binorm.experiments.common.files import require_writable

if TYPE_CHECKING:
    from binorm.experiments.classifiers.classifier import Classifier
    from binorm.experiments.classifiers.photographs import Photographs
    from binorm.experiments.rescue.measurement import BeforeAndAfter
    from binorm.experiments.rescue.restyling import Restyle
    from binorm.experiments.rescue.target import Target

RESTYLINGS = "light,colour,saturation,contrast,gamma,fog,blur,noise,jpeg"


def add_rescue(parser: ArgumentParser, pictures: int, layers: str) -> None:
    """The options of both, with these defaults."""
    add_model(parser)
    parser.add_argument(
        "--images",
        type=str,
        default=SUPPRESS,
        metavar="DIR",
        help="pictures like those of its training: they set gates",
    )
    parser.add_argument(
        "--target",
        type=str,
        default=SUPPRESS,
        metavar="DIR",
        help="pictures of where it should work: they move statistics",
    )
    parser.add_argument(
        "--target-share", type=float, default=SUPPRESS, help="how far statistics move to theirs, 0 to below 1 (0.1)"
    )
    parser.add_argument("--out", type=str, required=True, metavar="FILE.safetensors", help="the file to write")
    parser.add_argument("--layers", type=str, default=layers, help="how many, first ones first; or names; or all")
    parser.add_argument("--pictures", type=int, default=pictures, help="how many pictures to use")
    parser.add_argument("--restyle", type=str, default="all", metavar="KINDS", help=f"all, or some of {RESTYLINGS}")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of pictures and their restyling")


def out_path(options: Namespace) -> Path:
    """``--out``. Raises a `UserError` for another ending, and where nothing can be written, before any work is done."""
    out = Path(options.out)
    if out.suffix != ".safetensors":
        raise UserError(f"--out should be a file that ends in .safetensors (got {out})")
    require_writable(out.parent)
    return out


def layers_of(options: Namespace) -> int | tuple[str, ...] | None:
    """``--layers``: how many, names, or ``all``."""
    text: str = options.layers
    if text == "all":
        return None
    return int(text) if text.isdecimal() else tuple(text.split(","))


def pictures_of(options: Namespace, classifier: "Classifier") -> tuple["Photographs", "Restyle"]:
    """``--images``, more than are used, and how they are restyled."""
    from binorm.experiments.classifiers.photographs import read_photographs
    from binorm.experiments.rescue.measurement import MEASURED
    from binorm.experiments.rescue.restyling import Restyle, Restyling

    restyle: Restyle = Restyling() if options.restyle == "all" else Restyling(tuple(options.restyle.split(",")))
    photographs = read_photographs(Path(options.images), classifier, most=max(options.pictures, 1) + MEASURED)
    for sentence in photographs.broken:
        ERRORS.print(f"[yellow]left out:[/] {plain(sentence)}")
    return photographs, restyle


def target_of(options: Namespace, classifier: "Classifier") -> "Target | None":
    """``--target``, if there is one."""
    if "target" not in options:
        if "target_share" in options:
            raise UserError("--target-share is of a target: give its pictures, --target DIR")
        return None
    from binorm.experiments.classifiers.photographs import read_photographs
    from binorm.experiments.rescue.measurement import MEASURED
    from binorm.experiments.rescue.target import PICTURES, SHARE, Target, require_statistics

    require_statistics(classifier)
    photographs = read_photographs(Path(options.target), classifier, most=PICTURES + MEASURED)
    for sentence in photographs.broken:
        ERRORS.print(f"[yellow]left out:[/] {plain(sentence)}")
    return Target.of(photographs, options.target_share if "target_share" in options else SHARE, options.seed)


def at_target(classifier: "Classifier", target: "Target | None", before: "Classifier") -> "Classifier":
    """``classifier`` with its statistics moved to the target's; says what that did."""
    if target is None:
        return classifier
    from binorm.experiments.rescue.target import move_to_target

    found, used = move_to_target(classifier, target, before), target.drawn.used
    share = f"{100 * target.share:g} %"
    CONSOLE.print(plain(f"statistics: {share} of the way to those of {len(used)} pictures of {used.source}"))
    if found.before is not None:
        now = f"{found.before:.1f} % before, {found.after:.1f} % after"
        CONSOLE.print(plain(f"top-1 on {found.measured} other pictures of it: {now}"))
    return found.classifier


def print_before_and_after(found: "BeforeAndAfter") -> None:
    """As a table."""
    which = "other pictures than it was set from" if found.fresh else "the same pictures"
    table = Table(title=f"on {found.pictures} {which}", box=box.SIMPLE_HEAD)
    for heading in ("", "before", "after"):
        table.add_column(heading, justify="right" if heading else "left")
    rows = (
        ("top-1 % as they are", found.before.accuracy, found.after.accuracy),
        ("top-1 % restyled", found.before.accuracy_restyled, found.after.accuracy_restyled),
        ("% of restyled ones classified as before restyling", found.before.agreement, found.after.agreement),
    )
    for name, before, after in rows:
        if before is not None and after is not None:
            table.add_row(name, f"{before:.1f}", f"{after:.1f}")
    CONSOLE.print(table, soft_wrap=False)
