"""What ``binorm data`` says of the data sets, and what it does with one: verify a copy, or prepare it for training."""

from collections.abc import Callable, Sequence
from pathlib import Path

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from torch import Tensor

from binorm.experiments.common.errors import UserError, lookup
from binorm.experiments.data.catalog import data_root, load, load_domains, locate
from binorm.experiments.data.dataset import ImageSet
from binorm.experiments.data.domains import few
from binorm.experiments.data.entries import DATASETS
from binorm.experiments.data.readers.cache import cache_folder
from binorm.experiments.data.readers.entry import DomainEntry, Entry
from binorm.experiments.data.readers.examination import examine_dataset
from binorm.experiments.data.verification import Verification, check

EMBEDDED = "embedded"
HINT = "'binorm data NAME' says what --data may be and where to get it; $BINORM_DATA or --data is searched"


def data_table(root: Path | None) -> Table:
    """Every data set: name, what it shows, its domains, pictures, classes, and where it was found.

    Args:
        root: the folder that is searched for their usual names; None for ``$BINORM_DATA``.

    Raises:
        UserError: if there is no such folder.
    """
    root = root or data_root()
    if root is not None and not root.is_dir():
        raise UserError(f"there is no folder {root} to look for data sets in: check --data or $BINORM_DATA")
    table = Table(title="data sets", box=box.SIMPLE_HEAD, caption=HINT)
    table.add_column("name")
    table.add_column("pictures", justify="right", no_wrap=True)
    table.add_column("classes", justify="right")
    table.add_column("found", overflow="fold")
    for name, entry in DATASETS.items():
        counts = [sum(entry.pictures.values())] if entry.domains else entry.pictures.values()
        shown = " + ".join(f"{count:,}" for count in counts) or "not known"
        found = Text(Path(_place(name, root)).name)
        what = Text.assemble((name, "bold"), "\n", (entry.title, "dim"))
        if entry.domains:
            what.append(f"\ndomains: {', '.join(entry.domains)}", "dim")
        table.add_row(what, shown, _classes(entry), found)
    return table


def describe(name: str, root: Path | None = None) -> RenderableType:
    """One data set: what it is, what ``--data`` may be, where to get it, its licence and its counts.

    Args:
        name: of the data set.
        root: the folder that is searched for its usual names; None for ``$BINORM_DATA``.

    Raises:
        UserError: for an unknown name.
    """
    entry = lookup("data set", name, DATASETS)
    size = f"{entry.size}x{entry.size} pixels"
    facts = {
        "what": entry.title,
        "domains": (", ".join(entry.domains) or "the folders that the data have") * entry.has_domains,
        "pictures": _counts(entry),
        "split": entry.split,
        "classes": _classes(entry),
        "size": f"{size} unless --image_size says otherwise" if entry.resizes else size,
        "--data": entry.needs or "not needed: it is embedded",
        "published at": entry.url,
        "licence": entry.licence or "none known here: see where it is published" * bool(entry.url),
        "looked for as": ", ".join(entry.usual_names),
        "found at": _place(name, root or data_root()),
        "download": f"binorm data prepare {name} --data DIR" if entry.downloads else "",
    }
    table = Table(title=name, show_header=False, box=box.SIMPLE_HEAD)
    for key, value in facts.items():
        if value:
            table.add_row(key, Text(value))
    return table


class VerificationReport:
    """What `verify` found, to print and to decide by."""

    def __init__(self, found: Verification, path: Path | None) -> None:
        self.found, self.path = found, path

    @property
    def ok(self) -> bool:
        """Whether the copy is whole."""
        return self.found.ok

    def table(self) -> RenderableType:
        """Counts by split, then every fault, then notes, then the verdict."""
        table = Table("split", title=Text(f"{self.found.name} at {self.path or EMBEDDED}"))
        for column in ("pictures", "expected", "classes"):
            table.add_column(column, justify="right")
        for split in {**self.found.counts, **self.found.expected}:
            expected = self.found.expected.get(split)
            labels = self.found.present.get(split, set())
            table.add_row(
                split,
                f"{self.found.counts.get(split, 0):,}",
                "not known" if expected is None else f"{expected:,}",
                f"{len(labels)} of {self.found.classes}",
            )
        lines = [Text(f"fault: {each}", style="red") for each in self.found.faults]
        lines += [Text(f"note: {each}") for each in self.found.notes]
        style = "bold red" if not self.ok else "bold yellow" if self.found.passed_over else "bold green"
        return Group(table, *lines, Text(self.found.verdict, style=style))


def verify(name: str, path: Path | None, progress: Callable[[str], None] | None = None) -> VerificationReport:
    """Read every picture of a copy, never the cache: count, decode, and compare with what is published.

    Args:
        name: of the data set.
        path: where it is; None for what is embedded, or to look in ``$BINORM_DATA``.
        progress: hears from time to time how far it is.

    Raises:
        UserError: for an unknown name, and for data that is absent or something else.
    """
    entry = lookup("data set", name, DATASETS)
    if path is None and entry.needs:
        path = locate(name)
    size = (entry.size, entry.size) if entry.uniform else (0, 0)
    pictures = examine_dataset(load(name, None)) if path is None else entry.examine(path)
    passed_over = {} if path is None else entry.passed_over(path)
    found = check(Verification(name, entry.pictures, entry.classes, size, passed_over=passed_over), pictures, progress)
    if not found.classes:  # the data say it; a class alone leaves nothing to tell apart
        found.classes = max(2, len(set().union(*found.present.values())))
    return VerificationReport(found, path)


def prepare(name: str, path: Path | None, image_size: int = 0) -> str:
    """Decode a data set into the cache, so that no run has to; what is absent is downloaded where torchvision can.

    Args:
        name: of the data set.
        path: where it is, or where to download it to; None for what is embedded, or to look in ``$BINORM_DATA``.
        image_size: height and width of the pictures in pixels; 0 for the data set's own.

    Returns:
        What there is now, where, and how large, for people.

    Raises:
        UserError: for an unknown name, and for data that is absent, incomplete or something else.
    """
    entry = lookup("data set", name, DATASETS)
    if path is None and entry.needs:
        path = locate(name)
    if entry.downloads and path is not None and not path.is_file() and not entry.is_present(path):
        entry.download(path)
    if isinstance(entry, DomainEntry) and path is not None:
        return _prepare_domains(name, path, image_size, entry.names_at(path))
    dataset = load(name, path, image_size)
    sets = {"train": dataset.train, **dataset.evaluation}
    counts = " and ".join(f"{len(pictures):,} {split}" for split, pictures in sets.items())
    in_memory = [pictures.images for pictures in sets.values() if isinstance(pictures, ImageSet)]
    if not entry.needs:
        return f"{name}: {counts} pictures are embedded and need no preparation"
    if len(in_memory) < len(sets):
        return f"{name}: {counts} pictures at {path} are decoded as they are needed and not kept"
    return f"{name}: {counts} pictures of {_size_and_place(in_memory, dataset.skipped)}"


def _prepare_domains(name: str, path: Path, image_size: int, domains: tuple[str, ...]) -> str:
    """Every domain that is there; what the cache then holds does not depend on which domains and classes a run uses."""
    prepared = load_domains(name, path, image_size, shared_classes=True, only=domains or None)
    counts = " and ".join(
        f"{len(domain.train):,} + {len(domain.test):,} {each}" for each, domain in prepared.domains.items()
    )
    absent = [domain for domain in DATASETS[name].domains if domain not in domains]
    without = f"; without {', '.join(absent)}, not there" if absent else ""
    in_memory = [part.images for domain in prepared.domains.values() for part in (domain.train, domain.test)]
    return (
        f"{name}: {counts} pictures, train + test, of the classes {few(prepared.classes)}, of "
        f"{_size_and_place(in_memory, prepared.skipped)}{without}"
    )


def _size_and_place(in_memory: Sequence[Tensor], skipped: Sequence[str]) -> str:
    size = sum(images.nbytes for images in in_memory)
    height, width = in_memory[0].shape[1:3]
    left_out = f"; left out because they are broken: {', '.join(skipped)}" if skipped else ""
    return f"{width}x{height} pixels, {size / 1e6:,.1f} MB, in {cache_folder()}{left_out}"


def _counts(entry: Entry) -> str:
    if not entry.pictures:
        return "not known"
    return " + ".join(f"{count:,} {split}" for split, count in entry.pictures.items())


def _classes(entry: Entry) -> str:
    return f"{entry.classes:,}" if entry.classes else "as found"


def _place(name: str, root: Path | None) -> str:
    entry = DATASETS[name]
    if not entry.needs:
        return EMBEDDED
    place = None if root is None else entry.find(root)
    return "" if place is None else str(place)
