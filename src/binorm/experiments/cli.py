"""The command ``binorm``. Its parsers are here; what a command does lives in the module that it calls.

Heavy libraries are imported by the commands that need them, so that ``--help`` does not wait for them.
"""

import logging
import shlex
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import SUPPRESS, ArgumentError, ArgumentParser, Namespace
from rich.console import Console

from binorm.experiments.errors import Interrupted, UserError, nearest
from binorm.experiments.recipe import FIELDS, explain, field_help, field_types, load_recipe, recipe_names

CONSOLE = Console(highlight=False, soft_wrap=True)
ERRORS = Console(stderr=True, highlight=False, soft_wrap=True)
NOT_OVERRIDABLE = {"name", "title", "full_epochs"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code: 0, 2 for the user's mistake, 128 + n when stopped by signal n."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning  # type: ignore[assignment]
            return _run(arguments)
    except (UserError, ArgumentError) as error:
        message = explain(error) if isinstance(error, ArgumentError) else str(error)
        ERRORS.print("[bold red]error:[/]", _plain(message))
        return 2
    except Interrupted as stop:
        ERRORS.print(f"stopped; every finished epoch is kept. Go on with:\n  binorm {_plain(shlex.join(arguments))}")
        return 128 + stop.signal_number
    except KeyboardInterrupt:
        ERRORS.print("stopped")
        return 130


def _run(arguments: list[str]) -> int:
    logging.getLogger("torch.utils.cpp_extension").setLevel(
        logging.ERROR
    )  # on a CPU it misses a GPU at each compilation
    parsers = _parsers()
    parser = _main_parser(parsers)
    if not arguments:
        parser.print_help()
        return 2
    _check_options(arguments, parsers)
    parsed = parser.parse_args(arguments)
    command = COMMANDS[parsed.command][0]
    return command(parsed[parsed.command], "binorm " + shlex.join(arguments))


def _compare(options: Namespace, command: str) -> int:
    from binorm.experiments.compare import train_all
    from binorm.experiments.report import console_table, write_report

    recipe = load_recipe(options.recipe, _overrides(options))
    norms = options.norms.split(",")
    out = Path(options.out)
    diverged = train_all(recipe, norms, list(range(options.seeds)), _data(options), out, command, CONSOLE)
    folder = out / recipe.name
    CONSOLE.print(console_table(write_report(folder)), soft_wrap=False)
    CONSOLE.print(f"report: {folder / 'report.html'}")
    for error in diverged:
        ERRORS.print("[bold red]diverged:[/]", _plain(str(error)))
    return 2 if diverged else 0


def _train(options: Namespace, command: str) -> int:
    from binorm.experiments.compare import train_all
    from binorm.experiments.run import run_folder

    recipe = load_recipe(options.recipe, _overrides(options))
    out = Path(options.out)
    diverged = train_all(recipe, [options.norm], [options.seed], _data(options), out, command, CONSOLE)
    for error in diverged:
        raise error
    CONSOLE.print(f"run: {run_folder(out, recipe, options.norm, options.seed)}")
    return 0


def _evaluate(options: Namespace, command: str) -> int:
    from binorm.experiments.evaluate import evaluate

    CONSOLE.print(evaluate(Path(options.checkpoint), _data(options)), soft_wrap=False)
    return 0


def _gates(options: Namespace, command: str) -> int:
    from binorm.experiments.gate_table import gate_table

    CONSOLE.print(gate_table(Path(options.checkpoint)), soft_wrap=False)
    return 0


def _bench(options: Namespace, command: str) -> int:
    import json

    import torch

    from binorm.experiments.atomic import write_text_atomically
    from binorm.experiments.bench import SHAPES, bench, bench_facts, bench_tables, parse_shapes

    if "threads" in options:
        if options.threads < 1:
            raise UserError(f"--threads should be at least 1 (got {options.threads})")
        torch.set_num_threads(options.threads)
    out = Path(options.out) if "out" in options else None
    if out is not None and not out.parent.is_dir():
        raise UserError(f"--out: there is no folder {out.parent}")
    shapes = parse_shapes(options.shapes) if "shapes" in options else SHAPES
    with CONSOLE.status("measuring") as status:
        rows = bench(
            options.cases.split(","), options.dtypes.split(","), shapes, options.device, options.rounds, status.update
        )
    for table in bench_tables(rows):
        CONSOLE.print(table, soft_wrap=False)
    if out is not None:
        facts = bench_facts(rows, command, options.device, options.rounds)
        write_text_atomically(out, json.dumps(facts, indent=1) + "\n")
    return 0


def _add_bench(parser: ArgumentParser) -> None:
    parser.add_argument("--cases", type=str, default="norm", help="norm, mixed, act, evaluation, with commas")
    parser.add_argument(
        "--dtypes", type=str, default="float32", help="float32, bfloat16, float16, float64, with commas"
    )
    parser.add_argument(
        "--shapes", type=str, default=SUPPRESS, help="'N,C,H,W N,C,H,W ...' (default: nine of networks)"
    )
    parser.add_argument("--device", type=str, default="cpu", help="cpu or cuda")
    parser.add_argument("--rounds", type=int, default=7, help="how often each pair is timed, in turn")
    parser.add_argument("--threads", type=int, default=SUPPRESS, help="of the CPU (default: all)")
    parser.add_argument("--out", type=str, default=SUPPRESS, metavar="FILE", help="write the figures as JSON")


def _add_training(parser: ArgumentParser) -> None:
    parser.add_argument("recipe", help=f"a recipe's name ({', '.join(recipe_names())}) or YAML file")
    _add_data(parser)
    parser.add_argument("--out", type=str, default="runs", metavar="DIR", help="folder of all runs")
    for name, text in field_help().items():
        if name not in NOT_OVERRIDABLE:
            parser.add_argument(f"--{name}", type=field_types()[name], default=SUPPRESS, help=text)


def _add_data(parser: ArgumentParser) -> None:
    parser.add_argument("--data", type=str, default=SUPPRESS, metavar="PATH", help="a folder, zip or tar file")


def _add_compare(parser: ArgumentParser) -> None:
    parser.add_argument("--norms", type=str, default="bn,in,bn+in,bin", help="which norms, with commas")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds, from 0 on")
    _add_training(parser)


def _add_train(parser: ArgumentParser) -> None:
    parser.add_argument("--norm", type=str, default="bin", help="bn, in, bn+in or bin")
    parser.add_argument("--seed", type=int, default=0, help="of the weights and the order of the pictures")
    _add_training(parser)


def _add_evaluate(parser: ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=str, help="a run's folder or its model.safetensors")
    _add_data(parser)


def _add_gates(parser: ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=str, help="a run's folder, a .safetensors, or a saved state_dict()")


COMMANDS = {
    "compare": (
        _compare,
        _add_compare,
        "train every norm with every seed and write the report",
        "binorm compare cifar10-resnet20 --data cifar10.zip --epochs 5",
    ),
    "train": (_train, _add_train, "train one network", "binorm train digits --norm bin --seed 0"),
    "evaluate": (
        _evaluate,
        _add_evaluate,
        "accuracy of a trained network on its evaluation sets",
        "binorm evaluate runs/digits/bin/seed0",
    ),
    "bench": (_bench, _add_bench, "what the norm costs beside others on this machine", "binorm bench --cases norm,act"),
    "gates": (_gates, _add_gates, "where the gates of a network stand", "binorm gates runs/digits/bin/seed0"),
}


def _parsers() -> dict[str, ArgumentParser]:
    parsers = {}
    for name, (_, add, text, example) in COMMANDS.items():
        parsers[name] = ArgumentParser(exit_on_error=False, description=f"{text}.", epilog=f"example: {example}")
        add(parsers[name])
    return parsers


def _main_parser(parsers: dict[str, ArgumentParser]) -> ArgumentParser:
    from binorm import __version__

    parser = ArgumentParser(
        prog="binorm",
        description="Batch-Instance Normalization: train, compare and explain.",
        version=__version__,
        exit_on_error=False,
    )
    commands = parser.add_subcommands(dest="command")
    for name, each in parsers.items():
        commands.add_subcommand(name, each, help=COMMANDS[name][2])
    return parser


def _check_options(arguments: list[str], parsers: dict[str, ArgumentParser]) -> None:
    """Name the nearest command or option for an unknown one."""
    command = arguments[0]
    if not command.startswith("-") and command not in parsers:
        raise UserError(f"unknown command {command!r}{nearest(command, parsers)} Known: {', '.join(parsers)}")
    if command in parsers:
        known = dict.fromkeys(option for action in parsers[command]._actions for option in action.option_strings)
        for argument in arguments[1:]:
            option = argument.split("=")[0]
            if option.startswith("--") and option not in known:
                raise UserError(
                    f"unknown option {option} of binorm {command}{nearest(option, known)} "
                    f"'binorm {command} --help' lists them"
                )


def _overrides(options: Namespace) -> dict[str, Any]:
    return {name: options[name] for name in FIELDS if name in options}


def _data(options: Namespace) -> Path | None:
    return Path(options.data) if "data" in options else None


def _plain(text: str) -> str:
    """Text for rich that holds no markup of its own."""
    return text.replace("[", r"\[")


def _show_warning(message: Warning | str, *_: Any) -> None:
    ERRORS.print("[yellow]warning:[/]", _plain(str(message)))


if __name__ == "__main__":
    sys.exit(main())
