"""``binorm predict``."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import SUPPRESS, ArgumentParser, Namespace
from rich import box
from rich.console import Console, OverflowMethod
from rich.table import Table
from rich.text import Text

from binorm.experiments.commands.command import Command, add_model, chosen_classifier
from binorm.experiments.common.console import CONSOLE, ERRORS, one_line, plain
from binorm.experiments.common.text import all_printable, counted, printable

if TYPE_CHECKING:
    from binorm.experiments.classifiers.classifier import Classifier
    from binorm.experiments.classifiers.predict import Predictions


def _run(options: Namespace, command: str) -> int:
    from binorm.experiments.classifiers.predict import predict
    from binorm.experiments.common.files import require_writable, write_text_atomically
    from binorm.experiments.data.trees.folder_walk import by_reason

    gallery = Path(options.gallery) if "gallery" in options else None
    numbers = options.json if "json" in options else ""
    for target in filter(None, (gallery, Path(numbers) if numbers not in ("", "-") else None)):
        require_writable(target.parent)
    console = ERRORS if numbers == "-" else CONSOLE
    classifier = chosen_classifier(options)
    with ERRORS.status("reading pictures") as status:
        found = predict(
            classifier,
            Path(options.photos),
            options.batch_size,
            options.top,
            lambda done, total: status.update(f"{done:,} of {total:,} pictures"),
        )
    if numbers == "-":
        print(_as_json(found, options.classifier))
    else:
        console.print(_table(found), soft_wrap=False)
    if numbers not in ("", "-"):
        write_text_atomically(Path(numbers), _as_json(found, options.classifier) + "\n")
        console.print(plain(f"written: {numbers}"))
    if gallery is not None:
        _write_gallery(gallery, found, classifier, console)
    if found.left_out:
        ERRORS.print("[yellow]left out:[/]", one_line(by_reason(found.left_out)))
    for sentence in found.broken:
        ERRORS.print("[yellow]left out:[/]", one_line(sentence))
    console.print(plain(_summary(found)))
    return 0


def _summary(found: "Predictions") -> str:
    total = counted(len(found.pictures), "picture")
    broken = f"; {len(found.broken):,} broken" if found.broken else ""
    first, kept = found.accuracy(), len(found.pictures[0].guesses)
    if first is None:
        return f"{total}{broken}"
    further = f", top-{kept} {100 * (found.accuracy(kept) or 0):.1f} %" if kept > 1 else ""
    return f"top-1 {100 * first:.1f} %{further} of {total}{broken}"


def _table(found: "Predictions") -> Table:
    """A row a picture: cut to a line at a terminal, whole elsewhere; a class that was not predicted stands in bold."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, expand=True)
    line = CONSOLE.is_terminal
    overflow: OverflowMethod = "ellipsis" if line else "fold"
    table.add_column("picture", no_wrap=line, overflow=overflow, ratio=4)
    table.add_column("class", no_wrap=line, overflow=overflow, ratio=3)
    table.add_column("confidence", justify="right", no_wrap=True)
    guesses = len(found.pictures[0].guesses)
    if guesses > 1:
        table.add_column("second guess", no_wrap=line and guesses == 2, overflow=overflow, ratio=4)
    if found.labelled:
        table.add_column("true class", no_wrap=line, overflow=overflow, ratio=3)
    for each in found.pictures:
        first, *others = each.guesses
        row = [Text(printable(each.picture)), Text(printable(first.name)), Text(f"{100 * first.confidence:.1f} %")]
        if guesses > 1:
            row.append(Text(", ".join(f"{printable(guess.name)} {100 * guess.confidence:.1f} %" for guess in others)))
        if each.true is not None:
            row.append(Text(printable(each.true), style="bold red" if each.wrong else ""))
        table.add_row(*row)
    return table


def _as_json(found: "Predictions", model: str) -> str:
    pictures = [
        {
            "picture": each.picture,
            "guesses": [{"class": guess.name, "confidence": guess.confidence} for guess in each.guesses],
            **({} if each.true is None else {"true": each.true}),
        }
        for each in found.pictures
    ]
    entries = {
        "version": 1,
        "model": model,
        "source": str(found.source),
        "accuracy": found.accuracy(),
        "pictures": pictures,
        "broken": list(found.broken),
    }
    return json.dumps(all_printable(entries), indent=1, ensure_ascii=False)


def _write_gallery(path: Path, found: "Predictions", classifier: "Classifier", console: Console) -> None:
    from binorm.experiments.common.files import write_text_atomically
    from binorm.experiments.report.page import as_html
    from binorm.experiments.report.predictions import MOST, predictions_page

    write_text_atomically(path, as_html(predictions_page(found, classifier)))
    console.print(plain(f"written: {path}, with {MOST} pictures at the most"))


def _add_arguments(parser: ArgumentParser) -> None:
    add_model(parser)
    parser.add_argument("photos", type=str, help="a folder, zip or tar file of pictures, or a picture")
    parser.add_argument("--top", type=int, default=2, metavar="K", help="how many guesses to give")
    parser.add_argument("--batch-size", type=int, default=32, metavar="N", help="how many pictures at once")
    parser.add_argument(
        "--json", type=str, default=SUPPRESS, metavar="FILE", help="the predictions for programs; - for standard output"
    )
    parser.add_argument(
        "--gallery",
        type=str,
        default=SUPPRESS,
        metavar="FILE.html",
        help="a page of the pictures predicted wrong, where folders are called as classes; else of the least sure ones",
    )


COMMAND = Command(
    "predict",
    "what a trained network says of pictures",
    "binorm predict efficientnet-lite0 photos/ --gallery wrong.html",
    _add_arguments,
    _run,
)
