"""``binorm bench``."""

import json
from pathlib import Path

from jsonargparse import SUPPRESS, ArgumentParser, Namespace

from binorm.experiments.commands.command import Command
from binorm.experiments.common.console import CONSOLE
from binorm.experiments.common.errors import UserError


def _run(options: Namespace, command: str) -> int:
    import torch

    from binorm.experiments.analysis.bench import SHAPES, bench, bench_facts, bench_tables, parse_shapes
    from binorm.experiments.common.files import write_text_atomically

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


def _add_arguments(parser: ArgumentParser) -> None:
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


COMMAND = Command(
    "bench", "what the norm costs beside others on this machine", "binorm bench --cases norm,act", _add_arguments, _run
)
