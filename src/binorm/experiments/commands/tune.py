"""``binorm tune``."""

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
from binorm.experiments.common.console import CONSOLE, ERRORS, plain
from binorm.experiments.common.errors import UserError


def _run(options: Namespace, command: str) -> int:
    from binorm.experiments.classifiers.files import save_classifier
    from binorm.experiments.rescue.tuning import TuningSettings, TuningStep, tune_classifier

    out = out_path(options)
    numbers = {name: options[name] for name in ("steps", "gate_lr", "affine_lr", "pull") if name in options}
    settings = TuningSettings(layers=layers_of(options), seed=options.seed, **numbers)
    if "images" not in options:
        raise UserError("tuning needs pictures to learn from, like those of its training: --images DIR")
    classifier = chosen_classifier(options)
    target = target_of(options, classifier)
    photographs, restyle = pictures_of(options, classifier)

    def tell(step: TuningStep) -> None:
        if step.held_out is not None:
            held_out = f"held out {step.held_out:.4f}"
            ERRORS.print(plain(f"step {step.step}/{step.steps}  loss {step.loss:.4f}  {held_out}"))

    found, measured = tune_classifier(
        classifier,
        photographs,
        restyle,
        settings,
        count=options.pictures,
        labels=options.labels,
        on_step=tell,
    )
    CONSOLE.print(plain(str(found.summary)))
    print_before_and_after(measured)
    save_classifier(out, at_target(found.classifier, target, classifier))
    CONSOLE.print(plain(f"written: {out}"))
    return 0


def _add_arguments(parser: ArgumentParser) -> None:
    add_rescue(parser, pictures=128, layers="1")
    parser.add_argument("--labels", action="store_true", help="learn the labels that the folders' names say as well")
    for name, kind, text in (
        ("steps", int, "of the optimizer, at the most (60)"),
        ("gate-lr", float, "highest learning rate of the gates (0.01)"),
        ("affine-lr", float, "highest learning rate of the norms' weights and biases (0.001)"),
        ("pull", float, "of gates towards 1, from 0 to 1 (0)"),
    ):
        parser.add_argument(f"--{name}", type=kind, default=SUPPRESS, help=text)


COMMAND = Command(
    "tune",
    "minutes of self-distillation of a trained network from calibrated gates",
    "binorm tune efficientnet-lite0 --images photos/ --out tuned.safetensors",
    _add_arguments,
    _run,
)
