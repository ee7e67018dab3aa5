"""The pictures of a report: which learning curves are drawn from which runs, and the pictures that runs hold."""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from binorm.experiments.common.errors import UserError
from binorm.experiments.report import tables
from binorm.experiments.report.figures import lines as figures
from binorm.experiments.report.figures.theme import SCREEN, Output, norm_colours
from binorm.experiments.runs.reading import RunResult

_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Picture:
    """A figure or a sheet of samples: the name of its file, what it shows, and the file's content."""

    file: str
    caption: str
    content: bytes

    @property
    def inline(self) -> Markup:
        """What stands for the picture in the page: SVG as it is, whose text is escaped, or a data URI."""
        if self.file.endswith(".svg"):
            return Markup(self.content.decode())  # noqa: S704 - drawn here
        kind = self.file.rpartition(".")[2]
        uri = f"data:image/{kind};base64,{base64.b64encode(self.content).decode()}"
        return Markup('<img src="{}" alt="{}">').format(uri, self.caption)


def learning_curves(runs: Sequence[RunResult], note: str | None, output: Output = SCREEN) -> list[Picture]:
    """One figure for each evaluation set and one for the training pictures."""
    colours = norm_colours(tables.norms_of(runs))
    pictures: list[Picture] = []
    for data in (*tables.evaluation_sets(runs), "train"):
        lines = []
        for norm, colour in colours.items():
            group = [run for run in tables.finished(runs, norm) if data in (*run.evaluation_sets, "train")]
            if group:
                curves = [dict(enumerate(run.accuracies(data), start=1)) for run in group]
                lines.append(figures.Line(norm, colour, by_epoch(curves)))
        if lines:
            title = "training pictures" if data == "train" else data
            content = figures.learning_curves(title, lines, note, output)
            file = file_name("learning curves", data, f".{output.format}", pictures)
            pictures.append(Picture(file, f"Top-1 accuracy by epoch: {title}", content))
    return pictures


def samples(runs: Sequence[RunResult]) -> list[Picture]:
    """Samples of the training pictures and of each evaluation set, from the first run that has them.

    Raises:
        UserError: where a file is no PNG.
    """
    pictures: list[Picture] = []
    for data in ("train", *tables.evaluation_sets(runs)):
        path = next((run.samples[data] for run in runs if data in run.samples), None)
        if path is not None:
            file = file_name("samples", data, ".png", pictures)
            pictures.append(Picture(file, f"Samples: {data}", _read_png(path)))
    return pictures


def responses(runs: Sequence[RunResult]) -> list[Picture]:
    """What channels with low gates see, from the first run in whose folder such pictures lie.

    Raises:
        UserError: where a file is no PNG.
    """
    paths = next((found for run in runs if (found := sorted((run.folder / "responses").glob("*.png")))), [])
    pictures: list[Picture] = []
    for path in paths:
        file = file_name("responses", path.stem, ".png", pictures)
        caption = f"Strongest responses, {path.parent.parent.parent.name} {path.parent.parent.name}"
        pictures.append(Picture(file, caption, _read_png(path)))
    return pictures


def by_epoch(curves: Sequence[Mapping[int, float]]) -> dict[int, list[float]]:
    """Regroup one curve a run into the values of all runs at each epoch; shorter runs end earlier."""
    epochs = sorted({epoch for curve in curves for epoch in curve})
    return {epoch: [curve[epoch] for curve in curves if epoch in curve] for epoch in epochs}


def file_name(kind: str, name: str, ending: str, earlier: Sequence[Picture]) -> str:
    """A name in lower case, digits and hyphens that no earlier picture has, whatever the data set is called."""
    slug = re.sub(r"[^a-z0-9]+", "-", f"{kind} {name}".lower()).strip("-")
    taken = {picture.file for picture in earlier}
    names = (f"{slug}{suffix}{ending}" for suffix in ("", *(f"-{place}" for place in range(2, len(taken) + 3))))
    return next(each for each in names if each not in taken)


def _read_png(path: Path) -> bytes:
    content = path.read_bytes()
    if not content.startswith(_PNG):
        raise UserError(f"{path} is not a PNG picture. Delete it: the report does without.")
    return content
