"""``binorm bench``."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import SUPPRESS, ArgumentParser, Namespace
from rich import box
from rich.table import Table

from binorm.experiments.commands.command import Command
from binorm.experiments.common.console import CONSOLE
from binorm.experiments.common.errors import UserError

if TYPE_CHECKING:
    from binorm.experiments.analysis.bench import Row, Shape


def _run(options: Namespace, command: str) -> int:
    import torch

    from binorm.experiments.analysis.bench import SHAPES, bench, bench_facts
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


def parse_shapes(text: str) -> "tuple[Shape, ...]":
    """'32,64,56,56 4,32,256,256' -> shapes.

    Raises:
        UserError: for anything else than four positive integers with commas, shapes apart by spaces.
    """
    shapes = []
    for part in text.split():
        numbers = part.split(",")
        if len(numbers) != 4 or not all(number.isdecimal() and int(number) > 0 for number in numbers):
            raise UserError(f"--shapes should look like '32,64,56,56 4,32,256,256', samples first (got {part!r})")
        shapes.append((int(numbers[0]), int(numbers[1]), int(numbers[2]), int(numbers[3])))
    if not shapes:
        raise UserError("--shapes is empty")
    return tuple(shapes)


def bench_tables(rows: "list[Row]") -> list[Table]:
    """One table for each case and dtype, with the geometric mean and the greatest ratio below."""
    from binorm.experiments.analysis.bench import CASES

    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.case, row.dtype), []).append(row)
    return [_table(CASES[case].title, dtype, some) for (case, dtype), some in groups.items()]


def _table(title: str, dtype: str, rows: "list[Row]") -> Table:
    from binorm.experiments.analysis.bench import geometric_mean, shape_name

    worst = max(row.ratio for row in rows)
    table = Table(
        title=f"{title}, {dtype}",
        caption=f"geometric mean of ratios {geometric_mean(rows):.2f}, greatest {worst:.2f}; times in milliseconds",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
        title_justify="left",
        caption_justify="left",
    )
    for number, name in enumerate(("shape", "layout", "other", "ours", "ratio", "rounds", "limit", "x limit")):
        table.add_column(name, justify="left" if number < 2 else "right", no_wrap=True)
    for row in rows:
        table.add_row(
            shape_name(row.shape),
            "NHWC" if row.layout == "channels_last" else "NCHW",
            f"{row.other_ms:.3f}",
            f"{row.ours_ms:.3f}",
            f"{row.ratio:.2f}",
            f"{row.least_ratio:.2f}-{row.greatest_ratio:.2f}",
            f"{row.limit_ms:.3f}",
            f"{row.ours_ms / row.limit_ms:.1f}",
        )
    return table


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
