"""``binorm data``."""

from pathlib import Path

from jsonargparse import SUPPRESS, ArgumentParser, Namespace

from binorm.experiments.commands.command import Command, add_data, data_path
from binorm.experiments.common.console import CONSOLE, plain
from binorm.experiments.common.errors import UserError

ACTIONS = ("verify", "prepare")


def _run(options: Namespace, command: str) -> int:
    from binorm.experiments.data.describe import data_table, describe

    words, path = list(options.what), data_path(options)
    action = words.pop(0) if words and words[0] in ACTIONS else None
    if len(words) > 1 or (action and not words):
        raise UserError(
            f"binorm data takes the name of one data set after {action or 'verify or prepare'} "
            f"(got {' '.join(options.what)!r}); 'binorm data' lists them"
        )
    for option in ("shards", "image_size"):
        if option in options and action != "prepare":
            raise UserError(f"--{option} belongs to 'binorm data prepare'")
    if action == "verify":
        return _verify(words[0], path)
    if action == "prepare":
        return _prepare(words[0], path, options)
    CONSOLE.print(describe(words[0], path) if words else data_table(path), soft_wrap=False)
    return 0


def _verify(name: str, path: Path | None) -> int:
    from binorm.experiments.data.describe import verify

    with CONSOLE.status(f"reading every picture of {name}") as status:
        report = verify(name, path, lambda text: status.update(plain(text)))
    CONSOLE.print(report.table(), soft_wrap=False)
    return 0 if report.ok else 2


def _prepare(name: str, path: Path | None, options: Namespace) -> int:
    from binorm.experiments.data.describe import prepare

    image_size = options.image_size if "image_size" in options else 0
    if "shards" in options:
        from binorm.experiments.data import load
        from binorm.experiments.data.readers.shards import write_shards

        with CONSOLE.status("writing shards") as status:
            counts = write_shards(
                load(name, path, image_size),
                Path(options.shards),
                report=lambda done, total: status.update(f"{done:,} of {total:,} pictures written"),
            )
        written = " and ".join(f"{count:,} {split}" for split, count in counts.items())
        CONSOLE.print(plain(f"{name}: {written} shards are in {options.shards}: give that folder as --data"))
    else:
        CONSOLE.print(plain(prepare(name, path, image_size)))
    return 0


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "what", nargs="*", type=str, help="nothing for a list, a data set's name, or 'verify NAME' or 'prepare NAME'"
    )
    add_data(parser)
    parser.add_argument("--image_size", type=int, default=SUPPRESS, help="prepare pictures of this height and width")
    parser.add_argument(
        "--shards", type=str, default=SUPPRESS, metavar="DIR", help="prepare WebDataset shards of a large set there"
    )


COMMAND = Command(
    "data",
    "which data sets there are, where they are found, and whether they are whole",
    "binorm data verify cifar10 --data cifar10.zip",
    _add_arguments,
    _run,
)
