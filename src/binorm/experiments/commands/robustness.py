"""``binorm robustness``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jsonargparse import SUPPRESS, ArgumentParser, Namespace

from binorm.experiments.commands.command import Command
from binorm.experiments.common.console import CONSOLE, ERRORS, plain
from binorm.experiments.common.errors import UserError, lookup
from binorm.experiments.common.files import require_writable

if TYPE_CHECKING:
    from binorm.experiments.rescue.methods import Method
    from binorm.experiments.rescue.plan import Plan
    from binorm.experiments.rescue.regimes import Regime
    from binorm.experiments.shifts.catalog import Shift


def _run(options: Namespace, command: str) -> int:
    from binorm.experiments.report.robustness import write_robustness
    from binorm.experiments.rescue.robustness import measure

    out = Path(options.out)
    plan = _plan(options)
    baseline = options.baseline if "baseline" in options else None
    if baseline is not None:
        lookup("baseline", baseline, {each.group: each for each in plan.candidates})
    require_writable(out)
    for remark in plan.remarks:
        ERRORS.print(f"[yellow]warning:[/] {plain(remark)}")
    CONSOLE.print(plain(f"{len(plan.test)} test pictures; to calibrate with: {plan.calibration}"))
    with CONSOLE.status("looking at what is there") as status:
        measure(plan, out, command, lambda text: status.update(plain(text)))
    written = write_robustness(out, baseline)
    CONSOLE.print(written.terminal, soft_wrap=False)
    CONSOLE.print(plain(f"report: {written.html}"))
    return 0


def _plan(options: Namespace) -> "Plan":
    """What the options ask for; all names are checked before anything is read."""
    from binorm.experiments.classifiers.find import find_classifier
    from binorm.experiments.data.processes import default_threads
    from binorm.experiments.rescue.held_out import short_names, subjects
    from binorm.experiments.rescue.plan import Plan, parse_severities
    from binorm.experiments.rescue.regimes import REGIMES
    from binorm.experiments.rescue.restyling import DEFAULT

    methods, regime = _methods(options.methods), lookup("regime", options.regime, REGIMES)
    shifts, severities = _shifts(options.shifts), parse_severities(options.severities)
    batch = _batch(options, regime)
    for name, least in (("seeds", 1), ("calibration_pictures", 1), ("pictures", 0)):
        if options[name] < least:
            raise UserError(f"--{name.replace('_', '-')} should be at least {least} (got {options[name]})")
    names = short_names(options.models)
    classes = Path(options.classes) if "classes" in options else None
    named = zip(names, options.models, strict=True)
    found = [(name, find_classifier(model, options.model, classes)) for name, model in named]
    needed = options.calibration_pictures if any(each.calibrates for each in methods) else 0
    calibration = Path(options.calibration) if "calibration" in options else None
    tested, words, remarks = subjects(found, Path(options.images), calibration, needed, options.pictures)
    return Plan(
        subjects=tested,
        methods=methods,
        seeds=options.seeds,
        calibration_pictures=options.calibration_pictures,
        shifts=shifts,
        severities=severities,
        regime=regime,
        batch=batch,
        restyle=DEFAULT,
        precision=options.precision,
        calibration=words,
        processes=default_threads(),
        remarks=remarks,
    )


def _methods(text: str) -> "list[Method]":
    from binorm.experiments.rescue.methods import METHODS

    return [lookup("method", name, METHODS) for name in _names(text, "methods", METHODS)]


def _shifts(text: str) -> "list[Shift]":
    """Names of groups and of shifts; those of corruptions need their package."""
    from binorm.experiments.shifts.catalog import GROUP_NAMES, SHIFTS, find_shift

    names: list[str] = []
    for name in _names(text, "shifts", SHIFTS):
        lookup("shift", name, {**GROUP_NAMES, **SHIFTS})
        names += [each.name for each in SHIFTS.values() if each.group == GROUP_NAMES.get(name)] or [name]
    return [find_shift(name) for name in dict.fromkeys(names)]


def _names(text: str, option: str, known: object) -> Sequence[str]:
    names = [each.strip() for each in text.split(",")]
    if len(set(names)) < len(names) or not all(names):
        raise UserError(f"--{option} should name each once, with commas (got {text!r})")
    return names


def _batch(options: Namespace, regime: "Regime") -> int:
    """Of a regime that says it, or ``--batch``."""
    given: int | None = options.batch if "batch" in options else None
    if regime.batch:
        if given not in (None, regime.batch):
            raise UserError(f"--regime {regime.name} shows {regime.batch} picture at a time: leave --batch {given} out")
        return regime.batch
    if given is not None and given < 1:
        raise UserError(f"--batch should be at least 1 (got {given})")
    return given or 50


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "models",
        metavar="MODEL",
        nargs="+",
        type=str,
        help="runs' folders, files of weights, efficientnet-lite0, timm:NAME, torchvision:NAME or hf-hub:USER/NAME",
    )
    parser.add_argument(
        "--images", type=str, required=True, metavar="DIR", help="labelled pictures: folders called as the classes"
    )
    parser.add_argument(
        "--methods", type=str, default="none,calibrated", help="with commas; none is the network as it was trained"
    )
    parser.add_argument(
        "--shifts", type=str, default="corruptions,extra,style", help="these groups, or names of shifts, with commas"
    )
    parser.add_argument(
        "--severities",
        type=str,
        default="turns",
        help="turns (each picture at one, five times cheaper), all, or some of 1 to 5 with commas",
    )
    parser.add_argument(
        "--regime",
        type=str,
        default="stream",
        help="stream, label-sorted, single or offline: how pictures come to methods that learn from them",
    )
    parser.add_argument("--batch", type=int, default=SUPPRESS, help="pictures in a batch for these (default: 50)")
    parser.add_argument("--seeds", type=int, default=1, help="how many, from 0 on, of methods that calibrate")
    parser.add_argument(
        "--calibration",
        type=str,
        default=SUPPRESS,
        metavar="DIR",
        help="pictures to calibrate with, no labels (default: some of --images, left out of the test)",
    )
    parser.add_argument("--calibration-pictures", type=int, default=64, help="how many of them to use")
    parser.add_argument("--pictures", type=int, default=0, help="how many to test on at most; 0 for all")
    parser.add_argument("--baseline", type=str, default=SUPPRESS, metavar="MODEL:METHOD", help="what is compared with")
    parser.add_argument("--precision", type=Literal["auto", "float32", "bfloat16"], default="auto", help="of all")
    parser.add_argument("--out", type=str, default="robustness", metavar="DIR", help="results and report")
    parser.add_argument(
        "--model", type=str, default="", metavar="NAME", help="the network whose state dict MODEL is, such as timm:NAME"
    )
    parser.add_argument("--classes", type=str, default=SUPPRESS, metavar="FILE", help="the classes' names, one a line")


COMMAND = Command(
    "robustness",
    "how trained networks stand up to other light, weather and cameras",
    "binorm robustness efficientnet-lite0 --images photos/ --methods none,calibrated",
    _add_arguments,
    _run,
)
